"""Who is a worker, and which partitions are whose: the lease protocol's statements as methods."""

from __future__ import annotations

from collections.abc import Collection

from botstead.store.postgres import Held
from botstead.store.queries import load

SQL = load("road")


class Membership:
    """Joins, renews, claims and releases. One connection for each user."""

    def __init__(self, dsn: str, *, application: str) -> None:
        """Prepare; the first call connects."""
        self._held = Held(dsn, application=f"{application} lease")

    async def join(self, name: str, lease: float) -> int:
        """Bury my past self and take a new worker id.

        Args:
            name: the slot's stable name.
            lease: seconds.
        """
        await self._held.fetch(SQL["bury_name"], name)
        return int((await self._held.fetch(SQL["join"], name, lease))[0]["id"])

    async def renew(self, worker: int, lease: float) -> bool:
        """Stay alive for another lease; False: I am dead to the others."""
        return bool(await self._held.fetch(SQL["renew"], worker, lease))

    async def leave(self, name: str) -> None:
        """Remove my worker row."""
        await self._held.fetch(SQL["bury_name"], name)

    async def workers(self) -> list[tuple[int, bool]]:
        """List (id, expired), oldest first."""
        return [(row["id"], row["expired"]) for row in await self._held.fetch(SQL["workers"])]

    async def bury(self, lease: float) -> list[int]:
        """Bury the expired."""
        return [row["id"] for row in await self._held.fetch(SQL["bury"], lease)]

    async def claim(self, worker: int, most: int, *, known: Collection[int] = ()) -> dict[int, bool]:
        """Take free partitions; returns whether each must be read with care.

        Args:
            worker: me.
            most: at most so many.
            known: those that I know to be mine; others that name me were taken by a call whose answer never came.
        """
        rows = await self._held.fetch(SQL["claim"], worker, most, list(known))
        return {row["partition"]: row["careful"] for row in rows}

    async def release(self, worker: int, partitions: Collection[int]) -> None:
        """Hand partitions back."""
        await self._held.fetch(SQL["release"], worker, list(partitions))

    async def calm(self, worker: int, partitions: Collection[int]) -> None:
        """Say that their suspects ended well."""
        await self._held.fetch(SQL["calm"], worker, list(partitions))

    async def eject(self, worker: int, *, message: int, partition: int) -> None:
        """Count the try on the row that blocks the loop, and hand everything back."""
        await self._held.fetch(SQL["eject"], worker, message, partition)

    async def close(self) -> None:
        """Close the connection."""
        await self._held.close()
