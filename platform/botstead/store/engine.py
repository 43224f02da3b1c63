"""Piccolo's engine, bound to a unit of work. It never connects by itself and owns no pool.

Piccolo's own transactions leak their connection when a COMMIT fails and ignore nesting, and its engine connects at
import time. Here its tables only build queries; the connection is always the one held by `Postgres.unit()`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import asyncpg
from piccolo.engine.postgres import PostgresEngine

from botstead.core.errors import BotsteadError


class NoUnitOfWork(BotsteadError):
    """A table was queried outside a unit of work. Wrap the query in `async with postgres.unit()`."""

    code = "no_unit_of_work"


class _Bound:
    """What Piccolo expects of a running transaction: just a connection."""

    __slots__ = ("connection",)

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection


class UnitEngine(PostgresEngine):
    """Runs every query on the connection of the unit of work in the current context."""

    def __init__(self) -> None:
        """Build the engine without connecting to anything."""
        self.current_transaction: ContextVar[_Bound | None] = ContextVar("botstead_unit", default=None)  # type: ignore[assignment]  # Piccolo reads only `.connection`
        super().__init__(config={}, extensions=())

    async def _run_in_new_connection(self, query: str, args: Any = None) -> Any:
        del query, args
        raise NoUnitOfWork

    async def get_version(self) -> float:
        """Answer without asking: the supported versions are checked when the pool opens."""
        return 18.0

    def get_version_sync(self) -> float:
        """Answer without asking."""
        return 18.0

    async def prep_database(self) -> None:
        """Do nothing: migrations create what is needed."""

    async def check_version(self) -> None:
        """Do nothing: `postgres.check_safe` does it."""

    @contextmanager
    def bound(self, connection: asyncpg.Connection) -> Iterator[None]:
        """Let Piccolo's queries in this context run on a connection.

        Args:
            connection: the held connection, inside its transaction.
        """
        token = self.current_transaction.set(_Bound(connection))
        try:
            yield
        finally:
            self.current_transaction.reset(token)


ENGINE = UnitEngine()
"""The engine that every table names."""
