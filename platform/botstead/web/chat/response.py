"""The open end of a stream: sends until the client leaves, reads too slowly, or this process goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import aclosing, suppress
from typing import Any

from litestar.types import Receive, Scope, Send

from botstead.web.chat.cursor import Cursor
from botstead.web.chat.stream import Stream, Streams

SEND_SECONDS = 30.0
"""A client that takes nothing for this long is cut off; it comes back with its cursor."""
END_SECONDS = 1.0
"""How long the end of the body may take to be taken."""
HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
)


class EventStream:
    """An ASGI response. The first page is read before the status is sent, so that an outage is answered as one."""

    def __init__(
        self,
        streams: Streams,
        conversation: str,
        cursor: Cursor | None,
        *,
        draining: asyncio.Event,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        """Prepare.

        Args:
            streams: where it is counted.
            conversation: its key.
            cursor: where the client stands, or None.
            draining: set once this process goes away.
            headers: besides the usual ones.
        """
        self._streams = streams
        self._conversation = conversation
        self._cursor = cursor
        self._draining = draining
        self._headers = (*HEADERS, *headers)

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one client.

        Raises:
            TooMany: see `Streams.open`.
            Unavailable: see `Streams.open`; or the database is away.
        """
        with self._streams.open(self._conversation, self._cursor) as stream:
            opening = await stream.opening()
            await send({"type": "http.response.start", "status": 200, "headers": self._headers})
            await _first_of(_send_all(stream, opening, send), _left(receive), self._draining.wait())
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(END_SECONDS):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send_all(stream: Stream, opening: bytes, send: Send) -> None:
    with suppress(TimeoutError):
        await _send(send, opening)
        async with aclosing(stream.following()) as chunks:
            async for chunk in chunks:
                await _send(send, chunk)


async def _send(send: Send, chunk: bytes) -> None:
    async with asyncio.timeout(SEND_SECONDS):
        await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _first_of(*coroutines: Coroutine[Any, Any, object]) -> None:
    """Run all until one ends; cancel the others and wait for that. Raises what the first one raised."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in done:
        task.result()
