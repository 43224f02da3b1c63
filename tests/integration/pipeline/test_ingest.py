"""The durable door on a real Postgres: nothing twice, nothing acknowledged that is not kept, and no stranger pays."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import msgspec
import pytest

from botstead.core.errors import Unavailable, Unreadable
from botstead.core.messages import Event, Kind
from botstead.pipeline import inbox as inbox_module
from botstead.pipeline.partitions import conversation_key, partition_of
from botstead.telemetry.exemplars import kept
from tests.integration.pipeline.road import message, on_road, sever, until


def test_an_event_is_kept_once_whatever_it_says_the_second_time(postgres_dsn):
    async def story(road):
        account = await road.bot("echo")
        assert await road.inbox.accept(account, (message("c", "k", "first"),)) == 1
        assert await road.inbox.accept(account, (message("c", "k", "second"),)) == 0
        assert await road.inbox.accept(account, (message("d", "k", "elsewhere"),)) == 0
        assert [row["body"] for row in await road.fetch("SELECT body FROM message")] == ["first"]
        assert await road.count("inbox") == 1

    on_road(postgres_dsn, story)


def test_the_same_key_on_two_channels_is_two_events(postgres_dsn):
    async def story(road):
        one, two = await road.bot("one"), await road.bot("two")
        assert await road.inbox.accept(one, (message("c", "k"),)) == 1
        assert await road.inbox.accept(two, (message("c", "k"),)) == 1

    on_road(postgres_dsn, story)


def test_accept_one_returns_the_first_id_for_a_duplicate(postgres_dsn):
    async def story(road):
        account = await road.bot("echo")
        first = await road.inbox.accept_one(account, message("c", "k"))
        assert first > 0
        assert await road.inbox.accept_one(account, message("c", "k")) == first
        long = "k" * 5000
        assert await road.inbox.accept_one(account, message("c", long)) == await road.inbox.accept_one(
            account, message("c", long)
        )

    on_road(postgres_dsn, story)


def test_fifty_events_in_one_delivery_are_kept_in_order(postgres_dsn):
    async def story(road):
        account = await road.bot("echo")
        events = tuple(message("c", f"k{n % 49}", str(n)) for n in range(50))
        assert await road.inbox.accept(account, events) == 49
        rows = await road.fetch("SELECT m.body, i.partition FROM inbox i JOIN message m USING (id) ORDER BY i.id")
        assert [row["body"] for row in rows] == [str(n) for n in range(49)]
        assert {row["partition"] for row in rows} == {partition_of(conversation_key(account.id, "c"))}

    on_road(postgres_dsn, story)


def test_two_doors_and_the_same_events_at_once_keep_each_once(postgres_dsn):
    async def story(road):
        account = await road.bot("echo")
        events = [message(f"c{n}", f"k{n}") for n in range(60)]
        counts = await asyncio.gather(
            *(road.inbox.accept(account, (event,)) for event in events),
            *(road.inbox.accept(account, (event,)) for event in reversed(events)),
        )
        assert sum(counts) == 60
        assert await road.count("inbox") == await road.count("seen") == 60

    on_road(postgres_dsn, story)


@pytest.mark.parametrize(
    "event",
    [
        Event(kind=Kind.MESSAGE, conversation="c", key="bad", text="\ud800"),
        Event(kind=Kind.MESSAGE, conversation="\udfff", key="bad"),
        Event(kind=Kind.MESSAGE, conversation="c", key="\ud800"),
        Event(kind=Kind.MESSAGE, conversation="c" * 600, key="bad"),
        Event(kind=Kind.MESSAGE, conversation="c", key="bad", raw=msgspec.Raw(b'"\xff"')),
        Event(kind=Kind.MESSAGE, conversation="c", key="bad", message_id="\ud800"),
    ],
    ids=["text", "conversation", "key", "too long", "raw", "message id"],
)
def test_one_refused_event_costs_its_neighbours_nothing(postgres_dsn, event):
    async def story(road):
        account = await road.bot("echo")
        good = [asyncio.ensure_future(road.inbox.accept(account, (message(f"c{n}", f"k{n}"),))) for n in range(5)]
        bad = asyncio.ensure_future(road.inbox.accept(account, (event,)))
        more = [asyncio.ensure_future(road.inbox.accept(account, (message(f"c{n}", f"k{n}"),))) for n in range(5, 10)]
        assert await asyncio.gather(*good, *more) == [1] * 10
        with pytest.raises(Unreadable):
            await bad
        assert await road.count("inbox") == 10

    on_road(postgres_dsn, story)


def test_nul_is_kept_as_a_replacement_character(postgres_dsn):
    async def story(road):
        account = await road.bot("echo")
        raw = msgspec.Raw(b'{"text":"a\\u0000b"}')
        await road.worker()
        event = Event(kind=Kind.MESSAGE, conversation="c\0", key="k\0", text="a\0b", message_id="m\0", raw=raw)
        assert await road.inbox.accept(account, (event,)) == 1
        assert await road.inbox.accept(account, (event,)) == 0
        await road.settled()
        assert road.network.texts("c\0") == ["a\ufffdb"]

    on_road(postgres_dsn, story)


def test_crossing_into_a_part_of_history_that_is_not_there_makes_it(postgres_dsn):
    async def story(road):
        account = await road.bot("echo")
        await road.worker()
        for border in (2_500_000, 7_000_000):
            await road.fetch(f"SELECT setval('message_id', {border - 2})")
            events = tuple(message("c", f"{border}-{n}") for n in range(6))
            assert await road.inbox.accept(account, events) == 6
            await road.settled()
            await road.fetch(f"SELECT setval('message_id', {border + 2_999_998})")
            assert await road.inbox.accept(account, (message("c", f"{border}-last"),)) == 1
            await road.settled()
        assert len(road.network.texts("c")) == 14

    on_road(postgres_dsn, story)


def test_a_reply_may_be_the_first_in_its_part_of_history(postgres_dsn):
    async def story(road):
        account = await road.bot("echo")
        await road.inbox.accept(account, (message("c", "k"),))
        await road.fetch("SELECT setval('message_id', nextval('message_id') + 9000000)")
        await road.worker()
        await road.settled()
        assert road.network.texts("c") == ["k"]

    on_road(postgres_dsn, story)


def test_a_connection_severed_in_the_middle_is_unavailable_and_the_next_try_is_kept(postgres_dsn):
    async def story(road):
        account = await road.bot("echo")
        assert await road.inbox.accept(account, (message("c", "k0"),)) == 1
        async with road.postgres.unit() as connection:
            await connection.execute("LOCK TABLE seen")
            trying = asyncio.create_task(road.inbox.accept(account, (message("c", "k1"),)))
            blocked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            await until(lambda: connection.fetchval(blocked), what="the ingest waits for the lock")
            assert await sever(road.dsn, "%ingest") == 1
            with pytest.raises(Unavailable) as caught:
                await trying
            assert caught.value.after
        assert await road.inbox.accept(account, (message("c", "k1"),)) == 1
        assert await road.inbox.accept(account, (message("c", "k0"),)) == 0

    on_road(postgres_dsn, story)


def test_a_connection_severed_at_rest_costs_one_refusal_at_most(postgres_dsn):
    async def story(road):
        account = await road.bot("echo")
        assert await road.inbox.accept(account, (message("c", "k0"),)) == 1
        assert await sever(road.dsn, "%ingest") == 1
        with suppress(Unavailable):
            await road.inbox.accept(account, (message("c", "k1"),))
        await road.inbox.accept(account, (message("c", "k1"),))
        assert [row["body"] for row in await road.fetch("SELECT body FROM message ORDER BY id")] == ["k0", "k1"]

    on_road(postgres_dsn, story)


def test_a_full_backlog_refuses_and_opens_again(postgres_dsn, monkeypatch):
    monkeypatch.setattr(inbox_module, "BACKLOG_EVERY", 0.02)

    async def story(road):
        account = await road.bot("echo")
        road.inbox._backlog_limit = 5
        await road.inbox.accept(account, tuple(message("c", f"k{n}") for n in range(8)))
        await until(lambda: road.inbox._full)
        with pytest.raises(Unavailable):
            await road.inbox.accept(account, (message("c", "one more"),))
        await road.worker()
        await road.settled()
        await until(lambda: not road.inbox._full)
        assert await road.inbox.accept(account, (message("c", "one more"),)) == 1

    on_road(postgres_dsn, story)


def test_the_queue_in_memory_is_bounded_in_events_and_bytes(postgres_dsn, monkeypatch):
    monkeypatch.setattr(inbox_module, "QUEUE_LIMIT", 10)
    monkeypatch.setattr(inbox_module, "QUEUE_BYTES", 10_000)

    async def story(road):
        account = await road.bot("echo")
        with pytest.raises(Unavailable):
            await road.inbox.accept(account, tuple(message("c", f"k{n}") for n in range(11)))
        with pytest.raises(Unavailable):
            await road.inbox.accept(account, (message("c", "k", "x" * 20_000),))
        for n in range(30):
            assert await road.inbox.accept(account, (message("c", f"k{n}"),)) == 1
        assert (road.inbox._queued, road.inbox._bytes) == (0, 0)

    on_road(postgres_dsn, story)


def test_an_unknown_channel_is_looked_for_once_not_once_for_each_stranger(postgres_dsn):
    async def story(road):
        await road.bot("echo")
        reads = 0
        accounts = road.registry.accounts

        async def counted():
            nonlocal reads
            reads += 1
            return await accounts()

        road.registry.accounts = counted
        road.directory._tried_at = float("-inf")
        found = await asyncio.gather(*(road.directory.find(f"stranger{n}") for n in range(50)))
        assert found == [None] * 50
        assert reads == 1

    on_road(postgres_dsn, story)


def test_whoever_measures_finds_the_trace_of_what_was_kept(postgres_dsn):
    async def story(road):
        account = await road.bot("echo")
        await road.inbox.accept(account, (message("c", "k"),))
        assert [row["trace"] for row in await road.fetch("SELECT trace FROM message")] == [kept.get()]

    on_road(postgres_dsn, story)
