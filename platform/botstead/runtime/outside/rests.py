"""`Rests`: processes tell each other which services rest, as well as they can.

The cache may forget it or be away; then each process finds out by itself.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import msgspec

from botstead.core.clock import Clock
from botstead.core.ports import Cache

REST: Final = "rest"
PAUSE: Final = "pause"
WELL: Final = "well"
_WELL_KEPT: Final = 60.0


class News(NamedTuple):
    """What another process says.

    Args:
        kind: rest (it failed), pause (it asked for one), well (a probe succeeded).
        seconds: from now; 0 or less when it is over.
    """

    kind: str
    seconds: float


class Rests:
    """News of services in the cache."""

    def __init__(self, cache: Cache, clock: Clock) -> None:
        """Build it.

        Args:
            cache: shared by processes, best effort.
            clock: its wall clock is what processes have in common.
        """
        self._cache = cache
        self._clock = clock

    async def tell(self, name: str, kind: str, seconds: float = 0.0) -> None:
        """Say how a service is.

        Args:
            name: of service and bot.
            kind: see `News`.
            seconds: how long that lasts.
        """
        told = msgspec.json.encode((kind, self._clock.now() + seconds))
        await self._cache.set(_key(name), told, max(seconds, _WELL_KEPT) if kind == WELL else seconds + 1.0)

    async def hear(self, name: str) -> News | None:
        """Return what was said last, or None when that is nothing readable.

        Args:
            name: of service and bot.
        """
        told = await self._cache.get(_key(name))
        if told is None:
            return None
        try:
            kind, until = msgspec.json.decode(told, type=tuple[str, float])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        seconds = until - self._clock.now()
        return News(kind, seconds) if math.isfinite(seconds) and kind in {REST, PAUSE, WELL} else None


def _key(name: str) -> str:
    return f"outside:how:{name}"
