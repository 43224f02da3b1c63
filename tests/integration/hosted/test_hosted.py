"""Bots in processes of their own, with bots that do their worst."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import uvloop

import botstead
from botstead.core.errors import HandlerFailed
from botstead.core.messages import Event, Kind, Send
from botstead.core.ports import Incoming, Limits
from botstead.core.settings import Settings, load
from botstead.pipeline import hosted
from botstead.pipeline.hosted import BotDied, BotResting, HostedBot
from botstead.pipeline.quarantine import PLACES_OF_A_BOT, Quarantine
from botstead.processes.bot_host import environment

ROGUE = (sys.executable, str(Path(__file__).parent / "rogue.py"))
MEGABYTE = 1 << 20


def incoming(text: str, number: int = 1) -> Incoming:
    return Incoming(
        id=number, bot="rogue", channel="webchat", account=1, conversation="1.a", event=Event(Kind.MESSAGE, "a", "k", text=text)
    )


def said(effects) -> str:
    (action,) = effects.actions
    assert isinstance(action, Send)
    return action.text


@asynccontextmanager
async def bot(*, folder: str = "rogue", deadline: float = 5.0, memory: int = 0, environment=None):
    made = HostedBot("rogue", Path(folder), limits=Limits(deadline=deadline, memory=memory), environment=environment, host=ROGUE)
    try:
        yield made
    finally:
        await made.stop()


def gone(pid: int) -> bool:
    """Whether a process has ended; a zombie that nobody has reaped yet counts."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


