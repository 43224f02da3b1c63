"""What the doubles of providers stand on: a connection that costs little, and a log that is on the disk before an answer.

Source: RFC 9112, https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias, cast

import httptools
import msgspec

from botstead.processes.prove.fault import write_answer


class Asked(msgspec.Struct, frozen=True):
    """One request.

    Args:
        method: of HTTP.
        path: without its query.
        query: behind the question mark.
        headers: by lower-case name; the last of several.
        body: its bytes.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


class Log:
    """What came, on the disk. Those who wait at the same time share one sync."""

    def __init__(self, path: Path) -> None:
        """Open it.

        Args:
            path: the file.
        """
        self.count = 0
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._encode = msgspec.json.Encoder().encode
        self._busy = False
        self._lines: list[bytes] = []
        self._waiting: asyncio.Future[None] | None = None

    def write(self, entry: msgspec.Struct) -> asyncio.Future[None]:
        """Add an entry; the future, which others wait for too, is done when it is on the disk."""
        self._lines.append(self._encode(entry) + b"\n")
        if self._waiting is None:
            self._waiting = asyncio.get_running_loop().create_future()
        waiting = self._waiting
        if not self._busy:
            self._flush()
        return waiting

    def _flush(self) -> None:
        lines, self._lines = b"".join(self._lines), []
        waiting, self._waiting = self._waiting, None
        self._busy = True
        loop = asyncio.get_running_loop()
        written = loop.run_in_executor(None, self._sync, lines)
        written.add_done_callback(lambda done: self._synced(done, waiting))

    def _synced(self, done: asyncio.Future[None], waiting: asyncio.Future[None] | None) -> None:
        done.result()
        self._busy = False
        if waiting is not None:
            waiting.set_result(None)
        if self._lines:
            self._flush()

    def _sync(self, lines: bytes) -> None:
        os.write(self._file, lines)
        os.fdatasync(self._file)


class Visit(asyncio.Protocol):
    """One connection. Requests on it are answered one after the other."""

    def __init__(self, serve: Serve) -> None:
        """Prepare.

        Args:
            serve: answers a request on a connection.
        """
        self.transport: asyncio.Transport | None = None
        self._serve = serve
        self._parser = httptools.HttpRequestParser(self)
        self._task: asyncio.Task[None] | None = None
        self._reset()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is one without inheriting from it

    def connection_lost(self, _exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self.transport = None
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            if self.transport is not None:
                self.transport.abort()

    def on_url(self, url: bytes) -> None:
        """Called by the parser."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        self._headers[name.lower().decode("latin-1")] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        self._body += body

    def on_message_complete(self) -> None:
        """Called by the parser."""
        path, _, query = self._url.decode("latin-1").partition("?")
        asked = Asked(self._parser.get_method().decode(), path, query, self._headers, self._body)
        self._reset()
        self._task = asyncio.create_task(self._answer(asked, after=self._task))

    def _reset(self) -> None:
        self._url, self._body = b"", b""
        self._headers: dict[str, str] = {}

    async def _answer(self, asked: Asked, *, after: asyncio.Task[None] | None) -> None:
        if after is not None and not after.done():
            await after
        await self._serve(asked, self)

    def write(self, status: int, body: bytes, **more: Any) -> None:
        """Answer, if anybody still listens.

        Args:
            status: of HTTP.
            body: whole.
            more: for `fault.head`.
        """
        if self.transport is not None:
            write_answer(self.transport, status, body, **more)


Serve: TypeAlias = Callable[[Asked, Visit], Awaitable[None]]


async def listen(port: int, serve: Serve) -> asyncio.Server:
    """Listen on loopback.

    Args:
        port: where.
        serve: answers each request.
    """
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Visit(serve), "127.0.0.1", port, backlog=1_024)
