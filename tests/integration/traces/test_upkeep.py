"""Notes are dropped after a week, and traces of closed parts of history are found by index."""

from __future__ import annotations

import asyncio
import uuid

from botstead.store import journeys
from botstead.store.postgres import Postgres
from botstead.store.search import CLOSED_AFTER, PART_ROWS
from botstead.store.trace_index import index_traces
from botstead.store.upkeep import Upkeep

SETUP = """
INSERT INTO bot (name, kind) VALUES ('a', 'python');
INSERT INTO channel (public_id, bot, kind) VALUES ('ch_a', 1, 'webchat');
INSERT INTO message (id, direction, bot, channel, conversation, trace)
SELECT n, 0, 1, 1, '1.a', md5(n::text)::uuid FROM generate_series(1, 30000) AS n;
SELECT setval('message_id', 30000);
ANALYZE message;
"""
FAR = "SELECT setval('message_id', $1)"


def on_postgres(dsn, story) -> None:
    async def main():
        postgres = await Postgres.open(dsn)
        try:
            await story(postgres)
        finally:
            await postgres.close()

    asyncio.run(main())


def test_old_notes_are_dropped_in_batches(postgres_dsn):
    async def story(postgres):
        upkeep = Upkeep(postgres_dsn, application="test")
        async with postgres.connection() as connection:
            await connection.execute(
                "INSERT INTO hop (message, send, attempt, began, ended, outcome)"
                " SELECT n, false, 1, extract(epoch FROM now()) - n * 86400, 0, 'ok' FROM generate_series(1, 10) AS n"
            )
            await upkeep.forget_hops(days=7, batch=2)
            assert await connection.fetchval("SELECT count(*) FROM hop") == 8
            await upkeep.forget_hops(days=7, batch=100)
            assert await connection.fetchval("SELECT max(message) FROM hop") == 6  # the seventh is older by a moment
        await upkeep.close()

    on_postgres(postgres_dsn, story)


def test_traces_of_closed_parts_get_an_index_once(postgres_dsn):
    trace = uuid.UUID(hex="02e74f10e0327ad868d138f2b4fdd6f0")  # md5 of 27

    async def story(postgres):
        async with postgres.connection() as connection:
            await connection.execute(SETUP)
            assert await index_traces(postgres) == []  # the only part is open
            assert await journeys.find(connection, trace) == [27]
            await connection.execute("SELECT extend_message()")
            await connection.fetchval(FAR, PART_ROWS + CLOSED_AFTER)
            assert await index_traces(postgres) == ["message_0_trace"]
            assert await index_traces(postgres) == []
            assert await journeys.find(connection, trace) == [27]
            plan = await connection.fetch(
                "EXPLAIN "
                + journeys.SQL["traced"]
                .replace("$1", f"'{trace}'")
                .replace("$2", "0")
                .replace("$3", str(PART_ROWS))
                .replace("$4", "200")
            )
            assert any("message_0_trace" in row[0] for row in plan), plan
            await connection.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'message_0_trace'::regclass")
        assert await index_traces(postgres) == ["message_0_trace"]

    on_postgres(postgres_dsn, story)