async def until(condition, seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  the kernel tells nobody that a foreign process has gone
            await asyncio.sleep(0.01)


def test_effects_come_back_as_the_handler_made_them():
    async def story():
        async with bot() as rogue:
            effects = await rogue.handle(incoming("say hello"))
            assert said(effects) == "hello"
            assert effects.state == b'{"said":true}'

    asyncio.run(story())


def test_events_run_side_by_side_in_one_process():
    async def story():
        async with bot() as rogue:
            await rogue.start()
            began = time.monotonic()
            answers = await asyncio.gather(
                *(rogue.handle(incoming("wait 0.5", n)) for n in range(50)),
                rogue.handle(incoming("pid")),
                rogue.handle(incoming("pid")),
            )
            assert time.monotonic() - began < 5
            assert said(answers[-1]) == said(answers[-2])

    asyncio.run(story())


@pytest.mark.parametrize(
    ("deed", "how"),
    [
        ("exit 3", "exit status 3"),
        ("quit 4", "exit status 4"),
        ("abort", "signal SIGABRT"),
        ("spin", "killed: no sign for 0.3 s"),
        ("stubborn", "killed: no sign for 0.3 s"),
    ],
)
def test_a_death_names_its_cause_and_the_next_event_runs(deed, how):
    async def story():
        async with bot(deadline=0.3) as rogue:
            await rogue.start()
            with pytest.raises(BotDied) as caught:
                await rogue.handle(incoming(deed))
            assert (caught.value.how, caught.value.alone) == (how, True)
            assert said(await rogue.handle(incoming("say well"))) == "well"

    asyncio.run(story())


def test_the_end_of_the_output_is_kept_with_the_error():
    async def story():
        async with bot() as rogue:
            with pytest.raises(BotDied) as caught:
                await rogue.handle(incoming("abort"))
            assert "about to abort" in "".join(caught.value.__cause__.__notes__)
            assert "about to abort" not in str(caught.value)

    asyncio.run(story())


def test_a_death_fails_exactly_the_events_that_ran():
    async def story():
        async with bot() as rogue, bot() as other:
            await rogue.handle(incoming("say before"))
            beside = asyncio.gather(*(rogue.handle(incoming("wait 3", n)) for n in range(5)), return_exceptions=True)
            elsewhere = asyncio.create_task(other.handle(incoming("wait 0.5")))
            await rogue.handle(incoming("say meanwhile"))
            with pytest.raises(BotDied) as caught:
                await rogue.handle(incoming("exit 1"))
            errors = await beside
            assert not caught.value.alone
            assert all(isinstance(error, BotDied) and not error.alone for error in errors)
            assert said(await elsewhere) == "waited"

    asyncio.run(story())


def test_an_event_that_was_taken_back_still_counts_as_company():
    async def story():
        async with bot(deadline=0.3) as rogue:
            await rogue.start()
            stubborn = asyncio.create_task(rogue.handle(incoming("stubborn")))
            await rogue.handle(incoming("say here"))
            stubborn.cancel()
            await asyncio.gather(stubborn, return_exceptions=True)
            with pytest.raises(BotDied) as caught:
                await rogue.handle(incoming("exit 1"))
            assert not caught.value.alone

    asyncio.run(story())


def test_a_handler_beyond_its_deadline_fails_alone_and_the_process_lives():
    async def story():
        async with bot(deadline=0.3) as rogue:
            pid = said(await rogue.handle(incoming("pid")))
            with pytest.raises(HandlerFailed, match=r"longer than 0\.3 s") as caught:
                await rogue.handle(incoming("wait 30"))
            assert not isinstance(caught.value, BotDied)
            assert said(await rogue.handle(incoming("pid"))) == pid

    asyncio.run(story())


def test_a_cancelled_event_is_cancelled_in_the_process():
    async def story():
        async with bot() as rogue:
            pid = said(await rogue.handle(incoming("pid")))
            task = asyncio.create_task(rogue.handle(incoming("wait 30")))
            await rogue.handle(incoming("say here"))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await until(lambda: rogue.running == 0)
            assert said(await rogue.handle(incoming("pid"))) == pid

    asyncio.run(story())


@pytest.mark.parametrize(
    ("deed", "message"),
    [
        ("nonsense", "object"),
        ("large 5", "answer is too large"),
        ("unheard-of", "AttributeError"),
        ("recurse", "RecursionError"),
    ],
)
def test_nonsense_fails_the_event_and_nothing_else(deed, message):
    async def story():
        async with bot() as rogue:
            pid = said(await rogue.handle(incoming("pid")))
            with pytest.raises(HandlerFailed, match=message):
                await rogue.handle(incoming(deed))
            assert said(await rogue.handle(incoming("pid"))) == pid

    asyncio.run(story())


def test_an_event_too_large_for_a_frame_fails_by_itself():
    async def story():
        async with bot() as rogue:
            with pytest.raises(HandlerFailed, match="too large"):
                await rogue.handle(incoming("say " + "x" * 5 * MEGABYTE))
            assert rogue.running == 0
            assert said(await rogue.handle(incoming("say fine"))) == "fine"

    asyncio.run(story())


def test_an_error_of_ten_megabytes_is_cut_and_keeps_its_trace():
    async def story():
        async with bot() as rogue:
            with pytest.raises(HandlerFailed) as caught:
                await rogue.handle(incoming(f"fail {10 * MEGABYTE}"))
            assert len(caught.value.message) < 5_000
            with pytest.raises(HandlerFailed, match="ValueError: yyy") as caught:
                await rogue.handle(incoming("fail 3"))
            assert "do_fail" in "".join(caught.value.__cause__.__notes__)

    asyncio.run(story())


def test_a_failure_that_names_its_wait_keeps_it():
    async def story():
        async with bot() as rogue:
            with pytest.raises(HandlerFailed, match="not now") as caught:
                await rogue.handle(incoming("later 7"))
            assert caught.value.after == 7

    asyncio.run(story())


def test_two_gigabytes_with_a_limit_of_128_megabytes_hurt_only_the_event():
    async def story():
        async with bot(memory=128 * MEGABYTE) as rogue:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            with pytest.raises(HandlerFailed, match="MemoryError"):
                await rogue.handle(incoming("eat 2048"))
            assert said(await rogue.handle(incoming("say fine"))) == "fine"
            assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 * 1024

    asyncio.run(story())


def test_a_process_over_its_memory_is_replaced_after_its_events(tmp_path):
    async def story():
        async with bot(memory=128 * MEGABYTE) as rogue:
            old = said(await rogue.handle(incoming("pid")))
            mark = tmp_path / "mark"
            running = asyncio.create_task(rogue.handle(incoming(f"until {mark}")))
            assert said(await rogue.handle(incoming("eat 150"))) == "ate"
            new = old
            async with asyncio.timeout(5):
                while new == old:
                    new = said(await rogue.handle(incoming("pid")))
                    await asyncio.sleep(0.05)
            assert not gone(int(old))
            mark.touch()
            assert said(await running) == "done"
            await until(lambda: gone(int(old)))
            assert said(await rogue.handle(incoming("pid"))) == new

    asyncio.run(story())


def test_a_flood_on_standard_output_harms_no_frame():
    async def story():
        async with bot() as rogue:
            await rogue.start()
            flood = asyncio.create_task(rogue.handle(incoming("flood 2")))
            assert said(await flood) == "flooded"
            assert said(await rogue.handle(incoming("say clear"))) == "clear"

    asyncio.run(story())


def test_nonsense_on_the_connection_ends_the_process_only():
    async def story():
        async with bot() as rogue:
            with pytest.raises(BotDied, match="broke our connection"):
                await rogue.handle(incoming("scribble"))
            assert said(await rogue.handle(incoming("say clear"))) == "clear"

    asyncio.run(story())


def test_a_grandchild_ends_with_its_bot():
    async def story():
        async with bot() as rogue:
            grandchild = int(said(await rogue.handle(incoming("fork"))))
            assert not gone(grandchild)
        await until(lambda: gone(grandchild))

    asyncio.run(story())


def test_a_grandchild_holds_no_line_to_the_worker():
    async def story():
        async with bot() as rogue:
            assert said(await rogue.handle(incoming("descriptors"))) == "0"

    asyncio.run(story())


def test_the_environment_is_what_was_given_and_no_more(monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_WORKER", "x")

    async def story():
        async with bot(environment={"GIVEN": "yes"}) as rogue:
            assert said(await rogue.handle(incoming("environment SECRET_OF_THE_WORKER"))) == "None"
            assert said(await rogue.handle(incoming("environment GIVEN"))) == "b'yes'"

    asyncio.run(story())


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("broken", "bot.py:3: no such word"),
        ("dying", "exit status 7"),
        ("slow", "not ready after 0.5 s"),
        ("babbling", "broke our connection"),
    ],
)
def test_a_process_that_cannot_start_says_why_and_rests(folder, message, monkeypatch):
    monkeypatch.setattr(hosted, "START", 0.5 if folder == "slow" else 10.0)

    async def story():
        async with bot(folder=folder) as rogue:
            with pytest.raises(BotResting, match=message) as caught:
                await rogue.start()
            assert 0.2 < caught.value.after <= 0.5
            began = time.monotonic()
            with pytest.raises(BotResting, match="in a row") as caught:
                await rogue.handle(incoming("say x"))
            assert time.monotonic() - began < 0.1
            assert 0 < caught.value.after <= 0.5

    asyncio.run(story())


