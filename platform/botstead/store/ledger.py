"""The ledger of objectives: good and bad events of each promise in windows of five minutes, and what bots promise themselves.

Several processes add to the same windows. Each numbers its batches, and a batch whose answer was lost is offered again under its
number: it is added once. Windows are cut by the database's clock, so that processes with wrong clocks agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from botstead.store import queries
from botstead.store.postgres import Postgres, RowRefused
from botstead.store.records import from_json

WINDOW = 300.0
"""Seconds of a window of the ledger."""
MERGED = 3600.0
"""Seconds of a window that is old."""
MERGE_AFTER = 4 * 86_400.0
"""Seconds after which windows are merged: a day more than the longest window that an alert looks at."""
KEEP = 35 * 86_400.0
"""Seconds that windows are kept: the longest budget, and some days to look at what has just left it."""
WRITER_KEEP = 2 * 86_400.0
"""Seconds after which a process that adds nothing is gone; far longer than a batch is offered again."""
_SQL = queries.load("ledger")


class Series(NamedTuple):
    """What is counted: an objective, and its labels as sorted pairs of name and value."""

    objective: str
    labels: tuple[tuple[str, str], ...] = ()


class Counted(NamedTuple):
    """Events of a series that happened `age` seconds before they are added."""

    series: Series
    age: float
    bad: int
    total: int


class Sum(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to one series in the last `length` seconds.

    Args:
        objective: its name.
        labels: name to value.
        length: seconds.
        bad: bad events.
        total: all events.
        age: seconds since the first of these windows began.
    """

    objective: str
    labels: Mapping[str, str]
    length: float
    bad: int
    total: int
    age: float


class BotPromise(msgspec.Struct, frozen=True, kw_only=True):
    """What a bot says in `bot.toml`.

    Args:
        seconds: within which it answers.
        target: percent of messages that it answers; None where the objective's own holds.
        critical: whether it wakes a person.
    """

    seconds: float
    target: float | None = None
    critical: bool = False


class LedgerRows:
    """Adds to the ledger, sums it up, keeps it small."""

    def __init__(self, postgres: Postgres, *, window: float = WINDOW) -> None:
        """Prepare; nothing is read yet.

        Args:
            postgres: where it is.
            window: seconds of a window.
        """
        self._postgres = postgres
        self._window = window
        self._numbers: dict[Series, int] = {}

    async def add(self, writer: UUID, batch: int, counted: Sequence[Counted]) -> None:
        """Add a batch, unless it was added before.

        Args:
            writer: the process, a new one for each start.
            batch: its number, rising.
            counted: what happened.

        Raises:
            Unavailable: the database is away; the batch may have been added. Offer it again under its number.
            RowRefused: Postgres does not take it, such as after an older backup was restored. Offer it again.
        """
        try:
            await self._name(item.series for item in counted)
            numbers = [self._numbers[item.series] for item in counted]
            columns = [[getattr(item, name) for item in counted] for name in ("age", "bad", "total")]
            async with self._postgres.connection() as connection:
                await connection.execute(_SQL["add"], writer, batch, numbers, *columns, self._window)
        except asyncpg.PostgresError as error:
            self._numbers.clear()
            raise RowRefused(f"Postgres refuses what was counted: {error}") from error

    async def _name(self, wanted: Iterable[Series]) -> None:
        missing = sorted(set(wanted).difference(self._numbers))
        if not missing:
            return
        keys = [series.objective for series in missing], [_json(series) for series in missing]
        async with self._postgres.connection() as connection:
            await connection.execute(_SQL["name"], *keys)
            rows = await connection.fetch(_SQL["numbers"], *keys)
        found = {(row["objective"], row["given"]): row["id"] for row in rows}
        self._numbers.update({series: found[series.objective, _json(series)] for series in missing})

    async def sums(
        self, lengths: Sequence[float], *, objective: str | None = None, labels: Mapping[str, str] | None = None
    ) -> list[Sum]:
        """Sum up what happened lately. A window counts when it reaches into the time asked for.

        Args:
            lengths: seconds back from now.
            objective: only of this one.
            labels: only series that have these.

        Returns:
            A sum for each series and length in which anything happened.
        """
        asked = sorted(set(map(float, lengths)))
        wanted = msgspec.json.encode(dict(labels or {})).decode()
        async with self._postgres.connection() as connection:
            rows = await connection.fetch(_SQL["sums"], asked, objective, wanted, self._window)
        return [Sum(**{**row, "labels": from_json(row["labels"])}) for row in rows]

    async def tidy(self, *, merge_after: float = MERGE_AFTER, keep: float = KEEP) -> None:
        """Merge old windows, and let go of very old ones. Safe to repeat, and to do while others add.

        Args:
            merge_after: seconds after which windows of five minutes become windows of an hour.
            keep: seconds after which windows go.
        """
        async with self._postgres.connection() as connection:
            await connection.execute(_SQL["forget"], keep, WRITER_KEEP)
            await connection.execute(_SQL["merge"], merge_after, MERGED)

    async def promise(self, bot: int, promise: BotPromise) -> None:
        """Note what a bot promises.

        Args:
            bot: the bot's number.
            promise: what `bot.toml` says.
        """
        target = None if promise.target is None else Decimal(str(promise.target))
        async with self._postgres.connection() as connection:
            await connection.execute(_SQL["promise"], bot, promise.seconds, target, promise.critical)

    async def promises(self) -> dict[str, BotPromise]:
        """Return what bots promise, by their names."""
        async with self._postgres.connection() as connection:
            rows = await connection.fetch(_SQL["promises"])
        return {
            row["name"]: BotPromise(
                seconds=row["seconds"],
                target=None if row["target"] is None else float(row["target"]),
                critical=row["critical"],
            )
            for row in rows
        }


def _json(series: Series) -> str:
    return msgspec.json.encode(dict(series.labels)).decode()
