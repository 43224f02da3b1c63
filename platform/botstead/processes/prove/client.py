"""A client that costs little: POST over connections kept alive, so that the load is not what limits.

Answers are read as far as the status; a connection that breaks is said to be broken and is not used again.
Source: RFC 9112, https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

import asyncio
from typing import cast

import httptools

HOST = "127.0.0.1"


class Answer:
    """One response while it comes in; called by the parser."""

    def __init__(self) -> None:
        """Begin."""
        self.status = 0
        self.body = b""
        self.done = False

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        self.body += body

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self.done = True


class Line(asyncio.Protocol):
    """One connection, one exchange at a time."""

    def __init__(self) -> None:
        """Prepare; for `loop.create_connection`."""
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[tuple[int, bytes]] | None = None
        self._begin()

    def _begin(self) -> None:
        self._answer = Answer()
        self._parser = httptools.HttpResponseParser(self._answer)

    @property
    def usable(self) -> bool:
        """Whether another exchange may be tried."""
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one without inheriting from it

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._transport = None
        self._fail(ConnectionResetError("The connection ended before the answer.") if exc is None else exc)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.close()
            self._fail(ConnectionError(f"This is no answer: {error}"))
            return
        if not self._answer.done or not (status := self._parser.get_status_code()):
            return
        keep, body = self._parser.should_keep_alive(), self._answer.body
        waiter, self._waiter = self._waiter, None
        self._begin()
        if not keep:
            self.close()
        if waiter is not None and not waiter.done():
            waiter.set_result((status, body))

    def _fail(self, error: Exception) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)

    def exchange(self, asked: bytes) -> asyncio.Future[tuple[int, bytes]]:
        """Write a request and return the future of its answer."""
        assert self._transport is not None
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(asked)
        return self._waiter

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()


class Client:
    """Connections to loopback ports, kept for the next exchange."""

    def __init__(self) -> None:
        """Open nothing yet."""
        self._idle: dict[int, list[Line]] = {}

    async def ask(self, port: int, asked: bytes, *, seconds: float = 8.0) -> tuple[int, bytes]:
        """Send a request and wait for its answer.

        Args:
            port: loopback port.
            asked: the whole request.
            seconds: for all of it.

        Returns:
            Status and body.

        Raises:
            OSError: no connection, or it broke before the whole answer had come.
            TimeoutError: the answer did not come in time.
        """
        async with asyncio.timeout(seconds):
            line = await self._line(port)
            try:
                found = await line.exchange(asked)
            except BaseException:
                line.close()
                raise
        if line.usable:
            self._idle[port].append(line)
        return found

    async def _line(self, port: int) -> Line:
        idle = self._idle.setdefault(port, [])
        while idle:
            line = idle.pop()
            if line.usable:
                return line
        _, line = await asyncio.get_running_loop().create_connection(Line, HOST, port)
        return line

    def close(self) -> None:
        """Hang up on every connection that is idle."""
        for lines in self._idle.values():
            for line in lines:
                line.close()
        self._idle.clear()