def test_a_limit_below_what_an_idle_process_needs_is_named():
    async def story():
        async with bot(memory=24 * MEGABYTE) as rogue:
            with pytest.raises(BotResting, match=r"uses \d+ MB before its first event, its limit is 24 MB: raise memory"):
                await rogue.start()

    asyncio.run(story())


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    monotonic = now


def test_a_process_that_keeps_dying_rests_longer_each_time():
    async def story():
        clock = Hands()
        rogue = HostedBot("rogue", Path("rogue"), limits=Limits(), host=ROGUE, clock=clock, chance=lambda: 1.0)
        rests = []
        for _ in range(4):
            with pytest.raises(BotDied):
                await rogue.handle(incoming("exit 1"))
            try:
                await rogue.handle(incoming("say x"))
            except BotResting as resting:
                rests.append(resting.after)
                clock.time += resting.after
            else:
                rests.append(0.0)
        assert rests == [0.0, 0.5, 1.0, 2.0]
        await rogue.stop()

    asyncio.run(story())


def test_a_ward_runs_events_apart_and_keeps_a_process_that_answers_well():
    async def story():
        async with bot() as rogue:
            usual = said(await rogue.handle(incoming("pid")))
            ward = rogue.ward()
            pids = [said(await ward.handle(incoming("pid"))) for _ in range(3)]
            assert len({usual, *pids}) == 2
            await ward.end()
            assert gone(int(pids[0]))
            assert said(await rogue.handle(incoming("pid"))) == usual

    asyncio.run(story())


