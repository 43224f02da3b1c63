"""Time in a test: it stands still unless somebody lets it pass, so nothing ever really waits."""

from __future__ import annotations

from typing import Final

BEGINNING: Final = 1_700_000_000.0
"""Unix seconds at which every test begins: the same for all, so that failures repeat."""


class KitClock:
    """Implements `core.clock.Clock`."""

    def __init__(self) -> None:
        """Start at the beginning."""
        self._now = BEGINNING

    def now(self) -> float:
        """Return the time, Unix seconds."""
        return self._now

    def monotonic(self) -> float:
        """Return seconds since the test began."""
        return self._now - BEGINNING

    def advance(self, seconds: float) -> None:
        """Let time pass.

        Args:
            seconds: how much, 0 or more.

        Raises:
            ValueError: time does not go back.
        """
        if seconds < 0:
            raise ValueError(f"time does not go back by {seconds:g} seconds")
        self._now += seconds
