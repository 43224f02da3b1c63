"""What the leading scheduler does for objectives: keeps the ledger small, and shows Prometheus what bots promise."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from botstead.store.ledger import BotPromise
from botstead.telemetry.readings import Reading

TIDY_EVERY = 600.0
"""Seconds between two looks at old windows."""


class Rows(Protocol):
    """Where the ledger and the promises are."""

    async def tidy(self) -> None:
        """See `LedgerRows.tidy`."""
        ...

    async def promises(self) -> Mapping[str, BotPromise]:
        """See `LedgerRows.promises`."""
        ...


class ObjectivesUpkeep:
    """Called again and again while this scheduler leads."""

    def __init__(
        self, rows: Rows, *, targets: Reading, critical: Reading, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Prepare.

        Args:
            rows: where the ledger and the promises are.
            targets: shows the targets of bots that have their own, as ratios.
            critical: shows which bots wake a person.
            monotonic: seconds that never jump.
        """
        self._rows = rows
        self._targets = targets
        self._critical = critical
        self._monotonic = monotonic
        self._tidied = -TIDY_EVERY

    async def keep(self) -> None:
        """Show the promises, and every ten minutes tidy up.

        Raises:
            Unavailable: the database is away.
        """
        promises = await self._rows.promises()
        self._targets.replace({(bot,): promise.target / 100 for bot, promise in promises.items() if promise.target is not None})
        self._critical.replace({(bot,): 1.0 for bot, promise in promises.items() if promise.critical})
        if self._monotonic() - self._tidied >= TIDY_EVERY:
            await self._rows.tidy()
            self._tidied = self._monotonic()

    def rest(self) -> None:
        """Show nothing: another scheduler leads."""
        self._targets.clear()
        self._critical.clear()
