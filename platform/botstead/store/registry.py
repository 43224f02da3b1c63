"""The registry: which bots and channels are installed. Secrets are sealed, each bound to its row.

Who changes something here tells the others by a hint on the topic `directory`; they read again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import asyncpg
import msgspec
from piccolo.columns import Boolean

from botstead.core.errors import Conflict
from botstead.core.ports import Account, Prepared
from botstead.core.secret import Secret
from botstead.runtime.sealing import Sealer
from botstead.store import queries
from botstead.store.keys import random_digits
from botstead.store.postgres import Postgres
from botstead.store.records import (
    Address,
    BotRecord,
    Change,
    ChannelRecord,
    HttpBot,
    current,
    from_json,
    merged,
    no_bot,
    no_channel,
    rotated,
    to_json,
)
from botstead.store.tables import Bot, Channel

WEBCHAT = "webchat"
PUBLIC_ID_DIGITS = 20
"""Random base62 digits after `ch_`: 119 bits, nobody guesses a hook's address."""
_SQL = queries.load("registry")
_OF_USERS, _FOR_USERS = (flag.eq(value=False) for flag in cast("tuple[Boolean, Boolean]", (Bot.internal, Channel.bot.internal)))

Check = Callable[[Mapping[str, Any], Mapping[str, str]], Prepared]
"""`ChannelKind.prepare`, or the same for an HTTP bot."""


