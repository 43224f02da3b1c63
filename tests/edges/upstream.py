"""A stand-in for an API process: the same server with the same settings, and a drain like its own, but it obeys its tester.

`python -m tests.edges.upstream NAME PORT NOTES`: NOTES is a file to which it adds a line for each delivery and order that it takes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from urllib.parse import parse_qs

import msgspec
import uvicorn

SERVED = "/hooks/served"
DRAIN_SECONDS = 2.5
KEEP_ALIVE = 75
"""As the API has it; not imported, as that takes a second."""
EVENT_SECONDS = 0.2
LARGE = bytes(300_000)
BODY_LIMIT = 1_048_576


class Server(uvicorn.Server):
    """Uvicorn that leaves signals to us, as the API's does."""

    @contextlib.contextmanager
    def capture_signals(self):
        yield


class Upstream:
    """The ASGI application."""

    def __init__(self, name: str, notes: Path) -> None:
        self.name, self.notes = name, notes
        self.draining = self.lame = False

    async def __call__(self, scope, receive, send) -> None:
        path = scope["path"]
        query = parse_qs(scope["query_string"].decode())
        if path == "/health/ready":
            await self.answer(send, 503 if self.draining or self.lame else 200, b"")
        elif path.startswith("/chat/"):
            await self.events(send)
        elif path == "/wait":
            await asyncio.sleep(float(query["seconds"][0]))
            await self.answer(send, 200, self.name.encode())
        elif path.startswith("/metrics"):
            await self.answer(send, 200, b"inside only")
        elif path == "/large":
            await self.answer(send, 200, LARGE)
        elif path.endswith("/told"):
            headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]]
            await self.answer(send, 200, msgspec.json.encode(headers))
        else:
            await self.take(scope, path, await body(receive), send)

    async def take(self, scope, path: str, taken: bytes | None, send) -> None:
        """Take a delivery or an order; one that says so ends us before it is answered."""
        if taken is None:
            await self.answer(send, 413, b"")
        elif scope["method"] != "POST" or path not in (SERVED, "/v1/orders"):
            await self.answer(send, 401, b"")
        else:
            before = self.notes.read_text()
            with self.notes.open("a") as notes:
                notes.write(f"{self.name} {path} {taken[:60].decode('latin-1')!r}\n")
            if taken.startswith(b"die once") and taken.decode() not in before:
                os.kill(os.getpid(), signal.SIGKILL)
            if taken.startswith(b"freeze once") and taken.decode() not in before:
                os.kill(os.getpid(), signal.SIGSTOP)
            await self.answer(send, 200, self.name.encode())

    async def events(self, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        while not self.draining:
            await send({"type": "http.response.body", "body": f"data: {self.name}\n\n".encode(), "more_body": True})
            await asyncio.sleep(EVENT_SECONDS)
        await send({"type": "http.response.body", "body": b""})

    @staticmethod
    async def answer(send, status: int, content: bytes) -> None:
        headers = [(b"content-length", str(len(content)).encode()), (b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})


async def body(receive) -> bytes | None:
    """Return the whole body, None for one that is too large or breaks off."""
    taken = b""
    while len(taken) <= BODY_LIMIT:
        part = await receive()
        if part["type"] == "http.disconnect":
            return None
        taken += part.get("body", b"")
        if not part.get("more_body"):
            return taken
    return None


async def serve(name: str, port: int, notes: Path) -> None:
    """Serve until SIGTERM, then say «not ready», serve on for a while, and end. SIGUSR1 makes it unready, or ready again."""
    upstream, stop, loop = Upstream(name, notes), asyncio.Event(), asyncio.get_running_loop()
    server = Server(
        uvicorn.Config(
            upstream,
            host="127.0.0.1",
            port=port,
            loop="none",
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=10,
            backlog=1024,
        )
    )
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGUSR1, lambda: setattr(upstream, "lame", not upstream.lame))
    serving = asyncio.create_task(server.serve())
    await stop.wait()
    upstream.draining = True
    await asyncio.sleep(DRAIN_SECONDS)
    server.should_exit = True
    await serving


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
