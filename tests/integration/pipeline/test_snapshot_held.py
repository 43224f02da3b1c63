"""While a stranger's snapshot keeps everything that was ever done: cheap looks, in order, and nothing passed over."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import asyncpg
import pytest

from botstead.pipeline import horizon, worker
from botstead.pipeline.partitions import conversation_key, partition_of
from botstead.store.road import Above, Reader
from tests.integration.pipeline.road import message, on_road, until
from tests.integration.pipeline.test_handling import count_state

DEAD = 20_000
ENTRIES = "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'inbox_pkey'"


@asynccontextmanager
async def snapshot(dsn):
    """A transaction that somebody forgot."""
    stranger = await asyncpg.connect(dsn)
    try:
        async with stranger.transaction(isolation="repeatable_read"):
            await stranger.fetchval("SELECT pg_current_xact_id()::text")
            yield
    finally:
        await stranger.close()


@pytest.fixture
def looks(monkeypatch):
    """Every look at everything is dear, and each look is noted."""
    monkeypatch.setattr(horizon, "DEAR", 0.0)
    monkeypatch.setattr(horizon, "SHARE", 1e9)
    monkeypatch.setattr(horizon, "LAG", 0.1)
    monkeypatch.setattr(worker, "POLL_EVERY", 0.05)
    seen = []
    read = Reader.read

    async def noted(self, *arguments, **options):
        seen.append(options["above"].floor)
        return await read(self, *arguments, **options)

    monkeypatch.setattr(Reader, "read", noted)
    return seen


def test_a_look_above_an_id_does_not_walk_over_what_was_done(postgres_dsn):
    async def entries(connection, reader, above):
        before = await connection.fetchval(ENTRIES)
        await reader.read([0], known=[], page=32, full=[], above=above)
        await reader._held.fetch("SELECT pg_stat_force_next_flush()")
        await reader._held.fetch("SELECT 1")
        await connection.execute("SELECT pg_stat_clear_snapshot()")
        return await connection.fetchval(ENTRIES) - before

    async def story():
        connection = await asyncpg.connect(postgres_dsn)
        reader = Reader(postgres_dsn, application="test")
        async with snapshot(postgres_dsn):
            await connection.execute(
                "INSERT INTO inbox (partition, bot, id, conversation) SELECT 0, 1, i, '1.c' FROM generate_series(1, $1::bigint) i",
                DEAD,
            )
            await connection.execute("DELETE FROM inbox")
            await connection.execute("SELECT pg_stat_force_next_flush()")
            await connection.execute("SELECT 1")
            whole = await entries(connection, reader, Above(0, ()))
            newest = await entries(connection, reader, Above(DEAD - 10, (1,)))
        await reader.close()
        await connection.close()
        return whole, newest

    whole, newest = asyncio.run(story())
    assert whole >= DEAD
    assert newest <= 20


def test_the_newest_alone_are_handled_in_order_while_partitions_move(postgres_dsn, looks):
    async def story(road):
        account = await road.bot("echo", count_state)
        await road.worker("w1", lease=3.0)
        for n in range(12):
            await road.inbox.accept(account, tuple(message(f"c{c}", f"c{c}-{n}", str(n)) for c in range(20)))
            if n == 4:
                second = await road.worker("w2", lease=3.0)
            if n == 8:
                await road.end(second)
            await asyncio.sleep(0.05)  # a rhythm, so that floors rise meanwhile; nothing is waited for by it
        await road.settled()
        for c in range(20):
            assert road.network.texts(f"c{c}") == [f"{n + 1}:{n}" for n in range(12)]
        assert any(looks), "no look was spared"

    on_road(postgres_dsn, story)


def test_a_row_that_commits_late_below_everything_seen_is_found(postgres_dsn, looks):
    async def story(road):
        account = await road.bot("echo", count_state)
        await road.worker()
        (late,) = await road.fetch("SELECT nextval('message_id') AS id")
        for n in range(200):
            await road.inbox.accept(account, (message("c", f"k{n}", str(n)),))
            await until(lambda n=n: len(road.network.sent) == n + 1, what="the answer")
            if looks and looks[-1] > late["id"]:
                break
        assert looks[-1] > late["id"], "the late one is not below the floor"
        key = conversation_key(account.id, "late")
        await road.fetch(
            "INSERT INTO message (id, direction, bot, channel, conversation, body, payload, trace) "
            "SELECT $1, 0, bot, channel, $2, 'late', payload, trace FROM message WHERE direction = 0 ORDER BY id LIMIT 1",
            late["id"],
            key,
        )
        await road.fetch(
            "INSERT INTO inbox (partition, bot, id, conversation) VALUES ($1, $2, $3, $4)",
            partition_of(key),
            account.bot,
            late["id"],
            key,
        )
        await until(lambda: road.network.texts("late") == ["1:late"], seconds=horizon.LONGEST + 5, what="the late answer")

    on_road(postgres_dsn, story)
