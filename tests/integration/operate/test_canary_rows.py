"""How far the canary's message has come, on a real road of tables; and that its history does not grow."""

from __future__ import annotations

import asyncio
import os
import uuid

import asyncpg

from botstead.channels.loopback.health import made
from botstead.core.errors import Conflict
from botstead.pipeline.partitions import conversation_key, partition_of
from botstead.runtime.keyring import KeyRing
from botstead.runtime.sealing import Sealer
from botstead.store.canary import CanaryRows, ensure_bot, ensure_channel
from botstead.store.membership import Membership
from botstead.store.postgres import Postgres
from botstead.store.registry import Registry
from botstead.store.road import Ingest, Mark, Marker, NewMessage, OutcomeBatch, Reply, Writer

RING = KeyRing(current="k", keys={"k": os.urandom(32)}, pepper=os.urandom(32))


class World:
    """Everything that a message passes, step by step."""

    def __init__(self, dsn: str, postgres: Postgres) -> None:
        self.dsn, self.postgres = dsn, postgres
        self.registry = Registry(postgres, Sealer(RING))
        self.rows = CanaryRows(dsn, application="test")

    async def begin(self) -> None:
        self.account = await ensure_channel(self.postgres, self.registry, "canary", kind="loopback", prepared=made())
        self.conversation = conversation_key(self.account.id, "probe-1")
        self.partition = partition_of(self.conversation)

    async def trail(self, key: str = "k1"):
        return await self.rows.trail(self.account, key, partition=self.partition, conversation=self.conversation)

    async def keep(self, key: str) -> int:
        ingest = Ingest(self.dsn, application="test")
        row = NewMessage(self.account.id, key, self.partition, self.account.bot, self.conversation, "x", "{}", uuid.uuid4(), 0)
        (kept,) = await ingest.keep([row])
        await ingest.close()
        return kept.id

    async def answer(self, worker: int, message: int) -> int:
        writer = Writer(self.dsn, application="test")
        done = [(self.partition, self.account.bot, message)]
        replies = [Reply(message, self.account.id, "x", '{"type":"send"}', uuid.uuid4(), 1.0)]
        found = await writer.outcome(worker, OutcomeBatch(done=done, states=[], replies=replies, forwards=[], parked=[]))
        await writer.close()
        return found[message][0]

    async def mark(self, answer: int) -> None:
        marker = Marker(self.dsn, application="test")
        await marker.marks([Mark(self.partition, answer, "sent", "", "", "", 1)])
        await marker.close()


def play(dsn: str, story):
    async def run():
        postgres = await Postgres.open(dsn)
        world = World(dsn, postgres)
        try:
            await world.begin()
            return await story(world)
        finally:
            await world.rows.close()
            await postgres.close()

    return asyncio.run(run())


def test_every_step_of_the_road_is_seen(postgres_dsn):
    async def story(world: World):
        assert await world.trail() is None
        message = await world.keep("k1")
        seen = [await world.trail()]
        membership = Membership(world.dsn, application="test")
        worker = await membership.join("worker-a", 30.0)
        await membership.claim(worker, 64)
        seen.append(await world.trail())
        answer = await world.answer(worker, message)
        seen.append(await world.trail())
        await world.mark(answer)
        seen.append(await world.trail())
        await membership.close()
        return seen

    kept, owned, answered, sent = play(postgres_dsn, story)
    assert (kept.waits, kept.worker, kept.alive) == (True, None, False)
    assert (owned.waits, owned.worker, owned.alive) == (True, "worker-a", True)
    assert (answered.waits, answered.unsent, answered.outcome) == (False, True, None)
    assert (sent.unsent, sent.outcome) == (False, "sent")


def test_old_messages_are_forgotten_and_those_on_their_way_are_not(postgres_dsn):
    async def story(world: World):
        membership = Membership(world.dsn, application="test")
        worker = await membership.join("worker-a", 30.0)
        await world.mark(await world.answer(worker, await world.keep("old")))
        await world.keep("waits")
        unsent = await world.answer(worker, await world.keep("unsent"))
        await membership.close()
        assert await world.rows.sweep(world.account, [world.conversation], older=3600) == 0
        gone = await world.rows.sweep(world.account, [world.conversation], older=0)
        connection = await asyncpg.connect(world.dsn)
        try:
            left = [row["id"] for row in await connection.fetch("SELECT id FROM message ORDER BY id")]
            counts = [
                await connection.fetchval(f"SELECT count(*) FROM {table}") for table in ("seen", "delivery", "inbox", "outbox")
            ]
        finally:
            await connection.close()
        return gone, left, counts, unsent

    gone, left, counts, unsent = play(postgres_dsn, story)
    assert (gone, len(left), left[-1]) == (3, 2, unsent)  # «unsent» itself was handled; its answer waits
    assert counts == [0, 0, 1, 1]


def test_it_is_hidden_unless_asked_for(postgres_dsn):
    async def story(world: World):
        await world.registry.ensure_bot("shop", "python")
        await world.registry.ensure_webchat("shop")
        return (
            [bot.name for bot in await world.registry.bots(limit=9)],
            [bot.name for bot in await world.registry.bots(limit=9, internal=True)],
            [channel.kind for channel in await world.registry.channels(limit=9)],
            [channel.kind for channel in await world.registry.channels(limit=9, internal=True)],
            [channel.kind for channel in await world.registry.channels(limit=9, bot="canary")],
        )

    shown = play(postgres_dsn, story)
    assert shown == (["shop"], ["shop", "canary"], ["webchat"], ["webchat", "loopback"], ["loopback"])


def test_making_it_twice_makes_one(postgres_dsn):
    async def story(world: World):
        again = await ensure_channel(world.postgres, world.registry, "canary", kind="loopback", prepared=made())
        return world.account, again, await ensure_bot(world.postgres, "canary")

    first, again, number = play(postgres_dsn, story)
    assert (again.public_id, again.bot) == (first.public_id, first.bot) == (first.public_id, number)
    assert {name: value.reveal() for name, value in again.secrets.items()} == {n: v.reveal() for n, v in first.secrets.items()}


def test_an_operators_bot_keeps_its_name_and_ours_cannot_be_taken(postgres_dsn):
    async def story(world: World):
        try:
            await world.registry.ensure_bot("canary", "python")
        except Conflict:
            taken = True
        await world.registry.ensure_bot("finch", "python")
        return taken, await ensure_bot(world.postgres, "finch")

    assert play(postgres_dsn, story) == (True, None)
