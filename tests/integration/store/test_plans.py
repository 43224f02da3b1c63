"""The road finds rows by index, also in a part of history that was tiny when it was last analysed."""

from __future__ import annotations

import asyncio
import re

import asyncpg
import pytest

from botstead.store.road import SQL, Reader

READ = (list(range(64)), [], 100, [], 0, [])
UNSENT = (list(range(64)),)


@pytest.mark.parametrize(("statement", "arguments"), [("read", READ), ("unsent", UNSENT), ("overlooked", (*UNSENT, [], 100))])
def test_no_statement_reads_a_whole_part_because_it_was_small_once(postgres_dsn, statement, arguments):
    # Autovacuum analyses a part that has some 60 rows. A plan made then is kept, and a burst comes before the next analysis.
    async def story():
        connection = await asyncpg.connect(postgres_dsn)
        await connection.execute(
            "INSERT INTO message (id, direction, bot, channel, conversation, body) "
            "SELECT i, 0, 1, 1, '1.1', 'hello' FROM generate_series(1, 60) AS i"
        )
        await connection.execute("ANALYZE message_0")
        await connection.close()
        reader = Reader(postgres_dsn, application="plans")
        try:
            return await reader._held.fetch("EXPLAIN " + SQL[statement], *arguments)
        finally:
            await reader.close()

    plan = [row[0] for row in asyncio.run(story())]
    scans = [place for place, line in enumerate(plan) if " on message_" in line]
    assert scans
    assert all(re.search(r"Index Cond: \(\(?id >?= ([a-z]\.id|[a-z]\.reply_to)\)", plan[place + 1]) for place in scans), plan
