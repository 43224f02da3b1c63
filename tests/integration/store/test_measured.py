"""What `db_client_*` counts: statements by name, connections by state; of failures only those that timed out."""

from __future__ import annotations

import asyncio

import pytest

from botstead.core.errors import Unavailable
from botstead.store.postgres import Held, Postgres
from botstead.store.queries import load
from botstead.store.registry import Registry
from botstead.store.valkey import ValkeyCache
from botstead.telemetry.catalog import DB_CONNECTIONS, DB_DURATION


def counted(system: str) -> dict[str, int]:
    return {name: histogram.count for (kind, name), histogram in DB_DURATION.sets() if kind == system and histogram.count}


def since(before: dict[str, int], system: str = "postgresql") -> dict[str, int]:
    return {name: count - before.get(name, 0) for name, count in counted(system).items() if count > before.get(name, 0)}


def test_statements_of_the_road_are_counted_by_name(postgres_dsn):
    async def story():
        held = Held(postgres_dsn, application="test")
        before = counted("postgresql")
        await held.fetch(load("road")["waiting"], 1)
        await held.fetch(load("road")["waiting"], 1)
        await held.fetch("SELECT 1")
        with pytest.raises(Exception, match="refuses"):
            await held.fetch("SELECT 1 / length('')::text::date")
        await held.close()
        return since(before)

    assert asyncio.run(story()) == {"waiting": 2, "other": 1}


def test_a_statement_that_times_out_counts_as_slow(postgres_dsn):
    async def story():
        held = Held(postgres_dsn, application="test", overrides={"statement_timeout": "1100"})
        before = DB_DURATION.at("postgresql", "other").within(1.0)
        count = DB_DURATION.at("postgresql", "other").count
        with pytest.raises(Unavailable):
            await held.fetch("SELECT pg_sleep(3)")
        return DB_DURATION.at("postgresql", "other").within(1.0) - before, DB_DURATION.at("postgresql", "other").count - count

    assert asyncio.run(story()) == (0, 1)


def test_the_pool_is_measured(postgres_dsn):
    async def story():
        postgres = await Postgres.open(postgres_dsn, most=1)
        before = counted("postgresql")
        seen = []
        async with postgres.unit() as connection:
            await connection.execute("CREATE TEMPORARY TABLE scratch (n int)")
            await connection.fetch(load("registry")["http_bots"])
            waiter = asyncio.create_task(postgres.ping())
            await asyncio.sleep(0)
            seen.append({state: DB_CONNECTIONS.at(state).read() for state in ("used", "idle", "waiting")})
        await waiter
        seen.append({state: DB_CONNECTIONS.at(state).read() for state in ("used", "idle", "waiting")})
        await Registry(postgres, None).bots(limit=5)  # type: ignore[arg-type]  # opens nothing that is sealed
        await postgres.close()
        return seen, since(before)

    seen, statements = asyncio.run(story())
    assert seen == [{"used": 1, "idle": 0, "waiting": 1}, {"used": 0, "idle": 1, "waiting": 0}]
    assert statements["registry"] == 1
    assert statements["other"] >= 2  # the ping, and what Piccolo built
    assert set(statements) == {"registry", "other"}


def test_valkey_is_measured(valkey_url):
    async def story():
        cache = ValkeyCache(valkey_url)
        before = counted("valkey")
        await cache.set("a", b"1", 5)
        await cache.get("a")
        await cache.close()
        return since(before, "valkey")

    assert asyncio.run(story()) == {"command": 2}
