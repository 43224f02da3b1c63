"""Child processes by themselves: what they are, how they end, and that nothing of them stays."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from botstead.runtime import children
from botstead.runtime.children import CallFailed, Child, ChildBroken, ChildDied

PROGRAM = """
import asyncio, os, sys, time
from botstead.core.errors import ConfigurationError
from botstead.runtime import hosting

def make(folder):
    if folder.name == "broken":
        raise ConfigurationError("this folder is broken")
    return answer

async def answer(body):
    word = body.decode()
    if word == "hang":
        await asyncio.sleep(600)
    if word == "adj":
        return open("/proc/self/oom_score_adj", "rb").read()
    if word == "group":
        return f"{os.getpgid(0)} {os.getsid(0)} {os.getpid()}".encode()
    if word == "daemon":
        heard, said = os.pipe()
        if os.fork() == 0:
            os.setsid()
            os.write(said, b"x")
            time.sleep(4)
            os._exit(0)
        os.read(heard, 1)
    if word == "close":
        os.closerange(3, 256)
        time.sleep(600)
    if word == "sleep":
        time.sleep(600)
    if word == "raise":
        raise ValueError("no")
    return body[::-1]

hosting.main(make)
"""


@asynccontextmanager
async def child(folder: str = "x", *, memory: int = 0, seconds: float = 10.0):
    command = (sys.executable, "-c", PROGRAM, "--folder", folder, "--memory", str(memory))
    made = await Child.start(command, environment={}, seconds=seconds)
    try:
        yield made
    finally:
        await made.kill("the test is over")
    assert made.resident() == 0
    with pytest.raises(ProcessLookupError):
        os.kill(made.pid, 0)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def offspring() -> str:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text()


def test_calls_are_answered_whatever_their_order():
    async def story():
        async with child() as made:
            words = [str(number).encode() for number in range(200)]
            assert await asyncio.gather(*(made.call(word, seconds=5) for word in words)) == [word[::-1] for word in words]
            assert made.running == 0
            with pytest.raises(CallFailed, match="ValueError: no") as caught:
                await made.call(b"raise", seconds=5)
            assert "in answer" in caught.value.__notes__[0]

    asyncio.run(story())


def test_it_has_a_group_of_its_own_and_goes_first_when_memory_runs_out():
    async def story():
        async with child() as made:
            group, session, pid = map(int, (await made.call(b"group", seconds=5)).split())
            assert group == session == pid == made.pid
            assert await made.call(b"adj", seconds=5) == b"1000\n"
            assert 5_000_000 < made.resident() < 200_000_000

    asyncio.run(story())


def test_stop_lets_it_exit_by_itself_and_finish_waits_for_calls():
    async def story():
        async with child() as made:
            running = asyncio.create_task(made.call(b"abc", seconds=5))
            await asyncio.sleep(0)
            await made.finish(seconds=5)
            assert await running == b"cba"
            assert not made.alive
            assert made.how == "stopped"
            with pytest.raises(ChildDied, match="stopped"):
                await made.call(b"abc", seconds=5)

    asyncio.run(story())


def test_finish_waits_no_longer_than_it_may():
    async def story():
        async with child() as made:
            running = asyncio.create_task(made.call(b"hang", seconds=60))
            await asyncio.sleep(0)
            await made.finish(seconds=0.05)
            with pytest.raises(ChildDied, match="stopped"):
                await running

    asyncio.run(story())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_signal_is_named(number):
    async def story():
        async with child() as made:
            running = asyncio.create_task(made.call(b"hang", seconds=60))
            await asyncio.sleep(0)
            os.kill(made.pid, number)
            with pytest.raises(ChildDied, match=number.name) as caught:
                await running
            assert caught.value.alone
            assert await made.ended()

    asyncio.run(story())


def test_one_that_hangs_up_but_lives_is_killed():
    async def story():
        async with child() as made:
            with pytest.raises(ChildDied, match="SIGKILL"):
                await made.call(b"close", seconds=30)

    asyncio.run(story())


def test_a_stopped_process_is_killed_at_the_deadline(monkeypatch):
    monkeypatch.setattr(children, "GRACE", 0.2)

    async def story():
        async with child() as made:
            os.kill(made.pid, signal.SIGSTOP)
            with pytest.raises(ChildDied, match=r"no sign for 0\.1 s"):
                await made.call(b"abc", seconds=0.1)

    asyncio.run(story())


def test_a_daemon_that_holds_the_output_open_delays_nothing():
    async def story():
        async with child() as made:
            await made.call(b"daemon", seconds=5)
            async with asyncio.timeout(2.5):
                await made.kill("enough")

    asyncio.run(story())


def test_a_start_that_fails_leaves_nothing():
    async def story():
        before = descriptors()
        for _ in range(3):
            with pytest.raises(ChildBroken, match="this folder is broken"):
                async with child("broken"):
                    pass
            with pytest.raises(FileNotFoundError):
                await Child.start(("/nowhere/python",), environment={}, seconds=5)
            with pytest.raises(ChildDied, match=r"not ready after 0\.01 s"):
                async with child(seconds=0.01):
                    pass
            with pytest.raises(ChildDied, match="exit status 2") as caught:
                await Child.start((sys.executable, "-c", PROGRAM), environment={}, seconds=5)
            assert "--folder" in caught.value.__notes__[0]
        await asyncio.sleep(0)
        assert descriptors() == before

    asyncio.run(story())


def test_a_start_that_is_cancelled_leaves_nothing():
    async def story():
        before, others = descriptors(), offspring()
        for steps in range(0, 40, 4):
            starting = asyncio.create_task(
                Child.start((sys.executable, "-c", PROGRAM, "--folder", "x"), environment={}, seconds=5)
            )
            for _ in range(steps):
                await asyncio.sleep(0)
            starting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting
        await asyncio.sleep(0)
        gc.collect()
        assert descriptors() == before
        assert offspring() == others

    asyncio.run(story())
