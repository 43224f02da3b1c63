"""Secrets of bots: tokens and passwords that they call services with. Sealed, each bound to its bot and name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

import msgspec

from botstead.core.errors import Conflict, NotFound
from botstead.core.secret import Secret
from botstead.runtime.sealing import Sealer
from botstead.store import queries
from botstead.store.postgres import Postgres
from botstead.store.records import no_bot

MOST: Final = 50
"""Secrets of one bot."""
NONE: Final[Mapping[str, Secret]] = MappingProxyType({})
_SQL = queries.load("bot_secrets")


class SecretRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A secret as lists show it: never the value."""

    name: str
    set_at: datetime


class SecretRows:
    """Sets, lists and deletes secrets of bots."""

    def __init__(self, postgres: Postgres, sealer: Sealer) -> None:
        """Prepare; nothing is read yet.

        Args:
            postgres: where the rows are.
            sealer: for the values.
        """
        self._postgres = postgres
        self._sealer = sealer

    async def set(self, bot: str, name: str, value: str) -> SecretRecord:
        """Keep a secret; one by that name is replaced.

        Args:
            bot: the bot's name.
            name: small letters, digits and underscores.
            value: the secret itself.

        Raises:
            NotFound: there is no such bot.
            Conflict: the bot has as many as one may have.
        """
        async with self._postgres.unit() as connection:
            number = await connection.fetchval(_SQL["lock_bot"], bot)
            if number is None:
                raise no_bot(bot)
            if await connection.fetchval(_SQL["count"], number, name) >= MOST:
                raise Conflict(f"{bot} has {MOST} secrets already. Delete one that it needs no more.")
            sealed = self._sealer.seal(value.encode(), bound_to=_place(number, name))
            row = await connection.fetchrow(_SQL["set"], number, name, sealed)
        return SecretRecord(**row)

    async def list(self, bot: str) -> tuple[SecretRecord, ...]:
        """Return the names of a bot's secrets, and when each was set.

        Raises:
            NotFound: there is no such bot.
        """
        async with self._postgres.unit() as connection:
            number = await connection.fetchval(_SQL["lock_bot"], bot)
            if number is None:
                raise no_bot(bot)
            return tuple(SecretRecord(**row) for row in await connection.fetch(_SQL["list"], number))

    async def delete(self, bot: str, name: str) -> None:
        """Forget a secret.

        Raises:
            NotFound: there is no such bot, or it has no secret by that name.
        """
        async with self._postgres.unit() as connection:
            number = await connection.fetchval(_SQL["lock_bot"], bot)
            if number is None:
                raise no_bot(bot)
            if await connection.fetchval(_SQL["delete"], number, name) is None:
                raise NotFound(f"{bot} has no secret named {name}. `botstead bots secrets list {bot}` shows what it has.")

    async def all(self) -> dict[str, Mapping[str, Secret]]:
        """Return every secret, by bot and name. Those sealed with an older key of the ring are sealed again on the way.

        Raises:
            SealBroken: the key ring does not fit the data.
            Unavailable: the database is away.
        """
        found: dict[str, dict[str, Secret]] = {}
        async with self._postgres.unit() as connection:
            for row in await connection.fetch(_SQL["all"]):
                place = _place(row["number"], row["name"])
                value = self._sealer.open(row["sealed"], bound_to=place)
                found.setdefault(row["bot"], {})[row["name"]] = Secret(value.decode())
                if self._sealer.is_stale(row["sealed"]):
                    again = self._sealer.seal(value, bound_to=place)
                    await connection.execute(_SQL["reseal"], row["number"], row["name"], row["sealed"], again)
        return {bot: MappingProxyType(secrets) for bot, secrets in found.items()}


class KeptSecrets:
    """What the rows held at the last look, in memory (implements `core.ports.BotSecrets`)."""

    def __init__(self, rows: SecretRows) -> None:
        """Start with none; `refresh` reads.

        Args:
            rows: where the truth is.
        """
        self._rows = rows
        self._kept: Mapping[str, Mapping[str, Secret]] = {}

    def of(self, bot: str) -> Mapping[str, Secret]:
        """Return a bot's secrets by name, as of the last look."""
        return self._kept.get(bot, NONE)

    async def refresh(self) -> None:
        """Read them again; what was known stays when that fails.

        Raises:
            SealBroken: the key ring does not fit the data.
            Unavailable: the database is away.
        """
        self._kept = await self._rows.all()


def _place(bot: int, name: str) -> str:
    return f"bot_secret|{bot}|{name}"
