"""Dead letters: messages that could not be handled or sent, kept with the reason, replayable once for each failure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from botstead.core.errors import Conflict, NotFound
from botstead.store import queries
from botstead.store.postgres import Postgres
from botstead.store.transcripts import DIRECTIONS, Direction

BATCH = 500
"""Letters put back in one transaction."""
REPLAY_AT_MOST = 10_000
"""Letters put back for one request; ask again for the rest."""
FOREVER = 2**63 - 1
_SQL = queries.load("letters")


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was parked, and why. `id` is the message's."""

    id: int
    direction: Direction
    bot: str
    channel: str
    conversation: str
    reason: str
    error: str
    attempts: int
    trace: str
    at: datetime
    replayed_at: datetime | None


class LetterPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of letters; `next` is the `before` of the next page, None at the end."""

    items: tuple[Letter, ...]
    next: int | None = None


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which letters: those for which everything given holds.

    Args:
        bot: the bot's number.
        channel: the channel's number.
        reason: crashed, failed, blocked, deadline, invalid, gone, …
        direction: in, out or internal.
        first: the lowest message id.
        last: the highest message id.
    """

    bot: int | None = None
    channel: int | None = None
    reason: str | None = None
    direction: Direction | None = None
    first: int = 0
    last: int = FOREVER - 1

    @property
    def side(self) -> int | None:
        """The direction as the table keeps it."""
        return None if self.direction is None else DIRECTIONS.index(self.direction)


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay did, or with `dry_run` would do. `left` counts matching letters that still wait."""

    replayed: int
    left: int
    dry_run: bool = False


class Letters:
    """Lists dead letters and puts them back on the road."""

    def __init__(self, postgres: Postgres, partition_of: Callable[[str], int]) -> None:
        """Prepare; nothing is read yet.

        Args:
            postgres: where they are.
            partition_of: the road's hash from a conversation's key to its partition.
        """
        self._postgres = postgres
        self._partition_of = partition_of

    async def list(
        self, *, limit: int, before: int | None = None, matching: Filter | None = None, replayed: bool | None = None
    ) -> LetterPage:
        """Return letters by falling message id.

        Args:
            limit: at most so many.
            before: only ids below this.
            matching: which ones; by default all.
            replayed: only those that were, or were not, put back already; None takes both.
        """
        which = matching or Filter()
        upper = min(before or FOREVER, which.last + 1)
        wanted = (upper, which.bot, which.channel, which.reason, which.side, replayed, which.first, limit + 1)
        async with self._postgres.connection() as connection:
            rows = await connection.fetch(_SQL["list"], *wanted)
        items = tuple(map(_letter, rows[:limit]))
        return LetterPage(items=items, next=items[-1].id if len(rows) > limit else None)

    async def get(self, message: int) -> Letter:
        """Return one letter.

        Args:
            message: the message's id.

        Raises:
            NotFound: that message is not among them.
        """
        page = await self.list(limit=1, matching=Filter(first=message, last=message))
        if not page.items:
            raise NotFound("There is no dead letter by that id.")
        return page.items[0]

    async def replay(self, message: int) -> None:
        """Put one letter back on the road, at its old place in the conversation's order.

        Args:
            message: the message's id.

        Raises:
            NotFound: that message is not among them.
            Conflict: it was put back already and has not failed since.
        """
        async with self._postgres.unit() as connection:
            rows = await connection.fetch(_SQL["take_one"], message)
            if rows:
                await self._put_back(connection, rows)
            elif await connection.fetchval(_SQL["exists"], message):
                raise Conflict("This dead letter was replayed already and has not failed since.")
            else:
                raise NotFound("There is no dead letter by that id.")

    async def replay_all(self, which: Filter, *, dry_run: bool = False) -> Replay:
        """Put all matching letters back, oldest first, each at most once for each failure.

        Args:
            which: a filter, a range of ids, or both.
            dry_run: only count.

        Returns:
            How many, at most `REPLAY_AT_MOST` in one call.
        """
        done = 0
        while not dry_run and done < REPLAY_AT_MOST:
            taken = await self._batch(which)
            done += taken
            if taken < BATCH:
                break
        async with self._postgres.connection() as connection:
            left = await connection.fetchval(_SQL["count"], *_range(which))
        return Replay(replayed=done, left=left, dry_run=dry_run)

    async def purge(self, seconds: float) -> int:
        """Let go of letters older than this; their messages stay in the history. Returns how many.

        Args:
            seconds: age since the failure.
        """
        async with self._postgres.unit() as connection:
            return len(await connection.fetch(_SQL["purge"], seconds))

    async def _batch(self, which: Filter) -> int:
        async with self._postgres.unit() as connection:
            rows = await connection.fetch(_SQL["take"], *_range(which), BATCH)
            await self._put_back(connection, rows)
        return len(rows)

    async def _put_back(self, connection: asyncpg.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        ordered = sorted(rows, key=lambda row: int(row["id"]))
        handle = [row for row in ordered if row["direction"] != 1]
        send = [row for row in ordered if row["direction"] == 1]
        if handle:
            columns = [[row[name] for row in handle] for name in ("bot", "id", "conversation")]
            await connection.execute(_SQL["into_inbox"], self._partitions(handle), *columns)
        if send:
            identifiers = [row["id"] for row in send]
            await connection.execute(_SQL["forget_outcome"], identifiers)
            await connection.execute(_SQL["into_outbox"], self._partitions(send), identifiers)

    def _partitions(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[int]:
        return [self._partition_of(row["conversation"]) for row in rows]


def _range(which: Filter) -> tuple[Any, ...]:
    return which.first, which.last + 1, which.bot, which.channel, which.reason, which.side


def _letter(row: Mapping[str, Any]) -> Letter:
    return Letter(
        id=row["id"],
        direction=DIRECTIONS[row["direction"]],  # type: ignore[arg-type]  # the column holds 0, 1 or 2
        bot=row["bot"],
        channel=row["channel"],
        conversation=row["conversation"],
        reason=row["reason"],
        error=row["error"] or "",
        attempts=row["attempts"],
        trace=row["trace"].hex if row["trace"] else "",
        at=row["at"],
        replayed_at=row["replayed_at"],
    )
