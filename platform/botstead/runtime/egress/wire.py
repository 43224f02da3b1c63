"""HTTP/1.1 on one connection, and the connections kept alive: what a short POST needs, and nothing else.

Parsing is llhttp's (through httptools), in its strict mode. A connection carries one exchange at a time, is aborted when that
exchange does not end well, and is closed when anything arrives that was not asked for.
Source: RFC 9112, https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Final, cast

import httptools

from botstead.core.errors import EgressBroken, EgressError, EgressUnsent
from botstead.core.messages import Response
from botstead.runtime.egress.request import Origin

IDLE_SECONDS: Final = 15.0
"""How long an unused connection is kept; less than what servers and NAT keep theirs."""
_IDLE_PER_ORIGIN = 64
_NEXT_ADDRESS_AFTER = 2.0
_HEAD_LIMIT = 65_536
NO_BODY: Final = frozenset({204, 304})
"""Statuses of answers that have no body, whatever length they name."""
_DIGITS = 20


def declared_too_large(length: str, limit: int) -> bool:
    """Tell whether an answer says itself that it has more than is taken.

    Args:
        length: what its Content-Length says; anything but digits says nothing.
        limit: bytes.
    """
    return length.isdecimal() and len(length) <= _DIGITS and int(length) > limit


class Connection(asyncio.Protocol):
    """One connection to one origin."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Build a connection for `loop.create_connection`.

        Args:
            loop: the running loop.
        """
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Response] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._limit = 0
        self._reset()
        self._unasked = False
        self.reusable = False
        self.idle_since = 0.0

    def exchange(self, request: bytes, *, limit: int) -> asyncio.Future[Response]:
        """Write a request and return the future of its response.

        Args:
            request: head and body.
            limit: the most bytes of body that are taken.

        Raises:
            EgressUnsent: the connection was lost before anything was written.
        """
        if self._transport is None or self._transport.is_closing():
            raise EgressUnsent
        self._limit = limit
        self.reusable = False
        self._waiter = self._loop.create_future()
        self._transport.write(request)
        return self._waiter

    @property
    def alive(self) -> bool:
        """Whether another exchange may be tried."""
        usable = self.reusable and not self._unasked
        return usable and self._transport is not None and not self._transport.is_closing()

    def abort(self) -> None:
        """Drop the connection at once, whatever is under way."""
        self.reusable = False
        self._waiter = None
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one without inheriting from it

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._waiter is None:  # nobody asked: a server that talks out of turn cannot be trusted with another request
            self.abort()
            return
        self._head_size += 0 if self._head_done else len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail(EgressBroken("The service answered with something that is not HTTP/1.1."))
        else:
            if not self._head_done and self._head_size > _HEAD_LIMIT:
                self._fail(EgressBroken("The answer's headers are larger than 64 KiB."))

    def eof_received(self) -> None:
        """See `asyncio.Protocol`. A body without a length ends here."""
        if self._waiter is not None and self._head_done and self._until_close:
            self._succeed()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        if exc is None and self._waiter is not None and self._head_done and self._until_close:
            self._succeed()
        self._fail(EgressBroken())
        self._transport = None

    def on_message_begin(self) -> None:
        """Called by the parser."""
        if self._waiter is None:  # a second answer to one question: it must never be taken for the next one's
            self._unasked = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser; trailers come after the head and are dropped."""
        if self._head_done:
            return
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        self._status = self._parser.get_status_code()
        if self._status < 200:
            return
        self._head_done = True
        declared = self._headers.get("content-length", "")
        if self._status not in NO_BODY and declared_too_large(declared, self._limit):
            self._too_large()  # not read up to the limit first: hundreds of calls at once would take that much memory each
            return
        framed = "content-length" in self._headers or "transfer-encoding" in self._headers
        self._until_close = not framed and self._status not in NO_BODY

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        self._size += len(body)
        if self._size > self._limit:
            self._too_large()
        elif self._waiter is not None:
            self._chunks.append(body)

    def on_message_complete(self) -> None:
        """Called by the parser. Interim answers (1xx) are passed over, a switch of protocols is not."""
        if self._status < 200:
            self._reset()
            if self._parser.should_upgrade():
                self._fail(EgressBroken("The service wants to speak another protocol."))
            return
        self.reusable = self._parser.should_keep_alive()
        self._succeed()

    def _succeed(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(Response(status=self._status, headers=self._headers, body=b"".join(self._chunks)))
        self._reset()

    def _too_large(self) -> None:
        self._fail(EgressBroken(f"The answer is larger than {self._limit} bytes."))

    def _fail(self, error: EgressError) -> None:
        waiter = self._waiter
        self.abort()
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)

    def _reset(self) -> None:
        self._headers: dict[str, str] = {}
        self._chunks: list[bytes] = []
        self._status = 0
        self._size = 0
        self._head_size = 0
        self._head_done = False
        self._until_close = False


class Pool:
    """Connections that wait for the next request to the same origin."""

    def __init__(self) -> None:
        """Build an empty pool."""
        self._idle: dict[Origin, list[Connection]] = {}
        self._sweep: asyncio.TimerHandle | None = None

    def take(self, origin: Origin) -> Connection | None:
        """Return a connection that is still alive, the one used last, or None.

        Args:
            origin: where it must lead.
        """
        waiting = self._idle.get(origin)
        while waiting:
            connection = waiting.pop()
            if connection.alive:
                return connection
        return None

    def give_back(self, origin: Origin, connection: Connection) -> None:
        """Keep a connection for the next request, or close it when it cannot carry one.

        Args:
            origin: where it leads.
            connection: one whose exchange has ended.
        """
        waiting = self._idle.setdefault(origin, [])
        if not connection.alive or len(waiting) >= _IDLE_PER_ORIGIN:
            connection.abort()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        waiting.append(connection)
        if self._sweep is None:
            self._sweep = loop.call_later(IDLE_SECONDS, self._close_old)

    def close(self) -> None:
        """Close every waiting connection."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for waiting in self._idle.values():
            for connection in waiting:
                connection.abort()
        self._idle.clear()

    def _close_old(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweep = None
        for origin, waiting in list(self._idle.items()):
            fresh = [one for one in waiting if one.alive and loop.time() - one.idle_since < IDLE_SECONDS]
            for connection in waiting:
                if connection not in fresh:
                    connection.abort()
            if fresh:
                self._idle[origin] = fresh
            else:
                del self._idle[origin]
        if self._idle:
            self._sweep = loop.call_later(IDLE_SECONDS / 3, self._close_old)


async def connect(origin: Origin, addresses: list[str], *, tls: Callable[[], ssl.SSLContext]) -> Connection:
    """Connect to exactly these addresses, one after the other, with no second lookup.

    Args:
        origin: for TLS, its host is the name that the certificate must hold.
        addresses: permitted addresses, best first.
        tls: makes the TLS context when one is needed.

    Raises:
        OSError: none could be connected to.
    """
    loop = asyncio.get_running_loop()
    context = tls() if origin.tls else None
    name = origin.host if origin.tls else None
    failure = OSError("The name has no address.")
    for address in addresses:
        patience = None if address is addresses[-1] else _NEXT_ADDRESS_AFTER
        try:
            async with asyncio.timeout(patience):
                _, connection = await loop.create_connection(
                    lambda: Connection(loop), address, origin.port, ssl=context, server_hostname=name
                )
        except OSError as error:
            failure = error
        else:
            return connection
    raise failure
