"""The rows on which channels are judged: how often each brings a message, and what was turned away at its door."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from botstead.store import queries
from botstead.store.postgres import Held, Postgres

SPAN = 200_000
"""Message ids looked at in one step: catching up is done in several."""
_SQL = queries.load("rhythm")


class Row(msgspec.Struct, kw_only=True):
    """What is known of a channel. Times are Unix seconds; `last_at` is 0 when nothing ever came."""

    channel: int
    last_id: int = 0
    last_at: float = 0.0
    looked_at: float = 0.0
    events: tuple[float, ...] = (0.0,) * 24
    seconds: tuple[float, ...] = (0.0,) * 24


class Came(msgspec.Struct, frozen=True, kw_only=True):
    """What one channel brought in some ids, in one hour of the day."""

    channel: int
    hour: int
    events: int
    last_id: int
    last_at: float


class RhythmRows:
    """Reads and writes them. One connection."""

    def __init__(self, dsn: str, *, application: str) -> None:
        """Prepare; the first call connects.

        Args:
            dsn: where.
            application: shown in `pg_stat_activity`.
        """
        self._held = Held(dsn, application=f"{application} rhythm")

    async def load(self) -> dict[int, Row]:
        """Return what is known, by channel.

        Raises:
            Unavailable: the database is away.
        """
        rows = await self._held.fetch(_SQL["load"])
        found = [
            Row(**{**row, "last_at": row["last_at"] or 0.0, "events": tuple(row["events"]), "seconds": tuple(row["seconds"])})
            for row in rows
        ]
        return {row.channel: row for row in found}

    async def came(self, above: int) -> tuple[int, list[Came]]:
        """Return what came in with the next ids, and up to which id that is.

        Args:
            above: only ids above this.

        Raises:
            Unavailable: the database is away.
        """
        newest = int((await self._held.fetch(_SQL["newest"]))[0]["id"])
        upper = min(newest, above + SPAN)
        if upper <= above:
            return above, []
        return upper, [Came(**row) for row in await self._held.fetch(_SQL["events"], above, upper)]

    async def save(self, rows: Sequence[Row], *, looked_at: float) -> None:
        """Keep what is known now.

        Args:
            rows: of every channel.
            looked_at: Unix seconds.

        Raises:
            Unavailable: the database is away.
        """
        await self._held.fetch(
            _SQL["save"],
            [row.channel for row in rows],
            [row.last_id for row in rows],
            [row.last_at for row in rows],
            looked_at,
            [count for row in rows for count in row.events],
            [seconds for row in rows for seconds in row.seconds],
        )

    async def rejects(self, *, seconds: float) -> dict[int, dict[str, int]]:
        """Return deliveries turned away lately: channel to reason to how many.

        Args:
            seconds: how far back.

        Raises:
            Unavailable: the database is away.
        """
        found: dict[int, dict[str, int]] = {}
        for row in await self._held.fetch(_SQL["rejects"], seconds):
            found.setdefault(row["channel"], {})[row["reason"]] = row["count"]
        return found

    async def forget(self, *, seconds: float) -> None:
        """Drop counts that are older.

        Args:
            seconds: how old.

        Raises:
            Unavailable: the database is away.
        """
        await self._held.fetch(_SQL["forget"], seconds)

    async def close(self) -> None:
        """Close the connection."""
        await self._held.close()


async def reject(postgres: Postgres, counts: Mapping[tuple[int, str], int]) -> None:
    """Add deliveries that were turned away.

    Args:
        postgres: where.
        counts: by channel and reason.

    Raises:
        Unavailable: the database is away.
    """
    keys = sorted(counts)  # in one order, or two processes could deadlock
    async with postgres.unit() as connection:
        columns = [channel for channel, _ in keys], [reason for _, reason in keys], [counts[key] for key in keys]
        await connection.execute(_SQL["reject"], *columns)


class Rejects:
    """Counts in memory what an API process turns away, so that refusing a stranger costs no query."""

    def __init__(self) -> None:
        """Start at nothing."""
        self._counts: Counter[tuple[int, str]] = Counter()

    def add(self, channel: int, reason: str) -> None:
        """Count one.

        Args:
            channel: the channel's number.
            reason: from the closed list of `Rejected`.
        """
        self._counts[channel, reason] += 1

    async def flush(self, postgres: Postgres) -> None:
        """Write down what was counted since the last time; it stays counted when that fails.

        Args:
            postgres: where.

        Raises:
            Unavailable: the database is away.
        """
        counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            await reject(postgres, counts)
        except BaseException:
            self._counts.update(counts)
            raise
