"""The unit of work on a real Postgres: nothing leaks, whatever is cancelled or fails."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from botstead.core.errors import ConfigurationError, SchemaMismatch, Unavailable, UnsafePostgres
from botstead.store import migrate
from botstead.store.postgres import Held, Postgres, RowRefused, VersionConflict, connect
from tests import servers


async def broken(postgres):
    async with postgres.unit() as connection:
        await connection.execute("INSERT INTO t VALUES (1)")
        raise RuntimeError


async def refused(connection):
    async with connection.transaction():
        await connection.execute("INSERT INTO t VALUES (3)")
        await connection.execute("SELECT 1/0")


def test_a_value_that_does_not_fit_is_not_an_outage(postgres_dsn):
    async def story():
        postgres = await Postgres.open(postgres_dsn, most=1)
        try:
            async with postgres.connection() as connection:
                await connection.fetchval("SELECT $1::integer", 2**40)
        finally:
            await postgres.close()

    with pytest.raises(asyncpg.DataError):
        asyncio.run(story())


def test_unit_commits_all_or_nothing(postgres_dsn):
    async def story():
        postgres = await Postgres.open(postgres_dsn, most=2)
        async with postgres.unit() as connection:
            await connection.execute("CREATE TABLE t (n int)")
        with pytest.raises(RuntimeError):
            await broken(postgres)
        async with postgres.unit() as connection:
            await connection.execute("INSERT INTO t VALUES (2)")
            with pytest.raises(asyncpg.DivisionByZeroError):
                await refused(connection)
        async with postgres.connection() as connection:
            assert [row["n"] for row in await connection.fetch("SELECT n FROM t")] == [2]
        await postgres.close()

    asyncio.run(story())


def test_cancelled_units_leak_no_connection(postgres_dsn):
    async def one(postgres):
        async with postgres.unit() as connection:
            await connection.execute("SELECT pg_sleep(5)")

    async def story():
        postgres = await Postgres.open(postgres_dsn, most=2)
        for _ in range(6):
            task = asyncio.create_task(one(postgres))
            await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        for _ in range(4):
            await postgres.ping()
        await postgres.close()

    asyncio.run(story())


def test_pool_exhausted_says_unavailable(postgres_dsn):
    async def story():
        postgres = await Postgres.open(postgres_dsn, most=1)
        async with postgres.connection():
            with pytest.raises(Unavailable):
                await postgres.ping()
        await postgres.ping()
        await postgres.close()

    asyncio.run(story())


def test_held_connection_comes_back_after_its_backend_is_killed(postgres_dsn):
    async def story():
        held = Held(postgres_dsn, application="test")
        pid = (await held.fetch("SELECT pg_backend_pid() AS pid"))[0]["pid"]
        other = await connect(postgres_dsn, application="killer")
        asked = asyncio.create_task(held.fetch("SELECT pg_sleep(10)"))
        while not await other.fetchval("SELECT state = 'active' FROM pg_stat_activity WHERE pid = $1", pid):  # noqa: ASYNC110  # its own server tells nobody
            await asyncio.sleep(0.01)
        await other.execute("SELECT pg_terminate_backend($1)", pid)
        with pytest.raises(Unavailable):
            await asked
        assert (await held.fetch("SELECT 1 AS one"))[0]["one"] == 1
        assert held.generation == 2
        with pytest.raises(VersionConflict):
            await held.fetch("SELECT 1/0")
        with pytest.raises(RowRefused):
            await held.fetch("SELECT $1::text", "a\0b")
        assert held.generation == 2
        await held.close()
        await other.close()

    asyncio.run(story())


def test_migrations_run_once_however_many_start_them(postgres_server):
    name = "migrate_race"

    async def story():
        admin = await asyncpg.connect(postgres_server.dsn)
        await admin.execute(f"CREATE DATABASE {name}")
        dsn = postgres_server.database(name)
        done = await asyncio.gather(*(migrate.migrate(dsn) for _ in range(4)))
        assert sum(map(len, done)) == len(migrate.shipped())
        connection = await asyncpg.connect(dsn)
        await migrate.check(connection)
        await connection.execute("INSERT INTO migration VALUES (9999, 'post', 'future', 'x')")
        with pytest.raises(SchemaMismatch, match="newer version"):
            await migrate.check(connection)
        await connection.execute("DELETE FROM migration")
        with pytest.raises(SchemaMismatch, match="lacks"):
            await migrate.check(connection)
        await connection.close()
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await admin.close()

    asyncio.run(story())


def test_a_release_starts_on_what_a_later_one_has_only_expanded(postgres_dsn):
    async def story():
        connection = await connect(postgres_dsn, application="test")
        await connection.execute("INSERT INTO migration VALUES (9998, 'pre', 'expanded', 'x')")
        await migrate.check(connection)
        assert await migrate.migrate(postgres_dsn) == []
        await connection.execute("INSERT INTO migration VALUES (0, 'pre', 'of_another_line', 'x')")
        with pytest.raises(SchemaMismatch, match="newer version"):
            await migrate.check(connection)
        await connection.close()

    asyncio.run(story())


def test_a_changed_migration_is_refused(postgres_dsn):
    async def story():
        connection = await connect(postgres_dsn, application="test")
        await connection.execute("UPDATE migration SET digest = 'other'")
        with pytest.raises(SchemaMismatch, match="another text"):
            await migrate.migrate(postgres_dsn)
        await connection.close()

    asyncio.run(story())


@pytest.mark.parametrize("option", ["fsync=off", "full_page_writes=off", "synchronous_commit=off"])
def test_unsafe_servers_are_refused(option):
    with servers.postgres_server(options=(option,)) as server, pytest.raises(UnsafePostgres, match=option.split("=")[0]):
        asyncio.run(Postgres.open(server.dsn))


def test_no_server_says_unavailable():
    with pytest.raises(Unavailable):
        asyncio.run(Postgres.open(f"postgres://postgres@127.0.0.1:{servers.free_port()}/postgres"))


def test_migrating_without_right_schema_is_a_configuration_error(postgres_server):
    async def story():
        connection = await asyncpg.connect(postgres_server.dsn)
        try:
            with pytest.raises(ConfigurationError):
                await migrate.check(connection)
        finally:
            await connection.close()

    asyncio.run(story())
