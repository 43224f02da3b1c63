"""Passes bytes from one address to another, so that a server on loopback can be reached from another network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import cast


class _End(asyncio.Protocol):
    """One end of a visit; what it hears, the other end says."""

    def __init__(self, ends: set[_End], other: _End | None = None, *, to: int = 0) -> None:
        self.transport: asyncio.Transport | None = None
        self._ends, self._other, self._to = ends, other, to
        self._early: list[bytes] = []
        self._opening: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._ends.add(self)
        if self._to:
            self._opening = asyncio.create_task(self._open())

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, self._other = await loop.create_connection(lambda: _End(self._ends, self), "127.0.0.1", self._to)
        except OSError:
            self.close()
        else:
            for early in self._early:
                self._other.say(early)

    def say(self, data: bytes) -> None:
        """Say something at this end."""
        if self.transport is not None:
            self.transport.write(data)

    def close(self) -> None:
        """Say no more."""
        if self.transport is not None:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._other is None:
            self._early.append(data)
        else:
            self._other.say(data)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._ends.discard(self)
        if self._opening is not None:
            self._opening.cancel()
        if self._other is not None:
            self._other.close()


@asynccontextmanager
async def relay(host: str, port: int, *, to: int) -> AsyncIterator[None]:
    """Pass on what comes.

    Args:
        host: address to listen on.
        port: and port.
        to: port on loopback.

    Raises:
        OSError: the address is not ours, or taken.
    """
    ends: set[_End] = set()
    server = await asyncio.get_running_loop().create_server(lambda: _End(ends, to=to), host, port)
    try:
        yield
    finally:
        server.close()
        for end in list(ends):
            end.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(2):
                await server.wait_closed()
