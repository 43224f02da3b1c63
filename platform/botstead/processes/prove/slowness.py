"""Clients that take their time: many connections that send, or read, next to nothing."""

from __future__ import annotations

import asyncio
import contextlib
import time

from botstead.processes.prove.rawhttp import HOST, reluctant, request

HEADER = b"POST /hooks/x HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
BODY = b"POST /hooks/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n{"
TRICKLE = 1.0
"""Seconds between two bytes."""


async def hold_senders(first: bytes, port: int, many: int, patience: float) -> list[float]:
    """Send something without end, a byte a second.

    Args:
        first: how it begins, such as `HEADER` or `BODY`.
        port: loopback port.
        many: how many connections.
        patience: seconds after which we give up.

    Returns:
        Seconds until each was answered or hung up on. (An edge written in Go keeps the connection of a client that still owes it
        less than 256 KB of a body, answered and idle.)
    """
    return await asyncio.gather(*(_trickle(port, patience, first) for _ in range(many)))


async def hold_readers(port: int, many: int, patience: float) -> list[float]:
    """Ask for more than a small buffer holds, and read nothing.

    Args:
        port: loopback port.
        many: how many connections.
        patience: seconds after which we give up.

    Returns:
        Seconds that each connection lasted.
    """
    asked = request("GET", "/openapi.json")

    async def one() -> float:
        began = time.monotonic()
        sock = await reluctant(port)
        with sock, contextlib.suppress(OSError):
            await asyncio.get_running_loop().sock_sendall(sock, asked)
            await asyncio.sleep(patience)
        return time.monotonic() - began

    return await asyncio.gather(*(one() for _ in range(many)))


async def _trickle(port: int, patience: float, first: bytes) -> float:
    """Send a byte now and then until the server answers or hangs up; returns how long that took."""
    began = time.monotonic()
    with contextlib.suppress(OSError):
        reader, writer = await asyncio.open_connection(HOST, port)
        try:
            writer.write(first)
            async with asyncio.timeout(patience):
                await _drip(reader, writer)
        except TimeoutError:
            pass
        finally:
            writer.transport.abort()
    return time.monotonic() - began


async def _drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TRICKLE):
                await reader.read(65_536)
                return
        writer.write(b"x")
