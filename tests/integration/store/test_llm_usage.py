"""What a day of a language model brings, on a real Postgres: set aside, settled, stopped."""

from __future__ import annotations

import asyncio

import pytest

from botstead.core.declared import LlmDeclared
from botstead.core.metering import LlmUsage, Reserved
from botstead.runtime.keyring import KeyRing
from botstead.runtime.sealing import Sealer
from botstead.store.llm_usage import UsageRows
from botstead.store.postgres import Postgres
from botstead.store.registry import Registry

MONEY = LlmDeclared(budget=1_000, price_in=1_000_000, price_out=2_000_000, currency="EUR")
TOKENS = LlmDeclared(tokens=1_000)


def on_rows(dsn, story):
    """Run a story on rows of its own, with a bot named poet."""

    async def main():
        postgres = await Postgres.open(dsn)
        try:
            sealer = Sealer(KeyRing(current="k1", keys={"k1": bytes(32)}, pepper=bytes(32)))
            number = await Registry(postgres, sealer).ensure_bot("poet", "python")
            await story(postgres, UsageRows(postgres), number)
        finally:
            await postgres.close()

    asyncio.run(main())


def test_a_day_adds_up(postgres_dsn):
    async def story(_postgres, rows, number):
        assert await rows.today(number) is None
        reserved = await rows.reserve("poet", MONEY, 400)
        usage = LlmUsage(asked=100, answered=50, cost=MONEY.cost(100, 50), requests=1, estimated=1)
        await rows.settle(reserved, usage)
        await rows.settle(reserved, usage)
        open_one = await rows.reserve("poet", MONEY, 300)
        day = await rows.today(number)
        assert (day.asked, day.answered, day.requests, day.estimated) == (100, 50, 1, 1)
        assert (day.cost, day.budget, day.left, day.set_aside, day.currency) == (2e-7, 1e-6, 8e-7, 3e-7, "EUR")
        assert open_one.amount == 300

    on_rows(postgres_dsn, story)


def test_tokens_are_counted_where_there_is_no_money(postgres_dsn):
    async def story(_postgres, rows, number):
        await rows.settle(await rows.reserve("poet", TOKENS, 600), LlmUsage(asked=500, answered=100, requests=1))
        assert await rows.reserve("poet", TOKENS, 401) is None
        assert await rows.reserve("poet", TOKENS, 401, least=1) == Reserved(2, 400)
        day = await rows.today(number)
        assert (day.cost, day.currency, day.budget, day.left, day.refused) == (None, "", 1_000, 400, 1)

    on_rows(postgres_dsn, story)


def test_calls_side_by_side_stop_at_the_budget(postgres_dsn):
    async def story(_postgres, rows, number):
        granted = await asyncio.gather(*(rows.reserve("poet", MONEY, 90) for _ in range(40)))
        kept = [one for one in granted if one is not None]
        assert len(kept) == 11
        await asyncio.gather(*(rows.settle(one, LlmUsage(cost=90, requests=1)) for one in kept))
        assert await rows.reserve("poet", MONEY, 90) is None
        day = await rows.today(number)
        assert (day.requests, day.refused, day.set_aside, day.cost) == (11, 30, 0, 9.9e-7)

    on_rows(postgres_dsn, story)


def test_what_nobody_settled_counts_until_the_day_ends(postgres_dsn):
    async def story(postgres, rows, number):
        assert await rows.reserve("poet", MONEY, 1_000)
        assert await rows.reserve("poet", MONEY, 1) is None
        async with postgres.connection() as connection:
            await connection.execute("ALTER TABLE llm_reserved DROP CONSTRAINT llm_reserved_bot_day_fkey")
            await connection.execute("UPDATE llm_usage SET day = day - 2")
            await connection.execute("UPDATE llm_reserved SET day = day - 2")
        assert await rows.today(number) is None
        assert (await rows.reserve("poet", MONEY, 1_000)).amount == 1_000
        async with postgres.connection() as connection:
            assert await connection.fetchval("SELECT count(*) FROM llm_reserved") == 1

    on_rows(postgres_dsn, story)


def test_a_bot_that_is_not_there_gets_nothing(postgres_dsn):
    async def story(_postgres, rows, _number):
        assert await rows.reserve("nobody", MONEY, 1) is None
        await rows.settle(Reserved(99, 1), LlmUsage(cost=5))

    on_rows(postgres_dsn, story)


@pytest.mark.parametrize("changed", [LlmDeclared(budget=50, price_in=1), LlmDeclared(tokens=5)])
def test_a_budget_that_was_lowered_holds_at_once(postgres_dsn, changed):
    async def story(_postgres, rows, _number):
        await rows.settle(await rows.reserve("poet", MONEY, 100), LlmUsage(asked=10, cost=100, requests=1))
        assert await rows.reserve("poet", changed, 1) is None

    on_rows(postgres_dsn, story)
