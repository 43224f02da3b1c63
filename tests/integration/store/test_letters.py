"""Dead letters on a real Postgres: found by filter, put back once for each failure."""

from __future__ import annotations

import asyncio

import pytest

from botstead.core.errors import Conflict, NotFound
from botstead.pipeline.partitions import partition_of
from botstead.store.letters import BATCH, Filter, Letters
from botstead.store.postgres import Postgres

SETUP = """
INSERT INTO bot (name, kind) VALUES ('a', 'python'), ('b', 'python');
INSERT INTO channel (public_id, bot, kind) VALUES ('ch_a', 1, 'webchat'), ('ch_b', 2, 'webchat');
"""
FILL = """
WITH made AS (
    INSERT INTO message (id, direction, bot, channel, conversation, body)
    SELECT nextval('message_id'), $1::smallint, $2::integer, $2::integer, $2::integer || '.x' || n % 7, 'text' FROM generate_series(1, $3::integer) n RETURNING *
)
INSERT INTO dead_letter (id, direction, bot, channel, conversation, reason, error, attempts)
SELECT id, direction, bot, channel, conversation, $4, 'why', 5 FROM made RETURNING id
"""


def on_letters(dsn, story):
    async def main():
        postgres = await Postgres.open(dsn)
        try:
            async with postgres.unit() as connection:
                await connection.execute(SETUP)

            async def fill(direction, bot, count, reason="failed"):
                async with postgres.unit() as connection:
                    return [row["id"] for row in await connection.fetch(FILL, direction, bot, count, reason)]

            async def sql(statement, *arguments):
                async with postgres.unit() as connection:
                    return await connection.fetch(statement, *arguments)

            return await story(Letters(postgres, partition_of), fill, sql)
        finally:
            await postgres.close()

    return asyncio.run(main())


def test_letters_are_listed_by_page_and_filter(postgres_dsn):
    async def story(letters, fill, _sql):
        first = await fill(0, 1, 5)
        second = await fill(1, 2, 2, "gone")
        page = await letters.list(limit=3)
        assert [letter.id for letter in page.items] == [*second[::-1], first[-1]]
        rest = await letters.list(limit=9, before=page.next)
        assert ([letter.id for letter in rest.items], rest.next) == (first[-2::-1], None)
        for matching in (
            Filter(bot=2),
            Filter(channel=2),
            Filter(reason="gone"),
            Filter(direction="out"),
            Filter(first=second[0]),
        ):
            assert {letter.id for letter in (await letters.list(limit=9, matching=matching)).items} == set(second)
        letter = await letters.get(second[0])
        assert (letter.bot, letter.channel, letter.direction, letter.error, letter.attempts) == ("b", "ch_b", "out", "why", 5)
        with pytest.raises(NotFound):
            await letters.get(10**6)

    on_letters(postgres_dsn, story)


def test_one_is_put_back_once_for_each_failure(postgres_dsn):
    async def story(letters, fill, sql):
        (came,), (said,) = await fill(0, 1, 1), await fill(1, 1, 1, "gone")
        await sql("INSERT INTO delivery (id, outcome, reason) VALUES ($1, 'failed', 'gone')", said)
        results = await asyncio.gather(*(letters.replay(came) for _ in range(4)), return_exceptions=True)
        assert [type(result) for result in results].count(Conflict) == 3
        await letters.replay(said)
        (waiting,) = await sql("SELECT * FROM inbox")
        assert (waiting["id"], waiting["attempts"], waiting["partition"]) == (came, 0, partition_of(waiting["conversation"]))
        assert [row["id"] for row in await sql("SELECT id FROM outbox")] == [said]
        assert await sql("SELECT FROM delivery") == []
        assert [letter.id for letter in (await letters.list(limit=9, replayed=True)).items] == [said, came]
        await sql("DELETE FROM inbox")
        await sql("UPDATE dead_letter SET replayed_at = NULL WHERE id = $1", came)
        await letters.replay(came)
        with pytest.raises(NotFound):
            await letters.replay(10**6)

    on_letters(postgres_dsn, story)


def test_many_are_put_back_by_filter_and_range_each_once(postgres_dsn):
    async def story(letters, fill, sql):
        ids = await fill(0, 1, BATCH * 2 + 10)
        other = await fill(0, 2, 3)
        assert (await letters.replay_all(Filter(bot=1), dry_run=True)).left == len(ids)
        part = await letters.replay_all(Filter(first=ids[0], last=ids[9]))
        assert (part.replayed, part.left) == (10, 0)
        results = await asyncio.gather(*(letters.replay_all(Filter(bot=1)) for _ in range(3)))
        assert sum(result.replayed for result in results) == len(ids) - 10
        back = await sql("SELECT id, partition, conversation FROM inbox ORDER BY id")
        assert [row["id"] for row in back] == ids
        assert all(row["partition"] == partition_of(row["conversation"]) for row in back)
        assert (await letters.replay_all(Filter(bot=1))).replayed == 0
        assert (await letters.replay_all(Filter(), dry_run=True)).left == len(other)

    on_letters(postgres_dsn, story)


def test_old_ones_are_let_go(postgres_dsn):
    async def story(letters, fill, sql):
        ids = await fill(0, 1, 3)
        await sql("UPDATE dead_letter SET at = at - interval '2 days' WHERE id < $1", ids[-1])
        assert await letters.purge(86_400) == 2
        assert [letter.id for letter in (await letters.list(limit=9)).items] == ids[-1:]
        assert len(await sql("SELECT FROM message")) == 3

    on_letters(postgres_dsn, story)
