"""The ledger on a real Postgres: added once whatever happens, summed by time, kept small."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from botstead.core.errors import Unavailable
from botstead.store.ledger import KEEP, MERGE_AFTER, BotPromise, Counted, LedgerRows, Series
from botstead.store.postgres import Postgres, RowRefused

HOUR, DAY = 3600.0, 86_400.0
WEATHER = Series("delivery_bot", (("bot", "weather"),))
SHOP = Series("delivery_bot", (("bot", "shop"),))
ALL = Series("delivery")


def on_ledger(dsn, story, **more):
    async def main():
        postgres = await Postgres.open(dsn)
        try:

            async def sql(statement, *arguments):
                async with postgres.connection() as connection:
                    return await connection.fetch(statement, *arguments)

            return await story(LedgerRows(postgres, **more), sql)
        finally:
            await postgres.close()

    return asyncio.run(main())


def test_sums_by_length_and_labels(postgres_dsn):
    async def story(rows, _sql):
        await rows.add(
            uuid4(),
            1,
            [
                Counted(WEATHER, 0, 1, 10),
                Counted(WEATHER, 2 * HOUR, 2, 20),
                Counted(WEATHER, 20 * DAY, 4, 40),
                Counted(WEATHER, 34 * DAY, 8, 80),
                Counted(SHOP, 0, 3, 3),
                Counted(ALL, 0, 4, 13),
            ],
        )
        found = await rows.sums([HOUR, DAY, 30 * DAY])
        seen = {(one.objective, one.labels.get("bot"), one.length): (one.bad, one.total) for one in found}
        assert seen[("delivery_bot", "weather", HOUR)] == (1, 10)
        assert seen[("delivery_bot", "weather", DAY)] == (3, 30)
        assert seen[("delivery_bot", "weather", 30 * DAY)] == (7, 70)
        assert seen[("delivery", None, HOUR)] == (4, 13)
        [shop] = await rows.sums([DAY], objective="delivery_bot", labels={"bot": "shop"})
        assert (shop.bad, shop.total, shop.age < 600) == (3, 3, True)
        assert await rows.sums([DAY], objective="promptness") == []

    on_ledger(postgres_dsn, story)


def test_a_window_counts_when_it_reaches_into_the_time_asked_for(postgres_dsn):
    async def story(rows, sql):
        await rows.add(uuid4(), 1, [Counted(ALL, 0, 0, 1)])
        for ago, counts in ((599, True), (601, False)):
            await sql("UPDATE objective_ledger SET at = now() - make_interval(secs => $1)", float(ago))
            assert bool(await rows.sums([300])) is counts

    on_ledger(postgres_dsn, story)


def test_a_batch_whose_answer_was_lost_is_added_once(postgres_dsn):
    async def story(rows, _sql):
        writer, other = uuid4(), uuid4()
        for _ in range(3):
            await rows.add(writer, 1, [Counted(ALL, 0, 1, 5)])
        await rows.add(other, 1, [Counted(ALL, 0, 0, 5)])
        await rows.add(writer, 2, [Counted(ALL, 0, 0, 2)])
        [one] = await rows.sums([HOUR])
        assert (one.bad, one.total) == (1, 12)

    on_ledger(postgres_dsn, story)


def test_many_processes_add_at_once_without_a_deadlock(postgres_dsn):
    series = [Series("x", (("bot", f"b{number}"),)) for number in range(40)]

    async def story(rows, _sql):
        async def add(number):
            own, writer = LedgerRows(rows._postgres), uuid4()
            order = series if number % 2 else series[::-1]
            for batch in range(1, 11):
                await own.add(writer, batch, [Counted(one, 0, 0, 1) for one in order])

        await asyncio.gather(*map(add, range(5)))
        assert {one.total for one in await rows.sums([HOUR])} == {50}
        assert len(await rows.sums([HOUR])) == 40

    on_ledger(postgres_dsn, story)


def test_old_windows_are_merged_and_very_old_ones_go(postgres_dsn):
    async def story(rows, sql):
        ages = [60.0 * minute for minute in range(0, 300, 5)]
        await rows.add(uuid4(), 1, [Counted(ALL, age, 1, 2) for age in ages])
        await rows.add(uuid4(), 1, [Counted(ALL, 10 * DAY + age, 1, 2) for age in ages])
        await rows.add(uuid4(), 1, [Counted(ALL, KEEP + HOUR, 100, 100)])
        for _ in range(2):
            await rows.tidy()
            [[young, old]] = await sql(
                "SELECT count(*) FILTER (WHERE at > now() - interval '1 day'), count(*) FILTER (WHERE at < now() - interval '9 days') "
                "FROM objective_ledger"
            )
            assert (young, old in (5, 6)) == (60, True)
            [one] = await rows.sums([40 * DAY])
            assert (one.bad, one.total) == (120, 240)
        await rows.add(uuid4(), 1, [Counted(ALL, 10 * DAY + 60, 1, 2)])  # late: a process that could not write for long
        await rows.tidy()
        [one] = await rows.sums([40 * DAY])
        assert (one.bad, one.total) == (121, 242)

    on_ledger(postgres_dsn, story)


def test_nothing_is_merged_that_an_alert_looks_at(postgres_dsn):
    async def story(rows, sql):
        await rows.add(uuid4(), 1, [Counted(ALL, 3 * DAY + 60.0 * minute, 0, 1) for minute in range(0, 60, 5)])
        await rows.tidy()
        [[windows]] = await sql("SELECT count(*) FROM objective_ledger")
        assert windows == 12

    assert MERGE_AFTER > 3 * DAY + HOUR
    on_ledger(postgres_dsn, story)


def test_processes_that_are_gone_are_forgotten(postgres_dsn):
    async def story(rows, sql):
        await rows.add(uuid4(), 1, [Counted(ALL, 0, 0, 1)])
        await sql("UPDATE objective_writer SET at = now() - interval '3 days'")
        await rows.add(uuid4(), 1, [Counted(ALL, 0, 0, 1)])
        await rows.tidy()
        assert len(await sql("SELECT FROM objective_writer")) == 1

    on_ledger(postgres_dsn, story)


def test_an_older_backup_was_restored(postgres_dsn):
    async def story(rows, sql):
        await rows.add(uuid4(), 1, [Counted(ALL, 0, 0, 1)])
        await sql("DELETE FROM objective_ledger")
        await sql("DELETE FROM objective_series")
        writer = uuid4()
        with pytest.raises(RowRefused):
            await rows.add(writer, 1, [Counted(ALL, 0, 0, 7)])
        await rows.add(writer, 1, [Counted(ALL, 0, 0, 7)])
        [one] = await rows.sums([HOUR])
        assert one.total == 7

    on_ledger(postgres_dsn, story)


def test_the_database_is_away(postgres_dsn):
    async def story(rows, _sql):
        await rows._postgres.close()
        with pytest.raises(Unavailable):
            await rows.add(uuid4(), 1, [Counted(ALL, 0, 0, 1)])

    on_ledger(postgres_dsn, story)


def test_what_bots_promise(postgres_dsn):
    async def story(rows, sql):
        await sql("INSERT INTO bot (name, kind) VALUES ('weather', 'python'), ('shop', 'python'), ('gone', 'python')")
        await rows.promise(1, BotPromise(seconds=2.5, target=99.95, critical=True))
        await rows.promise(2, BotPromise(seconds=5.0))
        await rows.promise(3, BotPromise(seconds=5.0))
        await sql("UPDATE bot SET deleted_at = now() WHERE name = 'gone'")
        await rows.promise(2, BotPromise(seconds=9.0))
        assert await rows.promises() == {
            "weather": BotPromise(seconds=2.5, target=99.95, critical=True),
            "shop": BotPromise(seconds=9.0),
        }

    on_ledger(postgres_dsn, story)


def test_a_month_of_fifty_bots_is_summed_up_at_once(postgres_dsn):
    """130 series, a month of hours and four days of five minutes: what the largest small installation keeps."""

    async def story(rows, sql):
        await sql(
            "INSERT INTO objective_series (objective, labels) SELECT 'o', jsonb_build_object('n', n) FROM generate_series(1, 130) n"
        )
        await sql(
            "INSERT INTO objective_ledger SELECT s.id, t, 1, 100 FROM objective_series s, "
            "generate_series(now() - interval '30 days', now() - interval '4 days', interval '1 hour') t"
        )
        await sql(
            "INSERT INTO objective_ledger SELECT s.id, t, 1, 100 FROM objective_series s, "
            "generate_series(now() - interval '4 days', now(), interval '5 minutes') t ON CONFLICT DO NOTHING"
        )
        await sql("ANALYZE objective_ledger")
        began = asyncio.get_running_loop().time()
        found = await rows.sums([300, 1800, HOUR, 2 * HOUR, 6 * HOUR, DAY, 3 * DAY, 30 * DAY])
        took = asyncio.get_running_loop().time() - began
        [[size]] = await sql("SELECT pg_total_relation_size('objective_ledger')")
        print(f"{took * 1000:.0f} ms, {size / 1e6:.1f} MB")
        assert len(found) == 130 * 8
        assert took < 3.0
        assert size < 40e6

    on_ledger(postgres_dsn, story)
