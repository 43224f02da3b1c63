"""Channels on a real database: what comes in is counted once, what is turned away is written down, and findings are kept."""

from __future__ import annotations

import asyncio
import os
import time

import asyncpg
import pytest

from botstead.core.errors import Unavailable
from botstead.core.messages import Health
from botstead.core.ports import Prepared
from botstead.operate.channels import Channels
from botstead.runtime.keyring import KeyRing
from botstead.runtime.sealing import Sealer
from botstead.store.postgres import Postgres
from botstead.store.registry import Registry
from botstead.store.rhythm import Rejects, RhythmRows
from botstead.telemetry.catalog import VITALS

RING = KeyRing(current="k", keys={"k": os.urandom(32)}, pepper=os.urandom(32))
ADD = """INSERT INTO message (id, direction, bot, channel, conversation, at)
    SELECT nextval('message_id'), $3, $1, $2, $2::int || '.x', clock_timestamp() - make_interval(secs => $5) FROM generate_series(1, $4)"""


class Kind:
    """A network that says what a test wants."""

    kind = "memory"
    said = Health(status="ok", detail="fine")

    async def health(self, account, egress):
        return self.said


class World:
    def __init__(self, dsn: str, postgres: Postgres) -> None:
        self.dsn, self.postgres = dsn, postgres
        self.registry = Registry(postgres, Sealer(RING))
        self.kind = Kind()
        self.looking = self.watch()

    def watch(self) -> Channels:
        return Channels(
            RhythmRows(self.dsn, application="test"),
            accounts=lambda: [self.account],
            kinds={"memory": self.kind},
            egress=None,
            note=self.registry.set_health,
            looks=lambda: True,
        )

    async def begin(self) -> None:
        await self.registry.ensure_bot("shop", "python")
        self.account = await self.registry.create_channel(
            "shop", kind="memory", name="", prepared=Prepared(settings={}, secrets={})
        )

    async def messages(self, count: int, *, direction: int = 0, ago: float = 0.0) -> None:
        async with self.postgres.unit() as connection:
            await connection.execute(ADD, self.account.bot, self.account.id, direction, count, ago)

    async def row(self) -> asyncpg.Record:
        async with self.postgres.unit() as connection:
            return await connection.fetchrow("SELECT * FROM channel_rhythm")


def play(dsn: str, story):
    async def run():
        postgres = await Postgres.open(dsn)
        world = World(dsn, postgres)
        try:
            await world.begin()
            return await story(world)
        finally:
            await world.looking.close()
            world.looking.clear()
            await postgres.close()

    return asyncio.run(run())


def test_every_message_is_counted_once_over_restarts(postgres_dsn):
    async def story(world: World):
        await world.messages(3)
        await world.messages(5, direction=1)
        await world.looking.look()
        await world.looking.look()
        await world.messages(2, ago=5.0)
        again = world.watch()
        await again.look()
        await again.close()
        return await world.row(), dict(VITALS.last_event.shown), dict(VITALS.connected.shown), dict(VITALS.missing.shown)

    row, last, up, missing = play(postgres_dsn, story)
    assert sum(row["events"]) == pytest.approx(5, abs=0.01)
    assert last["memory", "shop"] == pytest.approx(time.time(), abs=5)
    assert up == {("memory", "shop"): 1}
    assert missing == {("memory", "shop"): 0}


def test_what_was_turned_away_is_the_finding(postgres_dsn):
    async def story(world: World):
        rejects = Rejects()
        for _ in range(25):
            rejects.add(world.account.id, "signature")
        await rejects.flush(world.postgres)
        rejects.add(world.account.id, "signature")
        await rejects.flush(world.postgres)
        await rejects.flush(world.postgres)
        await world.looking.look()
        return (await world.registry.channel(world.account.public_id)).health

    health = play(postgres_dsn, story)
    assert (health["status"], health["facts"]["hop"], health["facts"]["rejected"]) == ("degraded", "signature", {"signature": 26})


def test_a_provider_that_says_no_and_a_database_that_is_away(postgres_dsn):
    async def story(world: World):
        world.kind.said = Health(status="failing", detail="Telegram refused getMe: Unauthorized", facts={"reason": "revoked"})
        await world.looking.look()
        kept = (await world.registry.channel(world.account.public_id)).health
        shown = dict(VITALS.connected.shown)
        world.looking._rows._held._dsn = "postgres://nobody@127.0.0.1:1/x"
        world.looking._rows._held._drop()
        await world.looking.look()
        return kept, shown, dict(VITALS.connected.shown), dict(VITALS.missing.shown)

    kept, shown, still, missing = play(postgres_dsn, story)
    assert (kept["status"], kept["facts"]["hop"]) == ("failing", "token")
    assert shown == still == {("memory", "shop"): 0}
    assert missing == {}


def test_counts_stay_when_they_cannot_be_written(postgres_dsn):
    async def story(world: World):
        rejects = Rejects()
        rejects.add(world.account.id, "signature")
        rejects.add(999_999, "signature")  # there is no such channel any more
        away = await Postgres.open(world.dsn)
        await away.close()
        with pytest.raises(Unavailable):
            await rejects.flush(away)
        await rejects.flush(world.postgres)
        return await world.looking._rows.rejects(seconds=60), world.account.id

    found, channel = play(postgres_dsn, story)
    assert found == {channel: {"signature": 1}}
