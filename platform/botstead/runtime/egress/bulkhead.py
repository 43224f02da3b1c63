"""A slow service fills its own places and no others."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final

from botstead.core.errors import EgressUnsent

WAITING_PER_PLACE: Final = 16
"""How many calls may wait for each place before further ones are turned away at once."""


class Bulkhead:
    """Places for calls under way, counted by service."""

    def __init__(self, places: int) -> None:
        """Build a bulkhead.

        Args:
            places: how many calls to one service may run at once.
        """
        self._size = places
        self._services: dict[str, Places] = {}

    def place(self, service: str) -> Places:
        """Return the places of a service, to be entered with `async with`.

        Args:
            service: the name that the places are counted by.
        """
        places = self._services.get(service)
        if places is None:
            self._forget_idle()
            places = self._services[service] = Places(service, self._size)
        return places

    def _forget_idle(self) -> None:
        for name in [name for name, places in self._services.items() if places.idle]:
            del self._services[name]


class Places:
    """The places of one service. Entering waits for a free one; the deadline is the caller's."""

    def __init__(self, service: str, size: int) -> None:
        """Build a service's places.

        Args:
            service: its name, for the error.
            size: how many there are.
        """
        self._service = service
        self._free = asyncio.Semaphore(size)
        self._most = size * (1 + WAITING_PER_PLACE)
        self._inside = 0

    @property
    def idle(self) -> bool:
        """Whether nobody is inside or waiting."""
        return self._inside == 0

    async def __aenter__(self) -> None:
        if self._inside >= self._most:
            raise EgressUnsent(f"Too many calls to {self._service} are waiting; nothing was sent.")
        self._inside += 1
        try:
            await self._free.acquire()
        except BaseException:
            self._inside -= 1
            raise

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._inside -= 1
        self._free.release()
