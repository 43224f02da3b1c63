"""History and search on a real Postgres: every page, every part, indexed or not."""

from __future__ import annotations

import asyncio
import random

import msgspec
import pytest

from botstead.core.errors import Invalid, NotFound
from botstead.store import queries
from botstead.store import search as module
from botstead.store.history import History
from botstead.store.postgres import Postgres
from botstead.store.transcripts import Scope

SETUP = """
INSERT INTO bot (name, kind) VALUES ('a', 'python'), ('b', 'python');
INSERT INTO channel (public_id, bot, kind) VALUES ('ch_a', 1, 'webchat'), ('ch_b', 2, 'webchat');
"""
INSERT = """
INSERT INTO message (id, direction, bot, channel, conversation, body)
SELECT * FROM unnest($1::bigint[], $2::smallint[], $3::integer[], $3::integer[], $4::text[], $5::text[])
"""


def on_history(dsn, story):
    async def main():
        postgres = await Postgres.open(dsn)
        try:
            async with postgres.unit() as connection:
                await connection.execute(SETUP)

            async def put(*rows):
                """Keep (id, direction, bot, conversation, body), in parts made as they are needed."""
                async with postgres.unit() as connection:
                    await connection.execute(
                        "SELECT setval('message_id', greatest($1, last_value)) FROM message_id", max(rows)[0]
                    )
                    await connection.execute("SELECT extend_message()")
                    for part in {row[0] // module.PART_ROWS for row in rows}:
                        await connection.execute(
                            f"CREATE TABLE IF NOT EXISTS message_{part} PARTITION OF message"
                            f" FOR VALUES FROM ({part * module.PART_ROWS}) TO ({(part + 1) * module.PART_ROWS})"
                        )
                    await connection.execute(INSERT, *map(list, zip(*rows, strict=True)))

            async def sql(statement, *arguments):
                async with postgres.unit() as connection:
                    return await connection.fetch(statement, *arguments)

            return await story(History(postgres), put, sql)
        finally:
            await postgres.close()

    return asyncio.run(main())


async def _all(read, limit, **more):
    """Follow the pages of a list to its end."""
    found, before, pages = [], None, 0
    while True:
        page = await read(limit=limit, before=before, **more)
        found += page.items
        pages += 1
        assert len(page.items) <= limit
        assert pages < 500
        if page.next is None:
            return found
        assert before is None or page.next < before
        before = page.next


def test_conversations_by_last_activity(postgres_dsn):
    dice = random.Random(7)
    rows = [
        (number, dice.choice([0, 0, 1, 2]), 1 + number % 2, f"{1 + number % 2}.c{dice.randrange(40)}", "x")
        for number in range(1, 3_000)
    ]
    last = {conversation: number for number, direction, _bot, conversation, _body in rows if direction != 2}
    expected = sorted(last, key=lambda conversation: -last[conversation])

    async def story(history, put, _sql):
        await put(*rows)
        for limit in (1, 7, 200):
            assert [talk.id for talk in await _all(history.conversations, limit)] == expected
        mine = await _all(history.conversations, 5, scope=Scope(bot=2))
        assert [talk.id for talk in mine] == [conversation for conversation in expected if conversation.startswith("2.")]
        assert mine[0].last_message == last[mine[0].id]
        assert await _all(history.conversations, 5, scope=Scope(channel=99)) == []

    on_history(postgres_dsn, story)


def test_conversations_go_on_where_work_was_cut_short(postgres_dsn):
    async def story(history, put, _sql):
        far = module.PART_ROWS * 2
        await put((5, 0, 1, "1.old", "x"), (far, 0, 1, "1.new", "x"))
        first = await history.conversations(limit=9)
        assert ([talk.id for talk in first.items], first.next is None) == (["1.new"], False)
        assert [talk.id for talk in await _all(history.conversations, 9)] == ["1.new", "1.old"]

    on_history(postgres_dsn, story)


@pytest.mark.parametrize("seed", range(3))
def test_conversations_below_any_id_whatever_is_read_at_once(postgres_dsn, monkeypatch, seed):
    monkeypatch.setattr("botstead.store.history.SPANS", (3, 7, 20))
    monkeypatch.setattr("botstead.store.history.ABOVE", (2, 5, 11))
    dice = random.Random(seed)
    rows = [(number, dice.choice([0, 1, 2]), 1, f"1.c{int(dice.paretovariate(0.5))}", "x") for number in range(1, 200)]
    last = {conversation: number for number, direction, _bot, conversation, _body in rows if direction != 2}

    async def story(history, put, _sql):
        await put(*rows)
        for before in range(1, 210, 7):
            expected = sorted((number for number in last.values() if number < before), reverse=True)
            found, position = [], before
            while position is not None:
                page = await history.conversations(limit=4, before=position)
                found += [talk.last_message for talk in page.items]
                assert page.next is None or page.next < position
                position = page.next
            assert found == expected

    on_history(postgres_dsn, story)


def test_the_middle_of_a_long_list_is_not_looked_up_one_by_one(postgres_dsn):
    # 1,000 conversations that all go on later: each was looked up by itself once, some 4,000 pages of the database.
    async def story(_history, _put, sql):
        await sql(
            "INSERT INTO message (id, direction, bot, channel, conversation, body)"
            " SELECT i, 0, 1, 1, '1.c' || (i * 7919) % 1000, 'hello' FROM generate_series(1, 40000) AS i"
        )
        await sql("ANALYZE message")
        asked = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + queries.load("history")["conversations"]
        ((plan,),) = await sql(asked, 18_000, 20_000, None, None, 50, 25_000)
        return msgspec.json.decode(plan)[0]["Plan"]

    plan = on_history(postgres_dsn, story)
    assert plan["Actual Rows"] == 0
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 500, plan


def test_looking_up_ends_with_the_page(postgres_dsn):
    async def story(_history, _put, sql):
        await sql(
            "INSERT INTO message (id, direction, bot, channel, conversation, body)"
            " SELECT i, 0, 1, 1, '1.c' || i, 'hello' FROM generate_series(1, 2000) AS i"
        )
        await sql("ANALYZE message")
        asked = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + queries.load("history")["conversations"]
        ((plan,),) = await sql(asked, 1, 2001, None, None, 10, 7001)
        return msgspec.json.decode(plan)[0]["Plan"]

    plan = on_history(postgres_dsn, story)
    assert plan["Actual Rows"] == 10
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 500, plan


def test_nothing_at_all(postgres_dsn):
    async def story(history, _put, _sql):
        assert (await history.conversations(limit=5)).items == ()
        assert (await history.search("word", limit=5)).items == ()
        assert (await history.messages("1.x", limit=5)).items == ()
        assert await history.index_closed_parts() == []

    on_history(postgres_dsn, story)


def test_messages_of_a_conversation_with_what_became_of_them(postgres_dsn):
    async def story(history, put, sql):
        await put(*[(number, number % 3, 1, "1.x", f"m{number}") for number in range(1, 30)])
        await sql("INSERT INTO delivery (id, outcome) VALUES (1, 'sent'), (4, 'unknown')")
        await sql(
            "INSERT INTO dead_letter (id, direction, bot, channel, conversation, reason) VALUES (7, 1, 1, 1, '1.x', 'gone')"
        )
        found = []
        before = None
        while True:
            page = await history.messages("1.x", limit=4, before=before)
            found += page.items
            before = page.next
            if before is None:
                break
        assert [message.id for message in found] == [number for number in range(29, 0, -1) if number % 3 != 2]
        statuses = {message.id: message.status for message in found}
        assert [statuses[number] for number in (1, 3, 4, 7, 10)] == ["sent", "received", "unknown", "failed", "waiting"]

    on_history(postgres_dsn, story)


WORDS = ["red", "apple", "grün", "Москва", "bread", "rain-coat", "50%", "under_score", "x@example.org", "Ünder"]


def _rows(dice, ids):
    return [
        (
            number,
            dice.choice([0, 1, 2]),
            dice.choice([1, 2]),
            "1.x",
            None if dice.random() < 0.05 else " ".join(dice.choices(WORDS, k=3)),
        )
        for number in ids
    ]


@pytest.mark.parametrize("indexed", [False, True])
def test_search_finds_the_same_with_and_without_an_index(postgres_dsn, indexed):
    dice = random.Random(3)
    closed = _rows(dice, dice.sample(range(1, module.PART_ROWS), 400))
    still_open = _rows(dice, range(module.PART_ROWS + 20_000, module.PART_ROWS + 26_500, 10))
    rows = sorted(closed + still_open)

    def expected(*words, bot=None):
        def holds(row):
            return row[1] != 2 and row[4] is not None and all(word.lower() in row[4].lower().split() for word in words)

        return [row[0] for row in reversed(rows) if holds(row) and bot in {None, row[2]}]

    async def story(history, put, sql):
        await put(*rows)
        if indexed:
            assert await history.index_closed_parts() == ["message_0_words"]
            assert await history.index_closed_parts() == []
            (row,) = await sql("SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'message%words'")
            assert row["count"] == 1
        for words in (
            ["red"],
            ["GRÜN", "apple"],
            ["москва"],
            ["rain-coat"],
            ["50%"],
            ["under_score"],
            ["x@example.org"],
            ["ünder"],
        ):
            found = await _all(lambda words=words, **page: history.search(" ".join(words), **page), 30)
            want = expected("50") if words == ["50%"] else expected(*words)
            if words == ["50%"]:
                want = [row[0] for row in reversed(rows) if row[1] != 2 and row[4] and "50%" in row[4]]
            assert [message.id for message in found] == want, words
        scoped = await _all(lambda **page: history.search("red", scope=Scope(bot=2), **page), 30)
        assert [message.id for message in scoped] == expected("red", bot=2)
        for absent in ("zebra", "re", "appl"):
            assert await _all(lambda absent=absent, **page: history.search(absent, **page), 30) == []

    on_history(postgres_dsn, story)


def test_chunks_are_indexed_until_their_part_is(postgres_dsn):
    size = module.CHUNK_ROWS

    async def names(sql):
        return [
            row["indexname"]
            for row in await sql("SELECT indexname FROM pg_indexes WHERE indexname LIKE 'message%words%' ORDER BY 1")
        ]

    async def story(history, put, sql):
        ids = [3, size - 1, size, size * 2 + 7, size * 3 + module.CLOSED_AFTER]
        await put(*[(number, 0, 1, "1.x", f"needle n{number}") for number in ids])
        assert await history.index_closed_parts() == [f"message_0_words_{chunk}" for chunk in range(3)]
        assert await history.index_closed_parts() == []
        assert [message.id for message in await _all(lambda **page: history.search("needle", **page), 2)] == ids[::-1]
        assert [message.id for message in (await history.search("needle", limit=9, before=size)).items] == [size - 1, 3]
        await sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'message_0_words_1'::regclass")
        assert await history.index_closed_parts() == ["message_0_words_1"]
        await put((module.PART_ROWS + module.CLOSED_AFTER, 0, 1, "1.x", "needle"))
        assert await history.index_closed_parts() == ["message_0_words"]
        assert await names(sql) == ["message_0_words"]
        assert len(await _all(lambda **page: history.search("needle", **page), 2)) == len(ids) + 1

    on_history(postgres_dsn, story)


def test_messages_are_kept_while_an_index_is_built(postgres_dsn):
    async def story(history, put, sql):
        await put((1, 0, 1, "1.x", "a"), (module.CHUNK_ROWS + module.CLOSED_AFTER, 0, 1, "1.x", "b"))
        async with history._postgres.unit() as connection:
            await connection.execute("INSERT INTO message (id, direction, bot, channel, conversation) VALUES (2, 0, 1, 1, '1.x')")
            building = asyncio.create_task(history.index_closed_parts())
            async with asyncio.timeout(10):
                while not (await sql("SELECT FROM pg_stat_progress_create_index")):  # noqa: ASYNC110  # Postgres has no event for it
                    await asyncio.sleep(0.01)
            await sql("INSERT INTO message (id, direction, bot, channel, conversation) VALUES (3, 0, 1, 1, '1.x')")
        assert await building == ["message_0_words_0"]
        (row,) = await sql("SHOW statement_timeout")
        assert row["statement_timeout"] == "5s"

    on_history(postgres_dsn, story)


def test_search_without_words_is_the_newest(postgres_dsn):
    async def story(history, put, _sql):
        await put(*[(number, number % 3, 1 + number % 2, "1.x", "t") for number in range(1, 1_000)])
        found = await _all(lambda **page: history.search("  ", **page), 200, scope=Scope(bot=2))
        assert [message.id for message in found] == [number for number in range(999, 0, -1) if number % 3 != 2 and number % 2]
        for text in ("!!", "%", "'", "\\"):
            with pytest.raises(Invalid):
                await history.search(text, limit=5)

    on_history(postgres_dsn, story)


def test_reading_is_bounded_and_goes_on(postgres_dsn):
    async def story(history, put, _sql):
        await put((5, 0, 1, "1.x", "needle"), (module.PART_ROWS * 3, 0, 1, "1.x", "hay"))
        first = await history.search("needle", limit=5)
        assert first.items == ()
        assert first.next is not None
        assert [message.id for message in await _all(lambda **page: history.search("needle", **page), 5)] == [5]

    on_history(postgres_dsn, story)


def test_the_timeline_of_a_question_and_its_answer(postgres_dsn):
    async def story(history, put, sql):
        await put((1, 0, 1, "1.x", "question"), (2, 1, 1, "1.x", "answer"), (3, 0, 1, "1.x", "other"))
        await sql("UPDATE message SET reply_to = 1, began = at - interval '1 second', payload = '{\"a\":1}' WHERE id = 2")
        await sql("INSERT INTO outbox (partition, id) VALUES (9, 2)")
        assert [step.what for step in (await history.one(2)).timeline] == [
            "received",
            "handling_began",
            "said",
            "waiting_in_outbox",
        ]
        await sql("DELETE FROM outbox")
        await sql(
            "INSERT INTO delivery (id, outcome, external_id, reason, detail) VALUES (2, 'failed', 'e', 'gone', 'they left')"
        )
        asked = await history.one(1)
        assert [(step.what, step.message) for step in asked.timeline] == [
            ("received", None),
            ("handling_began", None),
            ("answered", 2),
            ("failed", 2),
        ]
        said = await history.one(2)
        assert (said.timeline[-1].reason, said.timeline[-1].detail, said.external_id) == ("gone", "they left", "e")
        assert bytes(said.payload) == b'{"a":1}'
        assert [step.what for step in (await history.one(3)).timeline] == ["received", "handled"]
        await sql("INSERT INTO inbox (partition, bot, id, conversation, attempts, error) VALUES (3, 1, 3, '1.x', 2, 'KeyError')")
        waiting = (await history.one(3)).timeline[-1]
        assert (waiting.what, waiting.attempts, waiting.detail) == ("waiting_in_inbox", 2, "KeyError")
        with pytest.raises(NotFound):
            await history.one(4)

    on_history(postgres_dsn, story)
