"""`Quota`: how many calls a second a service takes from us, all workers together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

Reserve: TypeAlias = Callable[[str, float, float, float, float], Awaitable[float | None]]
"""(bucket, seconds a call, burst seconds, seconds from now for which places are taken as far as we know, seconds that the caller
would wait) to seconds to wait, negative for one that comes early; when they are more than the caller would wait, no place was
taken. None when the shared buckets are away."""
USED: Final = 0.9
"""Of what a service allows; the rest is head-room for clocks that differ and for others with the same key."""


class Quota:
    """The generic cell rate algorithm, in shared buckets; while they are away, with this worker's share of the rate."""

    def __init__(
        self, bucket: str, *, per_second: float, burst: int, reserve: Reserve | None, workers: Callable[[], int]
    ) -> None:
        """Start with a full bucket.

        Args:
            bucket: its name, the same in all workers.
            per_second: calls that the service takes; more than 0.
            burst: calls that may come at once.
            reserve: the shared buckets.
            workers: how many share the rate while those are away.
        """
        self._bucket = bucket
        self._interval = 1 / (per_second * USED)
        self._early = self._interval * max(0, burst - 1)
        self._reserve = reserve
        self._workers = workers
        self._arrival = 0.0

    async def wait(self, patience: float, *, now: float) -> float:
        """Take a place; returns the seconds to wait for it. When they are more than `patience`, none was taken.

        Args:
            patience: seconds that the caller would wait.
            now: seconds that never jump.
        """
        expected = self._arrival - self._early - now
        if expected > patience:  # as far as we know; whoever gives up must not push the others back
            return expected
        if self._reserve is not None:
            taken = max(0.0, self._arrival - now)
            found = await self._reserve(self._bucket, self._interval, self._early, taken, max(patience, 0.0))
            if found is not None:
                own = self._interval if found <= patience else 0.0
                self._arrival = max(self._arrival, now + found + self._early + own)
                return max(0.0, found)
        expected = self._arrival - self._early - now  # others have asked meanwhile
        if expected <= patience:
            self._arrival = max(self._arrival, now) + self._interval * max(1, self._workers())
        return max(0.0, expected)
