"""Postgres: a pool whose unit of work survives cancellation, and single connections that are held for the road.

Rules learnt by measurement: any error that is not Postgres's own leaves a connection in an unknown state, so the
connection is terminated; a unit of work nests as savepoints; no task is started inside one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from botstead.core.errors import BotsteadError, ConfigurationError, Unavailable, UnsafePostgres
from botstead.store.engine import ENGINE
from botstead.store.queries import OPERATIONS
from botstead.telemetry.catalog import DB_CONNECTIONS, DB_DURATION, register

STATEMENT_TIMEOUT = 5.0
"""Seconds; must stay below the worker's lease, or a fenced worker could still be waiting to commit."""
ACQUIRE_TIMEOUT = 2.0
"""Seconds to wait for a pooled connection before answering «unavailable»."""
CONNECT_TIMEOUT = 3.0
OLDEST_VERSION = 160000
"""Postgres 16, as `server_version_num` counts."""
MEASURED = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})
SLOW = 1.0
"""Seconds from which on a statement counts although it failed: a refusal is no quick answer, a timeout is a slow one."""
UNSAFE = "SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off'"

AWAY = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
)
"""What asyncpg raises when the server is gone, going, or not yet there."""
BUSY = (
    asyncpg.TooManyConnectionsError,
    asyncpg.DiskFullError,
    asyncpg.OutOfMemoryError,
    asyncpg.QueryCanceledError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
)
"""What Postgres says when it cannot serve now but may later."""


SYSTEM = "postgresql"
OTHER_STATEMENT = "other"
"""Name of statements that Piccolo builds."""
register("db_system_name", SYSTEM)
register("db_operation_name", OTHER_STATEMENT)


def _server_settings(application: str, overrides: dict[str, str] | None = None) -> dict[str, str]:
    return {
        "application_name": f"botstead {application}",
        "statement_timeout": str(int(STATEMENT_TIMEOUT * 1000)),
        "lock_timeout": "2000",
        "idle_in_transaction_session_timeout": "10000",
        "tcp_user_timeout": "10000",
        **(overrides or {}),
    }


async def connect(dsn: str, *, application: str, overrides: dict[str, str] | None = None) -> asyncpg.Connection:
    """Open one connection to hold.

    Args:
        dsn: where.
        application: shown in `pg_stat_activity`.
        overrides: session settings that differ from ours.

    Raises:
        Unavailable: the server cannot be reached now.
    """
    try:
        return await asyncpg.connect(
            dsn,
            timeout=CONNECT_TIMEOUT,
            command_timeout=STATEMENT_TIMEOUT + 2,
            server_settings=_server_settings(application, overrides),
        )
    except (*AWAY, *BUSY, TimeoutError) as error:
        raise Unavailable("Postgres cannot be reached.", after=1.0) from error


async def check_safe(connection: asyncpg.Connection) -> None:
    """Refuse a server that is too old or may lose what it acknowledged.

    Raises:
        ConfigurationError: older than Postgres 16.
        UnsafePostgres: fsync, full_page_writes or synchronous_commit is off.
    """
    version = int(await connection.fetchval("SHOW server_version_num"))
    if version < OLDEST_VERSION:
        raise ConfigurationError(f"Postgres {version // 10000} is too old: botstead needs 16 or newer.")
    off = [row["name"] for row in await connection.fetch(UNSAFE)]
    if off:
        raise UnsafePostgres(f"Postgres runs with {', '.join(off)} = off and may lose acknowledged messages. Set it to on.")


async def _keep_session(_connection: asyncpg.Connection) -> None:
    """Skip asyncpg's reset query: nothing of ours changes session state, and it doubles the cost of a short query."""


async def _watch(connection: asyncpg.Connection) -> None:
    """Measure the statements of a pooled connection; its transactions' own words and DDL, which may take minutes, apart."""
    connection.add_query_logger(_measure)


def _measure(query: asyncpg.connection.LoggedQuery) -> None:
    name = OPERATIONS.get(query.query)
    if name is None and query.query.lstrip()[:6].upper() in MEASURED:
        name = OTHER_STATEMENT
    if name is not None and (query.exception is None or query.elapsed > SLOW):
        DB_DURATION.at(SYSTEM, name).observe(query.elapsed)


