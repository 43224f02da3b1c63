"""A provider that remembers: the part of the Bot API that replies need, a log on the disk before each answer, faults on demand.

A process of its own: `python -m botstead.processes.prove.provider PORT LOG`. Each bot is known by the token in the path.
Source: https://core.telegram.org/bots/api#making-requests
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import parse_qsl

import httptools
import msgspec
import uvloop

from botstead.processes.prove.fault import Fault, Faults, shape, write_answer

CONTROL: Final = "/control/faults"
_encode: Final = msgspec.json.Encoder().encode


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request, as the log has it.

    Args:
        n: its number, from 1.
        at: Unix seconds.
        token: whose.
        method: of the Bot API.
        chat: where to, "" for none.
        text: or caption.
        answered: "ok", or the kind of the fault that struck.
        applied: whether it took effect.
    """

    n: int
    at: float
    token: str
    method: str
    chat: str = ""
    text: str = ""
    answered: str = "ok"
    applied: bool = True


class Order(msgspec.Struct, frozen=True):
    """Faults from now on for one bot; "" means each bot. They replace those before."""

    token: str
    faults: list[Fault]


class Log:
    """What came, on the disk. Those who wait at the same time share one sync."""

    def __init__(self, path: Path) -> None:
        """Open it.

        Args:
            path: the file.
        """
        self.count = 0
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._busy = False
        self._lines: list[bytes] = []
        self._waiting: asyncio.Future[None] | None = None

    def write(self, entry: Entry) -> asyncio.Future[None]:
        """Add an entry; the future is done when it is on the disk."""
        self._lines.append(_encode(entry) + b"\n")
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


class Double:
    """The state behind all connections."""

    def __init__(self, log: Log) -> None:
        """Begin without faults.

        Args:
            log: what remembers.
        """
        self.log = log
        self.faults: dict[str, Faults] = {}
        self.messages = 0

    def order(self, body: bytes) -> None:
        """Take new faults."""
        order = msgspec.json.decode(body, type=Order)
        self.faults[order.token] = Faults(order.faults)

    def struck(self, token: str, method: str, chat: str) -> Fault | None:
        """Return the fault that hits this request; counts it."""
        for scope in (token, ""):
            if scope in self.faults and (fault := self.faults[scope].next(method, chat)):
                return fault
        return None

    def result(self, method: str, chat: str) -> Any:
        """Return what a method returns."""
        if method == "getMe":
            return {"id": 1, "is_bot": True, "first_name": "Double", "username": "double_bot"}
        if method == "getWebhookInfo":
            return {"url": "", "has_custom_certificate": False, "pending_update_count": 0}
        if method == "getUpdates":
            return []
        if method.startswith("send") and method != "sendChatAction":
            self.messages += 1
            place = {"id": int(chat) if chat.lstrip("-").isdecimal() else 0, "type": "private"}
            return {"message_id": self.messages, "date": int(time.time()), "chat": place}
        return True


class Visit(asyncio.Protocol):
    """One connection. Requests on it are answered one after the other."""

    def __init__(self, double: Double) -> None:
        """Prepare.

        Args:
            double: the state.
        """
        self._double = double
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._task: asyncio.Task[None] | None = None
        self._reset()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one without inheriting from it

    def connection_lost(self, _exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._transport = None
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            if self._transport is not None:
                self._transport.abort()

    def on_url(self, url: bytes) -> None:
        """Called by the parser."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        if name.lower() == b"content-type":
            self._kind = value

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        self._body += body

    def on_message_complete(self) -> None:
        """Called by the parser."""
        asked = self._url.decode("latin-1"), self._kind, self._body
        self._reset()
        self._task = asyncio.create_task(self._answer(*asked, after=self._task))

    def _reset(self) -> None:
        self._url, self._kind, self._body = b"", b"", b""

    async def _answer(self, url: str, kind: bytes, body: bytes, *, after: asyncio.Task[None] | None) -> None:
        if after is not None and not after.done():
            await after
        path, _, query = url.partition("?")
        if path == CONTROL:
            self._double.order(body)
            self._write(200, {"ok": True})
            return
        words = path.split("/")
        if len(words) != 3 or not words[1].startswith("bot"):
            self._write(404, {"ok": False, "error_code": 404, "description": "Not Found"})
            return
        await self._serve(words[1][3:], words[2], fields(kind, body, query))

    async def _serve(self, token: str, method: str, asked: dict[str, Any]) -> None:
        double = self._double
        chat, text = str(asked.get("chat_id", "")), str(asked.get("text", asked.get("caption", "")))
        fault = double.struck(token, method, chat)
        if method == "getUpdates" and fault is None:
            await asyncio.sleep(min(50.0, float(asked.get("timeout", 0))))
        double.log.count += 1
        entry = Entry(
            n=double.log.count,
            at=time.time(),
            token=token,
            method=method,
            chat=chat,
            text=text,
            answered=fault.kind if fault else "ok",
            applied=fault is None or fault.takes_effect,
        )
        await asyncio.shield(double.log.write(entry))  # others wait for the same sync
        if self._transport is None:
            return
        if fault is None:
            self._write(200, {"ok": True, "result": double.result(method, chat)})
        else:
            await shape(fault, self._transport, {"ok": True, "result": double.result(method, chat)})

    def _write(self, status: int, body: Any) -> None:
        if self._transport is not None:
            write_answer(self._transport, status, _encode(body))


def fields(kind: bytes, body: bytes, query: str) -> dict[str, Any]:
    """Return the parameters of a request: from JSON, a form, or the query.

    Args:
        kind: header Content-Type.
        body: of the request.
        query: behind the question mark.
    """
    found: dict[str, Any] = dict(parse_qsl(query))
    if kind.startswith(b"application/json") and body:
        found |= msgspec.json.decode(body)
    elif body:
        found |= dict(parse_qsl(body.decode(errors="replace")))
    return found


async def serve(port: int, log: Path) -> None:
    """Serve until the process ends.

    Args:
        port: loopback port.
        log: file that remembers.
    """
    double = Double(Log(log))
    server = await asyncio.get_running_loop().create_server(lambda: Visit(double), "127.0.0.1", port, backlog=1_024)
    sys.stdout.write("provider_ready\n")
    sys.stdout.flush()
    await server.serve_forever()


def main(arguments: Sequence[str]) -> None:
    """Run it.

    Args:
        arguments: port and file of the log.
    """
    uvloop.run(serve(int(arguments[0]), Path(arguments[1])))


if __name__ == "__main__":
    main(sys.argv[1:])
