"""A provider on loopback that behaves as badly as told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import uvloop

from botstead.core.messages import Call
from botstead.runtime.egress import EgressClient

Talk = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
PATHS = {"lean": "POST", "lean, read": "GET", "general": "PUT"}
both_paths = pytest.mark.parametrize("method", PATHS.values(), ids=PATHS.keys())


class Provider:
    """One listening server: its port, the requests it got and the connections that were made to it."""

    def __init__(self, host: str) -> None:
        self.host, self.port = host, 0
        self.requests: list[bytes] = []
        self.connections = 0
        self.asked = asyncio.Semaphore(0)

    def url(self, path: str = "/", host: str = "", scheme: str = "http") -> str:
        return f"{scheme}://{host or self.host}:{self.port}{path}"

    def client(self, **options) -> EgressClient:
        return EgressClient(allow=[f"{self.host}:{self.port}"], **options)

    def call(self, method: str, path: str = "/", **options) -> Call:
        return Call(method=method, url=self.url(path), body=b"{}" if method == "POST" else None, **options)


@asynccontextmanager
async def provider(talk: Talk, *, host: str = "127.0.0.1", port: int = 0, tls=None) -> AsyncIterator[Provider]:
    """Serve `talk` for each request until the test leaves."""
    found = Provider(host)
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.connections += 1
        writers.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
                found.requests.append(head + await reader.readexactly(length))
                found.asked.release()
                await talk(found.requests[-1], writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, host, port, ssl=tls)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)


def answering(raw: bytes, *, close: bool = False) -> Talk:
    """Always this answer."""

    async def talk(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        if close:
            writer.close()

    return talk


def ok(body: bytes = b"{}", *headers: str) -> bytes:
    """A well-formed 200."""
    head = "".join(f"{header}\r\n" for header in headers)
    return f"HTTP/1.1 200 OK\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def run(main: Awaitable[None], loop: str = "asyncio", *, seconds: float = 20.0) -> None:
    """Run a test's coroutine on the given loop, within a deadline."""
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(asyncio.wait_for(main, seconds))