class Postgres:
    """A pool with a unit of work. One for each process; the road holds its own connections besides."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        """Wrap an open pool; use `Postgres.open`.

        Args:
            pool: an open asyncpg pool.
        """
        self._pool = pool
        self._waiting = 0
        DB_CONNECTIONS.at("used").read_from(lambda: pool.get_size() - pool.get_idle_size())
        DB_CONNECTIONS.at("idle").read_from(pool.get_idle_size)
        DB_CONNECTIONS.at("waiting").read_from(lambda: self._waiting)

    @classmethod
    async def open(cls, dsn: str, *, most: int = 5, application: str = "pool") -> Postgres:
        """Connect, and refuse unsafe servers.

        Args:
            dsn: where.
            most: connections at once.
            application: shown in `pg_stat_activity`.

        Raises:
            Unavailable: the server cannot be reached now.
            UnsafePostgres: see `check_safe`.
        """
        connection = await connect(dsn, application=application)
        try:
            await check_safe(connection)
        finally:
            await connection.close()
        pool = await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=most,
            timeout=CONNECT_TIMEOUT,
            command_timeout=STATEMENT_TIMEOUT + 2,
            server_settings=_server_settings(application),
            reset=_keep_session,
            init=_watch,
        )
        return cls(pool)

    async def close(self) -> None:
        """Close every connection, waiting a moment for those in use."""
        try:
            async with asyncio.timeout(3):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """Borrow a connection without a transaction.

        Raises:
            Unavailable: none was free in time, or the server is away.
        """
        try:
            async with self._acquired() as connection:
                with ENGINE.bound(connection):
                    yield connection
        except asyncpg.DataError:
            raise  # a value that does not fit is the caller's fault, although asyncpg counts it as an interface error
        except (*AWAY, *BUSY, TimeoutError) as error:
            raise Unavailable("The database cannot answer now.", after=2.0) from error

    @asynccontextmanager
    async def _acquired(self) -> AsyncIterator[asyncpg.Connection]:
        self._waiting += 1
        try:
            connection = await self._pool.acquire(timeout=ACQUIRE_TIMEOUT)
        finally:
            self._waiting -= 1
        try:
            yield connection
        finally:
            await self._pool.release(connection)

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[asyncpg.Connection]:
        """Do one unit of work: everything inside commits together or not at all. Start no task inside.

        Yields:
            The connection, for named SQL; Piccolo's tables use the same one.

        Raises:
            Unavailable: none was free in time, or the server is away.
        """
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def ping(self) -> None:
        """Ask the server for a sign of life.

        Raises:
            Unavailable: there was none.
        """
        async with self.connection() as connection:
            await connection.execute("SELECT 1")


def storable(text: str, *, limit: int) -> str:
    """Make somebody else's words such that Postgres keeps them: no NUL, no lone surrogate, no more than a limit.

    Args:
        text: any text.
        limit: characters.
    """
    return text[:limit].replace("\0", "").encode(errors="replace").decode()


class RowRefused(BotsteadError):
    """Postgres refuses a value. The statement was rolled back; its other rows may be tried without this one."""

    code = "row_refused"


class VersionConflict(BotsteadError):
    """A conversation's state was changed by somebody else. Read it again, then retry."""

    code = "version_conflict"
    retry = "later"


BY_INDEX = {"enable_seqscan": "off"}
"""For connections that keep their plans and look rows up by index: a plan made while a table was nearly empty would read
all of it, for every message, until the next analysis."""
BY_KEY = {**BY_INDEX, "enable_indexscan": "off", "enable_indexonlyscan": "off"}
"""The same for those that change rows of a queue by their keys. A queue is mostly analysed when it is empty, and then a
whole index looks as cheap as one key of it. Bitmap scans, which are left, always look up keys."""


class Held:
    """One connection kept for one loop, reopened when it broke. Never share it between tasks."""

    def __init__(self, dsn: str, *, application: str, overrides: dict[str, str] | None = None) -> None:
        """Remember where to connect; the first call connects.

        Args:
            dsn: where.
            application: shown in `pg_stat_activity`.
            overrides: session settings that differ from ours.
        """
        self._dsn = dsn
        self._application = application
        self._overrides = {**BY_INDEX, **(overrides or {})}
        self._connection: asyncpg.Connection | None = None
        self.generation = 0
        """Rises whenever a new connection replaces a broken one: whoever cached answers must read again."""

    async def fetch(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """Run one prepared statement.

        Raises:
            Unavailable: the server is away or broke off; the statement may have committed.
            VersionConflict: the statement divided by zero, which is how it says so; nothing was committed.
            RowRefused: the statement itself failed; nothing was committed.
        """
        connection = await self._ready()
        began = time.perf_counter()
        try:
            rows = await connection.fetch(statement, *arguments)
        except (*BUSY, TimeoutError) as error:
            self._drop()
            if (took := time.perf_counter() - began) > SLOW:
                DB_DURATION.at(SYSTEM, OPERATIONS.get(statement, OTHER_STATEMENT)).observe(took)
            raise Unavailable("The database cannot answer now.", after=1.0) from error
        except asyncpg.PostgresConnectionError as error:
            self._drop()
            raise Unavailable("The database went away.", after=1.0) from error
        except asyncpg.DivisionByZeroError as error:
            raise VersionConflict from error
        except (asyncpg.PostgresError, asyncpg.DataError, ValueError) as error:
            raise RowRefused(f"Postgres refuses a value: {error}") from error
        except BaseException as error:
            self._drop()
            if isinstance(error, AWAY):
                raise Unavailable("The database went away.", after=1.0) from error
            raise
        DB_DURATION.at(SYSTEM, OPERATIONS.get(statement, OTHER_STATEMENT)).observe(time.perf_counter() - began)
        return rows  # type: ignore[no-any-return]  # asyncpg is untyped

    async def _ready(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(self._dsn, application=self._application, overrides=self._overrides)
            self.generation += 1
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def close(self) -> None:
        """Close the connection if there is one."""
        if self._connection is not None:
            try:
                await self._connection.close(timeout=2)
            except (*AWAY, TimeoutError):
                self._drop()
            self._connection = None
