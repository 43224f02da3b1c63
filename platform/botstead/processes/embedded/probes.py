"""Ask a process of ours whether it is ready, over loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

DEADLINE = 1.0
"""Seconds for one question and its answer."""

Ready = Callable[[int], Awaitable[bool]]
"""Given the pid, whether that process is ready now."""


async def answers(port: int, question: bytes, expected: bytes) -> bool:
    """Whether the listener on a loopback port gives an answer that begins as expected.

    Args:
        port: loopback port.
        question: the bytes to send.
        expected: how the answer begins.
    """
    try:
        async with asyncio.timeout(DEADLINE):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(question)
                return await reader.readexactly(len(expected)) == expected
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return False


def http(port: int, path: str) -> Ready:
    """Ready when `GET path` answers 200.

    Args:
        port: loopback port.
        path: the path, such as /health/ready.
    """
    question = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()

    async def ready(_pid: int) -> bool:
        # Both minor versions: a small listener may answer as HTTP/1.0.
        return await answers(port, question, b"HTTP/1.1 200") or await answers(port, question, b"HTTP/1.0 200")

    return ready
