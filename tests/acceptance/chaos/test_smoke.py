"""Processes and the database are killed at random while people write. Nothing may be lost, done twice, or told out of order."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

from tests.acceptance.chaos.cluster import Cluster, cluster
from tests.acceptance.chaos.judge import judge
from tests.acceptance.chaos.load import Load, answered

SEED = 1_234
"""Another one tells another story; the verdict has to be the same."""
UPDATES = 5_000
CONVERSATIONS = 200
KILLS = 12
AHEAD = 150
"""Updates that may be acknowledged while the next fault is being prepared."""
PATIENCE = 120.0
"""Seconds for everything to be said; about 25 on two cores of its own."""
IN_FLIGHT = 64
"""Sends that a worker may have under way on one channel when it is killed: each of them may arrive twice."""


async def _strike(running: Cluster, load: Load, seed: int) -> None:
    """Kill API and worker processes, and Postgres once, each when so many updates were acknowledged."""
    chance = random.Random(seed)
    victims = ["postgres", *chance.choices(list(running.slots), k=KILLS)]
    chance.shuffle(victims)
    moments = sorted(chance.sample(range(100, load.total - 200), k=len(victims)))
    for moment, victim in zip(moments, victims, strict=True):
        load.allow(moment + AHEAD)
        await running.until(lambda moment=moment: load.count >= moment, f"{moment} acknowledged")
        if victim == "postgres":
            running.note(f"kill Postgres at {load.count}")
            await running.restart_postgres()
            continue
        slot = running.slots[victim]
        await running.until(lambda slot=slot: slot.ready, f"{victim} ready again")
        running.note(f"kill {victim} at {load.count}")
        slot.kill()
    load.allow(load.total)


async def _smoke(seed: int) -> str:
    async with cluster(api=2, worker=2) as running:
        load = Load(running.urls, seed=seed, updates=UPDATES, conversations=CONVERSATIONS)
        running.note("load begins")
        try:
            async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
                group.create_task(load.run())
                group.create_task(_strike(running, load, seed))
        except TimeoutError:
            running.note(f"given up at {load.count} of {load.total}")
        running.note("load ends")
        await answered(running, load)
        verdict = judge(load.acked, running.sent())
        counts = f"{load.deliveries} deliveries, not taken: {dict(load.refused)}"
        again = f"sent again in second: {dict(sorted(Counter(int(at - running.began) for at in verdict.again).items()))}"
        story = "\n".join([f"seed {seed}", *running.timeline, counts, str(verdict), again])
        assert verdict.clean, story
        assert verdict.acked == UPDATES, story
        assert verdict.duplicate_sends <= IN_FLIGHT * sum("kill worker" in line for line in running.timeline), story
        return story


def test_kills_lose_nothing_and_do_nothing_twice():
    print(asyncio.run(_smoke(SEED)))