@pytest.mark.parametrize("deed", ["fail 3", "nonsense 0", "later 9"])
def test_a_process_of_a_ward_that_did_not_answer_well_runs_no_other_event(deed):
    async def story():
        async with bot() as rogue:
            ward = rogue.ward()
            first = said(await ward.handle(incoming("pid")))
            with pytest.raises(HandlerFailed):
                await ward.handle(incoming(deed))
            assert gone(int(first))
            assert said(await ward.handle(incoming("pid"))) != first
            await ward.end()

    asyncio.run(story())


def test_a_death_in_a_ward_is_put_down_to_the_event_that_dies_in_a_fresh_process():
    async def story():
        async with bot() as rogue:
            ward = rogue.ward()
            await ward.handle(incoming("say innocent"))
            assert said(await ward.handle(incoming("die_if_used"))) == "fresh"
            with pytest.raises(BotDied, match="exit status 5") as caught:
                await ward.handle(incoming("exit 5"))
            assert caught.value.alone
            assert said(await ward.handle(incoming("say after"))) == "after"
            await ward.end()
            assert rogue.running == 0

    asyncio.run(story())


def test_an_event_of_a_ward_that_nobody_waits_for_any_longer_ends_with_its_process():
    async def story():
        async with bot() as rogue:
            ward = rogue.ward()
            pid = int(said(await ward.handle(incoming("pid"))))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(ward.handle(incoming("wait 30")), 0.1)
            assert gone(pid)

    asyncio.run(story())


def test_a_process_of_a_ward_that_grew_too_large_runs_no_other_event():
    async def story():
        async with bot(memory=200 * MEGABYTE) as rogue:
            ward = rogue.ward()
            first = said(await ward.handle(incoming("pid")))
            await ward.handle(incoming("eat 220"))
            assert said(await ward.handle(incoming("pid"))) != first
            await ward.end()

    asyncio.run(story())


def test_suspects_are_cleared_in_a_few_processes_and_the_guilty_one_is_named():
    async def story():
        async with bot() as rogue:
            quarantine = Quarantine()
            texts = [f"exit {n}" if n == 7 else "pid" for n in range(40)]
            answers = await asyncio.gather(
                *(quarantine.run(1, rogue, incoming(text, n), claims=1) for n, text in enumerate(texts)), return_exceptions=True
            )
            died = [n for n, answer in enumerate(answers) if isinstance(answer, BotDied)]
            assert died == [7]
            pids = {said(answer) for n, answer in enumerate(answers) if n != 7}
            assert len(pids) <= PLACES_OF_A_BOT + 2, "one died with company, and one alone"
            assert all(gone(int(pid)) for pid in pids)

    asyncio.run(story())


def test_a_ward_limits_memory_even_where_the_bot_does_not():
    async def story():
        rogue = HostedBot.for_quarantine(Path("rogue"), Limits(), host=ROGUE)
        with pytest.raises(HandlerFailed, match="MemoryError"):
            await rogue.ward().handle(incoming("eat 2048"))
        await rogue.stop()

    asyncio.run(story())


