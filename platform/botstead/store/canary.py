"""The canary's rows: its bot and channel, how far its message has come, and the end of old messages."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg
import msgspec

from botstead.core.ports import Account, Prepared
from botstead.store import queries
from botstead.store.postgres import Held, Postgres
from botstead.store.registry import Registry

_SQL = queries.load("canary")


class Trail(msgspec.Struct, frozen=True, kw_only=True):
    """How far a message has come.

    Args:
        id: the message's.
        waits: whether it waits to be handled.
        attempts: runs that ended with an error.
        error: of the last such run.
        worker: name of the worker that owns its partition.
        alive: whether that worker's lease runs.
        answer: id of the answer.
        unsent: whether the answer waits to be sent.
        outcome: sent, failed or unknown, once it was sent.
        parked: why it was given up.
    """

    id: int
    waits: bool
    attempts: int
    error: str | None
    worker: str | None
    alive: bool
    answer: int | None
    unsent: bool
    outcome: str | None
    parked: str


class CanaryRows:
    """Reads and writes them. One connection for what is asked often."""

    def __init__(self, dsn: str, *, application: str) -> None:
        """Prepare; the first call connects.

        Args:
            dsn: where.
            application: shown in `pg_stat_activity`.
        """
        self._held = Held(dsn, application=f"{application} canary")

    async def trail(self, account: Account, key: str, *, partition: int, conversation: str) -> Trail | None:
        """Return how far a message has come, or None when it was never kept.

        Args:
            account: the canary's channel.
            key: the message's dedup key.
            partition: of its conversation.
            conversation: its key.

        Raises:
            Unavailable: the database is away.
        """
        rows = await self._held.fetch(_SQL["trail"], account.id, key, partition, account.bot, conversation)
        return Trail(**rows[0]) if rows else None

    async def sweep(self, account: Account, conversations: Sequence[str], *, older: float) -> int:
        """Forget old messages; returns how many.

        Args:
            account: the canary's channel.
            conversations: all of its conversations.
            older: seconds.

        Raises:
            Unavailable: the database is away.
        """
        rows = await self._held.fetch(_SQL["sweep"], list(conversations), account.bot, account.id, older)
        return int(rows[0]["messages"])

    async def close(self) -> None:
        """Close the connection."""
        await self._held.close()


async def ensure_bot(postgres: Postgres, name: str) -> int | None:
    """Make the canary's bot known and return its number; None when an operator's bot has that name. Safe to repeat.

    Args:
        postgres: where.
        name: the bot's.

    Raises:
        Unavailable: the database is away.
    """
    async with postgres.unit() as connection:
        return await _ensure(connection, name)


async def _ensure(connection: asyncpg.Connection, name: str) -> int | None:
    number = await connection.fetchval(_SQL["ensure_bot"], name)
    return None if number is None else int(number)


async def ensure_channel(postgres: Postgres, registry: Registry, name: str, *, kind: str, prepared: Prepared) -> Account | None:
    """Return the canary's channel, made if there is none; None when an operator's bot has its name. One process at a time.

    Args:
        postgres: where.
        registry: makes it.
        name: the bot's.
        kind: the channel's.
        prepared: settings and secrets of a new one.

    Raises:
        Unavailable: the database is away.
    """
    async with postgres.unit() as connection:
        bot = await _ensure(connection, name)
        if bot is None:
            return None
        public_id = await connection.fetchval(_SQL["channel"], bot, kind)
    if public_id is None:
        return await registry.create_channel(name, kind=kind, name="", prepared=prepared)
    return await registry.account(public_id)