class Registry:
    """Creates, changes and lists bots and channels."""

    def __init__(self, postgres: Postgres, sealer: Sealer) -> None:
        """Prepare; nothing is read yet.

        Args:
            postgres: where the rows are.
            sealer: for secrets.
        """
        self._postgres = postgres
        self._sealer = sealer

    async def create_bot(self, name: str, *, kind: str, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> BotRecord:
        """Create a bot; under the name of a deleted one, that one comes back with its history.

        Raises:
            Conflict: the name is taken.
        """
        async with self._postgres.unit() as connection:
            bot = await connection.fetchval(_SQL["insert_bot"], name, kind, to_json(settings))
            if bot is None:
                raise Conflict(f"There is a bot named {name} already.")
            await connection.execute(_SQL["update_bot"], bot, to_json(settings), self._seal("bot", bot, secrets), None)
        return await self.bot(name)

    async def ensure_bot(self, name: str, kind: str) -> int:
        """Make a bot known that was found at start, and return its number. Safe to repeat.

        Raises:
            Conflict: a bot of another kind has that name.
        """
        async with self._postgres.unit() as connection:
            bot = await connection.fetchval(_SQL["ensure_bot"], name, kind)
        if bot is None:
            raise Conflict(f"There is a bot named {name} of another kind already. Rename one of them.")
        return int(bot)

    async def bots(self, *, limit: int, before: int | None = None, internal: bool = False) -> tuple[BotRecord, ...]:
        """Return bots by falling number.

        Args:
            limit: at most so many.
            before: only numbers below this.
            internal: ours too (the canary).
        """
        query = _bots().order_by(Bot.id, ascending=False).limit(limit)
        if not internal:
            query = query.where(_OF_USERS)
        async with self._postgres.unit():
            rows = await (query if before is None else query.where(Bot.id < before))
        return tuple(map(_bot, rows))

    async def bot(self, name: str) -> BotRecord:
        """Return one bot.

        Raises:
            NotFound: there is none by that name.
        """
        async with self._postgres.unit():
            rows = await _bots().where(Bot.name == name)
        if not rows:
            raise no_bot(name)
        return _bot(rows[0])

    async def change_bot(self, name: str, change: Change, *, check: Check | None = None) -> tuple[BotRecord, Mapping[str, str]]:
        """Change a bot.

        Args:
            name: which one.
            change: what.
            check: looks at the merged settings and secrets before they are kept.

        Returns:
            The bot as it is now, and secrets that are shown once.

        Raises:
            NotFound: there is none by that name.
            Invalid: from `check`.
        """
        async with self._postgres.unit() as connection:
            row = await connection.fetchrow(_SQL["lock_bot"], name)
            if row is None:
                raise no_bot(name)
            prepared, sealed = self._changed("bot", row, change, check)
            await connection.execute(_SQL["update_bot"], row["id"], to_json(prepared.settings), sealed, change.enabled)
        return await self.bot(name), prepared.shown_once

    async def delete_bot(self, name: str) -> None:
        """Delete a bot. One that ever had a channel is only disabled and hidden: history keeps naming it.

        Raises:
            NotFound: there is none by that name.
        """
        async with self._postgres.unit() as connection:
            row = await connection.fetchrow(_SQL["lock_bot"], name)
            if row is None:
                raise no_bot(name)
            if await connection.fetchval(_SQL["forget_bot"], row["id"]) is None:
                await connection.execute(_SQL["hide_channels"], row["id"])
                await connection.execute(_SQL["hide_bot"], row["id"])

    async def set_problem(self, name: str, problem: str | None) -> None:
        """Note why a bot cannot run, for the operator; None when it can."""
        async with self._postgres.unit() as connection:
            await connection.execute(_SQL["set_problem"], name, problem)

    async def http_bots(self) -> tuple[HttpBot, ...]:
        """Return every bot that is reached over HTTP, with its secrets.

        Raises:
            SealBroken: the key ring does not fit the data.
        """
        async with self._postgres.connection() as connection:
            rows = await connection.fetch(_SQL["http_bots"])
        return tuple(
            HttpBot(
                id=row["id"],
                name=row["name"],
                settings=from_json(row["settings"]),
                secrets=self._secrets("bot", row),
                enabled=row["enabled"],
            )
            for row in rows
        )

    async def create_channel(self, bot: str, *, kind: str, name: str, prepared: Prepared) -> Account:
        """Install a bot on a channel.

        Args:
            bot: the bot's name.
            kind: telegram, webchat, webhook, …
            name: what people call it.
            prepared: settings and secrets, checked by the kind.

        Raises:
            NotFound: there is no such bot.
        """
        async with self._postgres.unit() as connection:
            row = await connection.fetchrow(_SQL["lock_bot"], bot)
            if row is None:
                raise no_bot(bot)
            public_id = await self._insert_channel(connection, row["id"], kind=kind, name=name, prepared=prepared)
        return await self.account(public_id)

    async def ensure_webchat(self, bot: str, *, kind: str = WEBCHAT) -> Account:
        """Return the web chat of a bot, or its channel of another kind without settings, made if it has none. Safe to repeat.

        Raises:
            NotFound: there is no such bot.
        """
        async with self._postgres.unit() as connection:
            row = await connection.fetchrow(_SQL["lock_bot"], bot)
            if row is None:
                raise no_bot(bot)
            public_id = await connection.fetchval(_SQL["first_of_kind"], row["id"], kind)
            if public_id is None:
                nothing = Prepared(settings={}, secrets={})
                public_id = await self._insert_channel(connection, row["id"], kind=kind, name="", prepared=nothing)
        return await self.account(public_id)

    async def _insert_channel(self, connection: asyncpg.Connection, bot: int, *, kind: str, name: str, prepared: Prepared) -> str:
        public_id = f"ch_{random_digits(PUBLIC_ID_DIGITS)}"
        settings = to_json(prepared.settings)
        number = await connection.fetchval(_SQL["insert_channel"], public_id, bot, kind, name, settings)
        await connection.execute(_SQL["seal_channel"], number, self._seal("channel", number, prepared.secrets))
        return public_id

    async def channels(
        self, *, bot: str | None = None, limit: int, before: int | None = None, internal: bool = False
    ) -> tuple[ChannelRecord, ...]:
        """Return channels by falling number.

        Args:
            bot: only of this bot.
            limit: at most so many.
            before: only numbers below this.
            internal: also those of our own bots (the canary); without a bot only.
        """
        query = _channels().order_by(Channel.id, ascending=False).limit(limit)
        if bot is not None:
            query = query.where(Channel.bot.name == bot)
        elif not internal:
            query = query.where(_FOR_USERS)
        async with self._postgres.unit():
            rows = await (query if before is None else query.where(Channel.id < before))
        return tuple(map(_channel, rows))

    async def channel(self, public_id: str) -> ChannelRecord:
        """Return one channel.

        Raises:
            NotFound: there is none by that id.
        """
        async with self._postgres.unit():
            rows = await _channels().where(Channel.public_id == public_id)
        if not rows:
            raise no_channel()
        return _channel(rows[0])

    async def change_channel(self, public_id: str, change: Change, *, check: Check) -> tuple[Account, Mapping[str, str]]:
        """Change a channel; a replaced secret is still accepted as `<name>_previous`.

        Args:
            public_id: which one.
            change: what.
            check: `ChannelKind.prepare`, on the merged settings and secrets.

        Returns:
            The channel as it is now, and secrets that are shown once.

        Raises:
            NotFound: there is none by that id.
            Invalid: from `check`.
        """
        async with self._postgres.unit() as connection:
            row = await connection.fetchrow(_SQL["lock_channel"], public_id)
            if row is None:
                raise no_channel()
            prepared, sealed = self._changed("channel", row, change, check)
            settings = to_json(prepared.settings)
            await connection.execute(_SQL["update_channel"], row["id"], settings, sealed, change.name, change.enabled)
        return await self.account(public_id), prepared.shown_once

    async def delete_channel(self, public_id: str) -> None:
        """Delete a channel: deliveries to it are refused from now on, history keeps naming it.

        Raises:
            NotFound: there is none by that id.
        """
        async with self._postgres.unit() as connection:
            if await connection.fetchval(_SQL["hide_channel"], public_id) is None:
                raise no_channel()

    async def set_health(self, public_id: str, health: Any) -> None:
        """Keep what a channel last said of itself."""
        async with self._postgres.unit() as connection:
            await connection.execute(_SQL["set_health"], public_id, to_json(health))

    async def accounts(self) -> tuple[Account, ...]:
        """Return every channel with its secrets, for the directory.

        Raises:
            SealBroken: the key ring does not fit the data.
        """
        return await self._accounts(None, None)

    async def account(self, public_id: str) -> Account:
        """Return one channel with its secrets.

        Raises:
            NotFound: there is none by that id.
        """
        return _only(await self._accounts(public_id, None))

    async def account_by_number(self, number: int) -> Account:
        """Return one channel by the number that conversation keys begin with.

        Raises:
            NotFound: there is none by that number.
        """
        return _only(await self._accounts(None, number))

    async def _accounts(self, public_id: str | None, number: int | None) -> tuple[Account, ...]:
        async with self._postgres.connection() as connection:
            rows = await connection.fetch(_SQL["accounts"], public_id, number)
        return tuple(
            Account(**{**row, "settings": from_json(row["settings"]), "secrets": self._secrets("channel", row)}) for row in rows
        )

    async def move(self, channel: int, external: str, conversation: str) -> None:
        """Note that a conversation has another external id now. The last one noted is where we send.

        Args:
            channel: the channel's number.
            external: the provider's new id.
            conversation: the conversation's key, which stays.
        """
        async with self._postgres.unit() as connection:
            await connection.execute(_SQL["move"], channel, external, conversation)

    async def addresses(self) -> tuple[Address, ...]:
        """Return every other external id, oldest first."""
        async with self._postgres.connection() as connection:
            return tuple(Address(**row) for row in await connection.fetch(_SQL["addresses"]))

    async def poll_offset(self, channel: int) -> int | None:
        """Return where long polling of a channel goes on; None before the first time."""
        async with self._postgres.connection() as connection:
            offset = await connection.fetchval(_SQL["poll_offset"], channel)
        return None if offset is None else int(offset)

    async def save_poll_offset(self, channel: int, following: int) -> None:
        """Note that everything below an offset is in the inbox. It never goes back.

        Args:
            channel: the channel's number.
            following: the offset to ask for next.
        """
        async with self._postgres.unit() as connection:
            await connection.execute(_SQL["save_poll_offset"], channel, following)

    def _changed(self, table: str, row: Mapping[str, Any], change: Change, check: Check | None) -> tuple[Prepared, bytes | None]:
        old = self._open(table, row)
        settings = merged(from_json(row["settings"]), change.settings)
        secrets = merged(current(old), change.secrets)
        prepared = check(settings, secrets) if check else Prepared(settings=settings, secrets=secrets)
        return prepared, self._seal(table, row["id"], rotated(old, prepared.secrets))

    def _seal(self, table: str, row: int, secrets: Mapping[str, str]) -> bytes | None:
        if not secrets:
            return None
        return self._sealer.seal(msgspec.json.encode(secrets), bound_to=_place(table, row))

    def _open(self, table: str, row: Mapping[str, Any]) -> dict[str, str]:
        if row["secrets"] is None:
            return {}
        plain = self._sealer.open(row["secrets"], bound_to=_place(table, row["id"]))
        return msgspec.json.decode(plain, type=dict[str, str])

    def _secrets(self, table: str, row: Mapping[str, Any]) -> dict[str, Secret]:
        return {name: Secret(value) for name, value in self._open(table, row).items()}


def _place(table: str, row: int) -> str:
    return f"{table}|{row}|secrets"


def _bots() -> Any:
    columns = Bot.all_columns(exclude=[Bot.secrets, Bot.deleted_at])
    return Bot.select(*columns).where(Bot.deleted_at.is_null())


def _bot(row: Mapping[str, Any]) -> BotRecord:
    return msgspec.convert({**row, "settings": from_json(row["settings"])}, BotRecord)


def _channels() -> Any:
    columns = Channel.all_columns(exclude=[Channel.secrets, Channel.deleted_at, Channel.bot, Channel.id])
    number, bot = Channel.id.as_alias("number"), Channel.bot.name.as_alias("bot")
    shown = Channel.deleted_at.is_null() & Channel.bot.deleted_at.is_null()
    return Channel.select(number, bot, *columns).where(shown)


def _channel(row: Mapping[str, Any]) -> ChannelRecord:
    decoded = {**row, "settings": from_json(row["settings"]), "health": from_json(row["health"])}
    return msgspec.convert(decoded, ChannelRecord)


def _only(found: tuple[Account, ...]) -> Account:
    if not found:
        raise no_channel()
    return found[0]
