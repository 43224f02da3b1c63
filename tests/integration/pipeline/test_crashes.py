"""A handler that blocks or kills its process: named, counted, run apart or parked, and nobody else is lost."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from contextlib import contextmanager

from botstead.pipeline.lease import EXIT_EJECTED
from tests.integration.pipeline.road import message, on_road, until


@contextmanager
def process(dsn: str, *, eject: float = 0.8, alone: bool = False):
    """One run of the small worker."""
    command = [sys.executable, "-m", "tests.integration.pipeline.small_worker", dsn, "w1", str(eject), "yes" if alone else "no"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


async def ended(running: subprocess.Popen[str]) -> int:
    await until(lambda: running.poll() is not None, seconds=20, what="the worker process has ended")
    return running.returncode


def test_a_blocked_process_ejects_itself_and_the_guilty_message_runs_apart(postgres_dsn):
    async def story(road):
        account = await road.bot("echo")
        await road.inbox.accept(account, (message("bad", "b1", "block"), message("bad", "b2", "after")))
        with process(postgres_dsn, alone=True) as first:
            assert await ended(first) == EXIT_EJECTED
            errors = first.stderr.read()
        (guilty,) = await road.fetch("SELECT * FROM inbox WHERE claims > 0")
        assert (guilty["claims"], guilty["error"]) == (1, "the handler blocked its process")
        assert await road.count("worker") == 0
        assert await road.fetch("SELECT FROM partition WHERE worker IS NOT NULL") == []
        assert "worker_ejected" in errors
        await road.inbox.accept(account, tuple(message(f"good{n}", f"g{n}") for n in range(10)))
        with process(postgres_dsn, alone=True) as second:
            await road.settled()
            second.kill()
            said = second.stdout.read().splitlines()
        assert [line for line in said if line.startswith("bad ")] == ["bad alone:block", "bad after"]
        assert len(said) == 12
        assert await road.count("dead_letter") == 0

    on_road(postgres_dsn, story)


def test_a_message_that_blocks_every_time_is_parked_and_all_others_are_answered(postgres_dsn):
    async def story(road):
        account = await road.bot("echo")
        await road.inbox.accept(account, (message("bad", "b1", "block"), message("bad", "b2", "after")))
        await road.inbox.accept(account, tuple(message(f"good{n}", f"g{n}") for n in range(20)))
        said = []
        for run in range(3):
            with process(postgres_dsn) as running:
                assert await ended(running) == EXIT_EJECTED
                said += running.stdout.read().splitlines()
            assert [row["claims"] for row in await road.fetch("SELECT claims FROM inbox WHERE claims > 0")] == [run + 1]
        with process(postgres_dsn) as last:
            await road.settled()
            last.kill()
            said += last.stdout.read().splitlines()
        (letter,) = await road.fetch("SELECT reason, direction FROM dead_letter")
        assert tuple(letter) == ("crashed", 0)
        assert "bad after" in said
        assert {f"good{n} g{n}" for n in range(20)} <= set(said)

    on_road(postgres_dsn, story)


def test_a_message_that_kills_its_process_ends_up_apart_and_no_innocent_is_parked(postgres_dsn):
    async def story(road):
        account = await road.bot("echo")
        await road.inbox.accept(account, (message("bad", "b1", "die"), message("bad", "b2", "after")))
        await road.inbox.accept(account, tuple(message(f"good{n}", f"g{n}") for n in range(20)))
        for _ in range(2):
            with process(postgres_dsn, alone=True) as running:
                assert await ended(running) == 9
        with process(postgres_dsn, alone=True):
            await road.settled()
        assert await road.count("dead_letter") == 0
        said = await road.fetch("SELECT conversation, body FROM message WHERE direction = 1 ORDER BY id")
        bad = [row["body"] for row in said if row["conversation"].endswith("bad")]
        assert bad == ["alone:die", "after"]
        assert len(said) == 22

    on_road(postgres_dsn, story)


def test_deaths_of_the_worker_are_not_blamed_on_bots_that_live_elsewhere(postgres_dsn):
    async def story(road):
        account = await road.bot("remote")
        await road.inbox.accept(account, (message("c", "k1", "hang"),))
        for _ in range(4):
            with process(postgres_dsn, eject=60) as running:
                assert "running hang" in await asyncio.to_thread(running.stdout.readline)
        (row,) = await road.fetch("SELECT claims, attempts FROM inbox")
        assert tuple(row) == (0, 0)

    on_road(postgres_dsn, story)


def test_a_process_that_was_itself_paused_is_not_blamed(postgres_dsn):
    async def story(road):
        account = await road.bot("echo")
        await road.inbox.accept(account, (message("c", "k1"),))
        with process(postgres_dsn, eject=0.8) as running:
            assert await asyncio.to_thread(running.stdout.readline) == "c k1\n"
            running.send_signal(signal.SIGSTOP)
            await asyncio.sleep(2.0)  # the pause itself: longer than a loop may be blocked
            running.send_signal(signal.SIGCONT)
            await road.inbox.accept(account, (message("c", "k2"),))
            assert await asyncio.to_thread(running.stdout.readline) == "c k2\n"
            assert running.poll() is None

    on_road(postgres_dsn, story)
