"""The road finds rows by their keys, also in tables that were tiny or empty when they were last analysed.

A plan that was made then is kept by the connections that are held, and a burst comes before the next analysis.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection

import asyncpg
import pytest

from botstead.store.road import SQL, Marker, Reader, Writer

PARTITIONS = list(range(64))
ONE = ([1], [1], [1])
NONE = [[]]
CASES = {
    "read": (Reader, (PARTITIONS, [], 100, [], 0, [])),
    "unsent": (Reader, (PARTITIONS,)),
    "overlooked": (Reader, (PARTITIONS, [], 100)),
    "ghost": (Reader, (1, "1.1")),
    "states": (Reader, ([1], ["1.1"])),
    "outcome": (Writer, (1, *ONE, *NONE * 3, *NONE * 6, *NONE * 6, [1], ["gone"], [""], [1])),
    "failed": (Writer, (1, *ONE, [1.0], [""], [1], [0])),
    "suspect": (Writer, (1, *ONE)),
    "marks": (Marker, ([1], [1], ["failed"], [""], [""], [""], [1])),
    "postpone": (Marker, ([1], [1], [1], [1.0], [False])),
}
READS = {"read", "unsent", "overlooked", "ghost", "states"}
KEYED = {
    # what `read` scans is not one row: it takes its pages in the order of the key
    "inbox_pkey": r"partition = \w+\.(partition|n)\)($| AND \(bot = \w+\.bot\)($|\)$| AND \(id (= d\.id|> .*)\)))",
    "outbox_pkey": r"partition = (\w+\.partition\) AND \(id = \w+\.id\)|ANY \(|\$1|1\)|'1')",
    "conversation_pkey": r"\(bot = \w+\.bot\) AND \(conversation = \w+\.conversation\)",
    "message_pkey": r"\(id (>=|=) ",
    "message_conversation": r"\(conversation = \w+\.conversation\) AND \(id = ",
}
ENTRIES = "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'inbox_pkey'"
FILL = (
    "INSERT INTO message (id, direction, bot, channel, conversation, body) SELECT i, 0, 1, 1, '1.1', '' FROM generate_series(1, $1::bigint) i",
    "INSERT INTO inbox (partition, bot, id, conversation) SELECT 1, 1, i, '1.1' FROM generate_series(1, $1::bigint) i",
    "INSERT INTO outbox (partition, id) SELECT 1, i FROM generate_series(1, $1::bigint) i",
    "INSERT INTO conversation (bot, conversation, version, state) SELECT i, '1.1', 1, '{}' FROM generate_series(1, $1::bigint) i",
)


async def _analysed(connection: asyncpg.Connection, *, rows: int, left: int) -> None:
    """Fill each table, take from the queues all but some, and analyse."""
    for statement in FILL:
        await connection.execute(statement, rows)
    for queue in ("inbox", "outbox"):
        await connection.execute(f"DELETE FROM {queue} WHERE id > $1", left)
    await connection.execute("VACUUM ANALYZE")


def _scans(plan: list[str]) -> list[tuple[str, str]]:
    """Return the index and the condition of each scan of the tables in question; a part's index counts as its table's."""
    found = []
    for place, line in enumerate(plan):
        match = re.search(r"Scan (?:Backward )?(?:using|on) ((message|inbox|outbox|conversation)\w*(?:_pkey|_idx))", line)
        if match:
            index = "message_conversation" if "conversation_id_idx" in match[1] else f"{match[2]}_pkey"
            found.append((index, plan[place + 1] if "Index Cond" in plan[place + 1] else ""))
    return found


async def _plans(dsn: str, names: Collection[str], *, rows: int, left: int) -> dict[str, list[str]]:
    connection = await asyncpg.connect(dsn)
    await _analysed(connection, rows=rows, left=left)
    await connection.close()
    plans = {}
    for name in names:
        kind, arguments = CASES[name]
        part = kind(dsn, application="plans")
        try:
            plans[name] = [row[0] for row in await part._held.fetch("EXPLAIN " + SQL[name], *arguments)]
        finally:
            await part.close()
    return plans


def _check(plans: dict[str, list[str]], spared: Collection[tuple[str, str]] = ()) -> None:
    for name, plan in plans.items():
        story = "\n".join([name, *plan])
        assert not re.search(r"Seq Scan on (message|inbox|outbox|conversation)", story), story
        scans = _scans(plan)
        assert scans, story
        for index, condition in scans:
            assert (name, index) in spared or re.search(KEYED[index], condition.rstrip()), story


@pytest.mark.parametrize(("rows", "left"), [(1, 1), (60, 1), (20_000, 0)])
def test_what_is_read_is_found_by_its_keys_whatever_was_there_at_the_last_analysis(postgres_dsn, rows, left):
    _check(asyncio.run(_plans(postgres_dsn, READS, rows=rows, left=left)))


@pytest.mark.parametrize(("rows", "left"), [(60, 60), (20_000, 0), (20_000, 20)])
def test_what_is_changed_is_found_by_its_keys_whatever_was_there_at_the_last_analysis(postgres_dsn, rows, left):
    # A send that was given up for good may look for its message in all of an index: `marks` knows no conversation.
    _check(
        asyncio.run(_plans(postgres_dsn, set(CASES) - READS, rows=rows, left=left)), spared={("marks", "message_conversation")}
    )


def test_an_outcome_is_as_cheap_in_a_backlog_that_nobody_has_analysed(postgres_dsn):
    # The plan was made for an empty queue: each outcome read all of the backlog.
    async def story():
        connection = await asyncpg.connect(postgres_dsn)
        await connection.execute("ALTER TABLE inbox SET (autovacuum_enabled = off)")
        await _analysed(connection, rows=20_000, left=0)
        worker = await connection.fetchval("INSERT INTO worker (name, lease_until) VALUES ('w', now()) RETURNING id")
        writer = Writer(postgres_dsn, application="plans")
        nothing = (*NONE * 3, *NONE * 6, *NONE * 6, *NONE * 4)

        async def read(*done: list[int]) -> int:
            """Conclude, and count the entries of the index that were read for it."""
            before = await connection.fetchval(ENTRIES)
            await writer._held.fetch(SQL["outcome"], worker, *done, *nothing)
            await writer._held.fetch("SELECT pg_stat_force_next_flush()")
            await writer._held.fetch("SELECT 1")
            return int(await connection.fetchval(ENTRIES) - before)

        try:
            for _ in range(8):
                await read(*ONE)
            await connection.execute(FILL[1], 20_000)
            return await read([1] * 32, [1] * 32, list(range(1, 33))), await connection.fetchval("SELECT count(*) FROM inbox")
        finally:
            await writer.close()
            await connection.close()

    entries, left = asyncio.run(story())
    assert left == 20_000 - 32
    assert 32 <= entries < 100
