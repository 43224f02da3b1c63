"""Processes that are asked to end do so in time and lose nothing; those that die are replaced by their neighbours."""

from __future__ import annotations

import asyncio
import time

from tests.acceptance.chaos.cluster import LEASE, Cluster, cluster
from tests.acceptance.chaos.judge import judge, unanswered
from tests.acceptance.chaos.load import Load, answered

UPDATES = 1_500
CONVERSATIONS = 60
STOP_WITHIN = 30.0
TAKEOVER = 2 * LEASE
START = 20.0
"""Seconds that a process may take to be ready on a busy machine."""


async def _clean(running: Cluster, load: Load) -> None:
    await answered(running, load)
    verdict = judge(load.acked, running.sent())
    story = "\n".join([*running.timeline, str(verdict)])
    assert verdict.clean, story
    assert verdict.acked == load.total, story
    print(story)


async def _at(running: Cluster, load: Load, moment: int) -> None:
    load.allow(moment + 100)
    await running.until(lambda: load.count >= moment, f"{moment} acknowledged")


async def _drained() -> None:
    async with cluster(api=2, worker=2) as running:
        load = Load(running.urls, seed=1, updates=UPDATES, conversations=CONVERSATIONS)
        delivering = asyncio.create_task(load.run())
        for moment, name in ((200, "worker-a"), (500, "api-a"), (800, "worker-b"), (1_100, "api-b")):
            await _at(running, load, moment)
            status, seconds = await running.stop(name)
            assert (status, seconds < STOP_WITHIN) == (0, True), (name, status, seconds, running.timeline)
            running.slots[name].start()
            await running.until(lambda name=name: running.slots[name].ready, f"{name} ready again", seconds=START)
        load.allow(load.total)
        await delivering
        await _clean(running, load)
        sent = running.sent()
        assert len(sent) == len({entry["fields"]["text"] for entry in sent}), "Whoever is asked to stop sends nothing twice."


def test_processes_asked_to_stop_lose_nothing_and_send_nothing_twice():
    asyncio.run(_drained())


async def _taken_over() -> None:
    async with cluster(api=1, worker=2) as running:
        load = Load(running.urls, seed=2, updates=UPDATES, conversations=CONVERSATIONS)
        delivering = asyncio.create_task(load.run())
        await _at(running, load, 500)
        running.slots["worker-b"].wanted = False
        running.slots["worker-b"].kill()
        died = time.monotonic()
        running.note("kill worker-b for good")
        await _at(running, load, 700)
        at_death = {chat: list(updates) for chat, updates in load.acked.items()}
        await running.until(lambda: not unanswered(at_death, running.sent()), "takeover", seconds=4 * TAKEOVER)
        seconds = time.monotonic() - died
        running.note(f"taken over after {seconds:.1f} s")
        load.allow(load.total)
        await delivering
        await _clean(running, load)
        assert seconds <= TAKEOVER, running.timeline


def test_a_worker_that_stays_dead_is_replaced_within_two_leases():
    asyncio.run(_taken_over())
