"""A conversation changes hands in the middle of everything: its replies keep their order, and nobody innocent is blamed."""

from __future__ import annotations

import asyncio
import time

from botstead.pipeline.partitions import PARTITIONS, conversation_key, partition_of
from tests.integration.pipeline import small_worker
from tests.integration.pipeline.road import message, on_road, say, until


def _moving(account) -> str:
    """An address in the half of the partitions that the older of two workers gives away."""
    names = (f"c{n}" for n in range(1_000))
    return next(name for name in names if partition_of(conversation_key(account.id, name)) >= PARTITIONS // 2)


def test_a_reply_that_comes_while_its_partition_moves_waits_for_those_before_it(postgres_dsn):
    async def story(road):
        running, hold = [], asyncio.Event()

        async def handle(incoming):
            running.append(incoming.event.text)
            if incoming.event.text == "third":
                await hold.wait()
            return say(incoming.event.text)

        account = await road.bot("echo", handle)
        place = _moving(account)
        one = await road.worker("w1")
        await until(lambda: len(one._ownership.mine) == PARTITIONS)
        road.network.delay = 2.5
        await road.inbox.accept(account, (message(place, "first"),))
        await until(lambda: road.network.attempts, what="the first reply is on its way")
        road.network.delay = 0.0
        began = time.monotonic()
        for key in ("second", "third"):
            await road.inbox.accept(account, (message(place, key),))
        await until(lambda: "third" in running, what="the second reply waits behind the first")
        await road.worker("w2")
        await until(lambda: len(one._ownership.mine) == PARTITIONS // 2, what="the partition is being handed over")
        assert "first" not in road.network.texts(), f"too slow to see anything: {time.monotonic() - began:.1f} s"
        hold.set()
        await road.settled()
        said = [text for text in road.network.texts(place) if text]  # besides «typing»
        assert said == ["first", "second", "third"]

    on_road(postgres_dsn, story)


def test_one_that_already_runs_alone_is_not_blamed_for_the_death_of_its_worker(postgres_dsn):
    async def story(road):
        account = await road.bot("echo")
        place = _moving(account)
        await road.inbox.accept(account, (message(place, "suspect"),))
        await road.fetch("UPDATE inbox SET claims = 2")
        await road.fetch("UPDATE partition SET worker = -1")  # whoever had it died
        alone = []

        class Apart(small_worker.Apart):
            async def handle(self, incoming):
                alone.append(incoming.event.text)
                return say("innocent")

        road.quarantine[account.bot] = Apart()
        await road.worker()
        await road.settled()
        assert (alone, road.network.texts(place)) == (["suspect"], ["innocent"])

    on_road(postgres_dsn, story)
