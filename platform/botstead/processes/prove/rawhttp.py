"""HTTP/1.1 spoken by hand: bytes as they are, however wrong, and whatever answers come back.

An ordinary client refuses to send what an attacker sends. Here nothing is checked, nothing is repeated, and a connection that
breaks is said to be broken.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

HOST: Final = "127.0.0.1"
NAME: Final = "localhost"
"""What a server is called to whom we speak TLS."""
BODILESS: Final = (204, 304)
CHUNK: Final = 65_536
Headers = Sequence[tuple[str, str]]


class Answer(msgspec.Struct, frozen=True):
    """One response.

    Args:
        status: its code.
        headers: by lower-case name; the last of several.
        body: its bytes, joined when it came in chunks.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What came back on a connection.

    Args:
        answers: the whole responses, in order.
        rest: bytes behind them that are no whole response.
        closed: whether the server closed the connection.
        seconds: from the first byte sent to the end of listening.
    """

    answers: tuple[Answer, ...]
    rest: bytes
    closed: bool
    seconds: float

    @property
    def statuses(self) -> list[int]:
        """The codes, in order."""
        return [answer.status for answer in self.answers]


def request(method: str, path: str, *, headers: Headers = (), body: bytes = b"", host: str = "localhost") -> bytes:
    """Return a request as bytes. A body gets its length; nothing is checked.

    Args:
        method: any text.
        path: any text without a blank.
        headers: more headers, as they are.
        body: the whole body.
        host: header Host.
    """
    length = [("Content-Length", str(len(body)))] if body or method in ("POST", "PUT", "PATCH") else []
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in (*headers, *length)]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


def split(heard: bytes, *, head: bool = False, closed: bool = False) -> tuple[list[Answer], bytes]:
    """Split what came back into responses (RFC 9112 section 6.3).

    Args:
        heard: everything that came.
        head: the requests were HEAD, so that no response has a body.
        closed: the connection ended, which ends a body of unknown length.

    Returns:
        The whole responses, and what is left over.
    """
    answers: list[Answer] = []
    while b"\r\n\r\n" in heard:
        top, _, rest = heard.partition(b"\r\n\r\n")
        first, *lines = top.decode("latin-1").split("\r\n")
        words = first.split(" ", 2)
        if len(words) < 2 or not words[1].isdigit():
            break
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        status = int(words[1])
        none = head or status in BODILESS or status < 200
        found = (b"", rest) if none else _body(headers, rest, closed=closed)
        if found is None:
            break
        body, heard = found
        if status >= 200:
            answers.append(Answer(status, headers, body))
    return answers, heard


def _body(headers: Mapping[str, str], rest: bytes, *, closed: bool) -> tuple[bytes, bytes] | None:
    if "chunked" in headers.get("transfer-encoding", ""):
        return _chunks(rest)
    if "content-length" in headers:
        length = int(headers["content-length"])
        return (rest[:length], rest[length:]) if len(rest) >= length else None
    return (rest, b"") if closed else None


def _chunks(rest: bytes) -> tuple[bytes, bytes] | None:
    parts: list[bytes] = []
    while b"\r\n" in rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size.partition(b";")[0], 16)
        if len(rest) < length + 2:
            return None
        parts.append(rest[:length])
        rest = rest[length + 2 :]
        if not length:
            return b"".join(parts), rest
    return None


async def say(  # noqa: PLR0913  # each has a default, and a name at the call
    port: int,
    *parts: bytes,
    answers: int = 1,
    head: bool = False,
    seconds: float = 5.0,
    pause: float = 0.0,
    tls: ssl.SSLContext | None = None,
) -> Heard:
    """Say something on a connection of its own, and listen.

    Args:
        port: loopback port.
        parts: bytes to send, one after the other.
        answers: stop listening after so many.
        head: no response has a body.
        seconds: listen no longer.
        pause: seconds between two parts.
        tls: speak TLS, to a server that is called `NAME`.
    """
    began = time.monotonic()
    reader, writer = await connect(port, tls)
    sending = asyncio.create_task(_send(writer, parts, pause))
    heard, closed = b"", False
    found: list[Answer] = []
    rest = b""
    try:
        async with asyncio.timeout(seconds):
            while not closed and len(found) < answers:
                try:
                    more = await reader.read(CHUNK)
                except ConnectionError:
                    more = b""
                closed = not more
                heard += more
                found, rest = split(heard, head=head, closed=closed)
    except TimeoutError:
        pass
    finally:
        sending.cancel()
        writer.transport.abort()
        with contextlib.suppress(asyncio.CancelledError):
            await sending
    return Heard(answers=tuple(found), rest=rest, closed=closed, seconds=time.monotonic() - began)


async def connect(port: int, tls: ssl.SSLContext | None = None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection.

    Args:
        port: loopback port.
        tls: speak TLS, to a server that is called `NAME`.

    Raises:
        OSError: nobody listens, or TLS fails.
    """
    return await asyncio.open_connection(HOST, port, ssl=tls, server_hostname=NAME if tls else None)


async def _send(writer: asyncio.StreamWriter, parts: Sequence[bytes], pause: float) -> None:
    with contextlib.suppress(ConnectionError):
        for part in parts:
            writer.write(part)
            await writer.drain()
            if pause:
                await asyncio.sleep(pause)


class Line:
    """One keep-alive connection that is opened again when the server has said that it closes."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Open nothing yet.

        Args:
            port: loopback port.
            tls: speak TLS, to a server that is called `NAME`.
        """
        self._port, self._tls = port, tls
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, asked: bytes, *, seconds: float = 40.0) -> Answer:
        """Send a request and wait for its answer.

        Args:
            asked: the request.
            seconds: for all of it.

        Raises:
            ConnectionError: the connection broke before the whole answer had come.
            TimeoutError: it did not come in time.
        """
        try:
            async with asyncio.timeout(seconds):
                answer = await self._ask(asked)
        except BaseException:
            self.close()
            raise
        if answer.headers.get("connection", "").lower() == "close":
            self.close()
        return answer

    async def _ask(self, asked: bytes) -> Answer:
        if self._streams is None:
            self._streams = await connect(self._port, self._tls)
        reader, writer = self._streams
        writer.write(asked)
        heard = b""
        while True:
            more = await reader.read(CHUNK)
            heard += more
            answers, _ = split(heard, closed=not more)
            if answers:
                return answers[0]
            if not more:
                raise ConnectionResetError("The connection ended before the answer.")

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


async def reluctant(port: int) -> socket.socket:
    """Return a connection that takes very little at a time, as a client that reads slowly does.

    Args:
        port: loopback port.
    """
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
    sock.settimeout(0)
    await asyncio.get_running_loop().sock_connect(sock, (HOST, port))
    return sock
