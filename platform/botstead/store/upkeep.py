"""What one scheduler keeps in order: parts of history, old dedup keys, and who leads."""

from __future__ import annotations

from botstead.store.postgres import Held
from botstead.store.queries import load

SQL = load("road")
HOPS = load("hops")


class Upkeep:
    """What the scheduler keeps in order. One connection."""

    def __init__(self, dsn: str, *, application: str) -> None:
        """Prepare; the first call connects."""
        self._held = Held(dsn, application=f"{application} upkeep")
        self._leading = 0

    async def extend(self) -> int:
        """Add the parts of history that the next ids need; returns how many were made."""
        return int((await self._held.fetch(SQL["extend"]))[0]["made"])

    async def lead(self) -> bool:
        """Take, or still hold, the lock of the one process that does upkeep."""
        if self._leading == self._held.generation and self._leading:
            await self._held.fetch("SELECT 1")
            return self._leading == self._held.generation
        if (await self._held.fetch(SQL["lead"]))[0]["leads"]:
            self._leading = self._held.generation
            return True
        return False

    async def forget(self, *, days: int, batch: int) -> None:
        """Drop a batch of old dedup keys."""
        await self._held.fetch(SQL["forget"], days, batch)

    async def forget_hops(self, *, days: int, batch: int) -> None:
        """Drop a batch of what was noted of old messages."""
        await self._held.fetch(HOPS["forget_hops"], float(days), batch)

    async def close(self) -> None:
        """Close the connection."""
        await self._held.close()
