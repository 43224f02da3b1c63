"""A service that goes wrong and tells in its answer everything that it was asked: URL, headers and body.

What it does stands at the beginning of the path: `/401/…`, `/nested-401/…`, `/redirect/…`, `/garbage/…`, `/reset/…`,
`/slow/…`. It gives tokens and collects traces too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec

HOST = "127.0.0.1"
SECONDS = 5.0
TRACES = "/v1/traces"
REDIRECT = 302
OK = 200
WORDS = ("description", "error", "error_description", "message", "detail", "text", "code", "type", "param")
"""Where the services that we call have words, at the top of an answer or, nested, in its error."""
LONGEST = 900
"""Characters of a question that its answer repeats in each place."""


class Echo:
    """What it was asked."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.port = 0
        self.heads: list[bytes] = []
        """Request line and headers of each question, and its body."""
        self.traces: list[bytes] = []
        """Bodies that came to the collector."""
        self.token = ""
        """What it gives to whoever asks for a token."""
        self._over = asyncio.Event()
        self._met: set[asyncio.Task[None] | None] = set()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{HOST}:{self.port}"

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one question, and hang up.

        Args:
            reader: what comes.
            writer: to answer.
        """
        task = asyncio.current_task()
        self._met.add(task)
        try:
            async with asyncio.timeout(SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(_length(head))
                await self._answer(head, body, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass  # whoever came has spoken TLS, or has gone
        finally:
            writer.close()
            self._met.discard(task)

    async def end(self) -> None:
        """Let everybody go who still waits for an answer."""
        self._over.set()
        while self._met:  # noqa: ASYNC110  # each of them ends within its time
            await asyncio.sleep(0.01)

    async def _answer(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        path = head.split(b" ", 2)[1].decode("latin-1")
        self.heads.append(head + body)
        if path.startswith(TRACES):
            self.traces.append(body)
        what = path.split("/")[1].partition("?")[0]
        if what == "reset":
            writer.transport.abort()
        elif what == "slow":
            await self._over.wait()
        elif what == "garbage":
            writer.write(b"HTTP/9 " + head)
        else:
            nested, number = what.startswith("nested-"), what.removeprefix("nested-")
            status = int(number) if number.isdecimal() else REDIRECT if what == "redirect" else 200
            status = OK if "token" in path else status
            token = {"access_token": self.token, "token_type": "Bearer", "expires_in": 3_600} if "token" in path else {}
            writer.write(_told(status, path, head.decode("latin-1"), nested=nested, more=token))
        if not writer.transport.is_closing():
            await writer.drain()


def _length(head: bytes) -> int:
    lines = head.lower().split(b"\r\n")
    return next((int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:")), 0)


def _told(status: int, path: str, head: str, *, nested: bool, more: Mapping[str, Any]) -> bytes:
    """Repeat the question wherever an answer has words."""
    words = head.replace("\r\n", " ")[:LONGEST]
    said: dict[str, Any] = dict.fromkeys(WORDS, f"{path[:LONGEST]} {words}")
    if nested:
        said["error"] = dict(said)
    body = msgspec.json.encode({"ok": status == OK, "error_code": status, "result": {"message_id": 1}, **said, **more})
    lines = [f"HTTP/1.1 {status} {path[:LONGEST]}", f"Location: {path}", f"X-Asked: {words}", "Content-Type: application/json"]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "Connection: close", "", ""]).encode("latin-1") + body


@asynccontextmanager
async def echo() -> AsyncIterator[Echo]:
    """Serve until it is left."""
    made = Echo()
    server = await asyncio.start_server(made.meet, HOST)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await made.end()