def test_stop_fails_what_runs_and_refuses_what_comes():
    async def story():
        async with bot() as rogue:
            pid = int(said(await rogue.handle(incoming("pid"))))
            running = asyncio.create_task(rogue.handle(incoming("wait 30")))
            await rogue.handle(incoming("say here"))
            await rogue.stop()
            with pytest.raises(BotDied, match="stopped"):
                await running
            with pytest.raises(BotResting):
                await rogue.handle(incoming("say x"))
            assert gone(pid)

    asyncio.run(story())


ECHO = Path(botstead.__file__).parent / "samples" / "echo"


def folder_with(tmp_path: Path, source: str) -> Path:
    (tmp_path / "bot.py").write_text(source, "utf-8")
    return tmp_path


def test_a_bot_folder_runs_as_it_is():
    async def story():
        echo = HostedBot("echo", ECHO, limits=Limits(), environment=environment(Settings()))
        effects = await echo.handle(incoming("hello"))
        assert said(effects) == "hello"
        assert msgspec.json.decode(effects.state)
        await echo.stop()

    asyncio.run(story())


def test_the_same_on_uvloop(tmp_path):
    folder = folder_with(
        tmp_path,
        "import os\nfrom botstead import Bot\nbot = Bot('b')\n@bot.on.message\ndef say(text: str) -> str:\n    if text == 'die': os._exit(2)\n    return text\n",
    )

    async def story():
        made = HostedBot("b", folder, limits=Limits(memory=256 * MEGABYTE), environment=environment(Settings()))
        assert said(await made.handle(incoming("hello"))) == "hello"
        with pytest.raises(BotDied, match="exit status 2"):
            await made.handle(incoming("die"))
        ward = made.ward()
        assert said(await ward.handle(incoming("hello"))) == "hello"
        await ward.end()
        await made.stop()

    uvloop.run(story())


@pytest.mark.parametrize(
    ("source", "message"),
    [("from botstead import Bot\nbot = Bot('b'\n", "bot.py line 2"), ("import nonsense\n", "nonsense"), ("", "has no Bot")],
)
def test_a_broken_folder_is_named(tmp_path, source, message):
    async def story():
        made = HostedBot("b", folder_with(tmp_path, source), limits=Limits(), environment=environment(Settings()))
        with pytest.raises(BotResting, match=message):
            await made.start()
        await made.stop()

    asyncio.run(story())


def test_a_process_is_given_no_setting_that_opens_the_store():
    settings = Settings(
        postgres="postgres://x", valkey="valkey://y", egress_allow=("127.0.0.1:1", "10.0.0.0/8"), weather_base="http://w"
    )
    given = environment(settings)
    assert {name for name in given if name.startswith("BOTSTEAD_")} == {"BOTSTEAD_EGRESS_ALLOW", "BOTSTEAD_WEATHER_BASE"}
    assert load(given).egress_allow == settings.egress_allow


PARENT = """
import asyncio, sys
sys.path.insert(0, {tests!r})
from tests.integration.hosted.test_hosted import bot, incoming, said
async def story():
    async with bot() as rogue:
        print(said(await rogue.handle(incoming("pid"))), flush=True)
        await rogue.handle(incoming({deed!r}))
asyncio.run(story())
"""


@pytest.mark.parametrize("deed", ["wait 60", "spin"])
def test_a_killed_worker_leaves_no_process_behind(deed):
    root = str(Path(__file__).parents[3])
    with subprocess.Popen(
        [sys.executable, "-c", PARENT.format(tests=root, deed=deed)], stdout=subprocess.PIPE, text=True
    ) as parent:
        child = int(parent.stdout.readline())
        assert not gone(child)
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        asyncio.run(until(lambda: gone(child)))
