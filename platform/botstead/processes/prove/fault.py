"""What can go wrong at a provider, and how it looks on the wire."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

import msgspec

REASONS: Final = {200: "OK", 302: "Found", 400: "Bad Request", 404: "Not Found", 429: "Too Many Requests", 500: "Server Error"}
CHUNK: Final = 1_000_000
NEVER_APPLIED: Final = frozenset({"answer", "foreign", "redirect", "half_open"})
SILENT: Final = frozenset({"getMe", "getUpdates"})
"""Methods that a fault for each method spares."""


class Fault(msgspec.Struct, kw_only=True):
    """Something that goes wrong.

    Args:
        method: which method it hits; "*" means each one but `getMe`, `getUpdates` and those about webhooks.
        chat: which chat it hits; 0 means each one.
        times: how often it strikes; -1 means always.
        every: it strikes on each n-th request that fits.
        kind: answer (an error of the API), foreign (an answer that is not the API's), hang (no answer), close (the connection
            breaks), slow (a good answer, after `seconds`), drip (a good answer, one byte a second), bomb (`size` bytes), gzip
            (`size` bytes of zeros, packed 1:1000), redirect (to `location`), half_open (nothing is ever answered or done).
        applied: with hang, close, slow, drip, bomb and gzip, whether the request takes effect.
        status: HTTP status of answer and foreign.
        description: of the error.
        retry_after: seconds, in the body and the header.
        migrate_to: chat id that a group has become.
        seconds: how long hang and slow last, and how long half_open and drip at most.
        size: bytes of bomb and gzip.
        location: of redirect.
    """

    method: str = "*"
    chat: int = 0
    times: int = 1
    every: int = 1
    kind: str = "answer"
    applied: bool = True
    status: int = 500
    description: str = "Internal Server Error"
    retry_after: int = 0
    migrate_to: int = 0
    seconds: float = 30.0
    size: int = 100_000_000
    location: str = "http://127.0.0.1:1/"
    seen: int = 0

    @property
    def takes_effect(self) -> bool:
        """Whether the request is done all the same."""
        return self.applied and self.kind not in NEVER_APPLIED

    def strikes(self, method: str, chat: str) -> bool:
        """Whether it hits this request; counts.

        Args:
            method: of the Bot API.
            chat: id of the chat, "" for none.
        """
        fits = self.method == method or (self.method == "*" and method not in SILENT and "Webhook" not in method)
        if not self.times or not fits or (self.chat and str(self.chat) != chat):
            return False
        self.seen += 1
        if self.seen % self.every:
            return False
        self.times -= self.times > 0
        return True

    def problem(self) -> dict[str, Any]:
        """Return the error's body (https://core.telegram.org/bots/api#responseparameters)."""
        parameters = {"retry_after": self.retry_after} if self.retry_after else {}
        if self.migrate_to:
            parameters["migrate_to_chat_id"] = self.migrate_to
        return {"ok": False, "error_code": self.status, "description": self.description, "parameters": parameters}


class Faults:
    """The faults of one bot; the first that fits strikes."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        """Take them.

        Args:
            faults: in order.
        """
        self._faults = list(faults)

    def next(self, method: str, chat: str) -> Fault | None:
        """Return the one that strikes this request, if any."""
        return next((fault for fault in self._faults if fault.strikes(method, chat)), None)


def head(status: int, length: int, *, headers: Mapping[str, str] | None = None, kind: str = "application/json") -> bytes:
    """Return the head of an answer.

    Args:
        status: HTTP status.
        length: bytes of the body.
        headers: more of them.
        kind: of the body.
    """
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}", f"Content-Type: {kind}", f"Content-Length: {length}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def write_answer(transport: asyncio.Transport, status: int, body: bytes, **more: Any) -> None:
    """Write a whole answer.

    Args:
        transport: of the connection.
        status: HTTP status.
        body: its bytes.
        more: for `head`.
    """
    transport.write(head(status, len(body), **more) + body)


async def shape(fault: Fault, transport: asyncio.Transport, good: Any) -> None:
    """Answer as the fault says.

    Args:
        fault: that strikes.
        transport: of the connection.
        good: what would be answered without it.
    """
    whole = msgspec.json.encode(good)
    match fault.kind:
        case "answer":
            later = {"Retry-After": str(fault.retry_after)} if fault.retry_after else {}
            write_answer(transport, fault.status, msgspec.json.encode(fault.problem()), headers=later)
        case "foreign":
            write_answer(transport, fault.status, b"<html>somebody else</html>", kind="text/html")
        case "redirect":
            write_answer(transport, 302, b"", headers={"Location": fault.location})
        case "slow":
            await asyncio.sleep(fault.seconds)
            write_answer(transport, 200, whole)
        case "hang" | "half_open":
            await asyncio.sleep(fault.seconds)
            transport.abort()
        case "close":
            transport.abort()
        case "drip":
            await _drip(transport, whole, fault.seconds)
        case "gzip":
            write_answer(transport, 200, _packed(fault.size), headers={"Content-Encoding": "gzip"})
        case "bomb":
            await _pour(transport, fault.size)
        case unknown:
            raise ValueError(f"no fault is called {unknown!r}")


async def _drip(transport: asyncio.Transport, whole: bytes, seconds: float) -> None:
    transport.write(head(200, len(whole)))
    for place in range(min(len(whole), int(seconds))):
        if transport.is_closing():
            return
        transport.write(whole[place : place + 1])
        await asyncio.sleep(1.0)
    if seconds < len(whole):
        transport.abort()


async def _pour(transport: asyncio.Transport, size: int) -> None:
    """Write a body of spaces, no faster than it is taken."""
    transport.write(head(200, size))
    for begin in range(0, size, CHUNK):
        while transport.get_write_buffer_size() > CHUNK and not transport.is_closing():  # noqa: ASYNC110  # no event tells
            await asyncio.sleep(0.005)
        if transport.is_closing():
            return
        transport.write(b" " * min(CHUNK, size - begin))


@cache
def _packed(size: int) -> bytes:
    return gzip.compress(bytes(size), compresslevel=9)
