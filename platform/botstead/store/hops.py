"""Keeps what is noted of a few messages: when a handler ran, which calls it made, when each send was tried."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from botstead.store.postgres import Held
from botstead.store.queries import load

SQL = load("hops")


class Hop(NamedTuple):
    """A row of table `hop`. Times are Unix seconds, kept exactly: ids of spans follow from them.

    Args:
        message: what ran; of a send, the answer.
        send: whether it is an attempt to send.
        attempt: from 1.
        began: when.
        ended: when.
        outcome: ok or the kind of failure; of a send, its outcome.
        reason: of a send that did not arrive.
        calls: JSON of `telemetry.tracing.CallMade`, or None.
    """

    message: int
    send: bool
    attempt: int
    began: float
    ended: float
    outcome: str
    reason: str
    calls: str | None


class Hops:
    """Writes hops. One connection, which does not wait for the disk: losing a few only loses detail."""

    def __init__(self, dsn: str, *, application: str) -> None:
        """Prepare; the first call connects.

        Args:
            dsn: where.
            application: shown in `pg_stat_activity`.
        """
        self._held = Held(dsn, application=f"{application} hops", overrides={"synchronous_commit": "off"})

    async def note(self, hops: Sequence[Hop]) -> None:
        """Keep some.

        Raises:
            Unavailable: they were not kept, or perhaps they were.
            RowRefused: one of them cannot be kept.
        """
        if hops:
            await self._held.fetch(SQL["note"], *map(list, zip(*hops, strict=True)))

    async def close(self) -> None:
        """Close the connection."""
        await self._held.close()
