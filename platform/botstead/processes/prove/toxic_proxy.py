"""A TCP proxy that goes wrong as it is told, while it runs: between a client that is tested and a server that is well."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Literal

from botstead.processes.prove.toxic import Toward, Toxic, Working

HOST = "127.0.0.1"
CHUNK = 16_384
AHEAD = 64
"""Chunks that may wait in one direction of one connection."""
NEVER = float("inf")
RESET = struct.pack("ii", 1, 0)
"""Linger on, for 0 seconds: closing sends RST, socket(7)."""
Ender = Literal["client", "server", "toxic"]


class Visit:
    """One connection through the proxy. Times are of the loop's clock."""

    def __init__(self, number: int, opened: float) -> None:
        """Begin.

        Args:
            number: from 1.
            opened: when.
        """
        self.number, self.opened = number, opened
        self.heard: float | None = None
        """When the client last said something."""
        self.told: float | None = None
        """When the client was last told something."""
        self.ended: float | None = None
        """When one of them hung up, or a toxic ended it."""
        self.by: Ender | Literal[""] = ""
        """Who ended it."""

    def end(self, by: Ender, at: float) -> None:
        """Remember who ended it, the first time.

        Args:
            by: who.
            at: when.
        """
        if self.ended is None:
            self.ended, self.by = at, by


class Proxy:
    """One that listens. Use `proxy()`."""

    def __init__(self, *, to: int, seed: int) -> None:
        """Prepare.

        Args:
            to: port on loopback that it leads to.
            seed: of every choice.
        """
        self.port = 0
        self.visits: list[Visit] = []
        self.seed = seed
        self.toxics: tuple[Toxic, ...] = ()
        self.since = 0.0
        """When the toxics were set, on the loop's clock."""
        self.changed = asyncio.Event()
        """Set when other toxics take over; there is another one after that."""
        self._to = to
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], _Through] = {}

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._open)

    async def set(self, *toxics: Toxic) -> None:
        """Let these work from now on, also on connections that are open, in place of those before.

        Args:
            toxics: any number; none for a line that is well.

        Raises:
            OSError: the port was taken while nobody listened.
        """
        self.toxics, self.since = toxics, asyncio.get_running_loop().time()
        self.changed.set()
        self.changed = asyncio.Event()
        if any(toxic.kind == "down" for toxic in toxics):
            await self.close()
        elif self._server is None:
            await self.listen()

    async def listen(self) -> None:
        """Take connections, at the same port as before.

        Raises:
            OSError: the port is taken.
        """
        self._server = await asyncio.start_server(self._take, HOST, self.port, backlog=1_024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Take none, and end those that are open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        tasks = list(self._open)
        for through in self._open.values():
            through.end()
        if tasks:
            await asyncio.wait(tasks, timeout=2.0)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        visit = Visit(len(self.visits) + 1, asyncio.get_running_loop().time())
        self.visits.append(visit)
        self._open[task] = through = _Through(self, visit, writer)
        try:
            there = await asyncio.open_connection(HOST, self._to)
            await through.run(reader, *there)
        except OSError:
            through.end("server")
        finally:
            writer.transport.abort()
            del self._open[task]


class _Through:
    """A connection to the proxy and the one that was opened for it."""

    def __init__(self, proxy: Proxy, visit: Visit, client: asyncio.StreamWriter) -> None:
        self.proxy, self.visit = proxy, visit
        self.chance = random.Random(f"{proxy.seed} {visit.number}")  # noqa: S311  # no secret
        self._luck = self.chance.random()
        self._writers = [client]
        self._ended = asyncio.Event()

    async def run(self, client: asyncio.StreamReader, server: asyncio.StreamReader, to_server: asyncio.StreamWriter) -> None:
        """Pass on what both say until both have ended, or it is ended."""
        self._writers.append(to_server)
        for writer in self._writers:
            writer.transport.set_write_buffer_limits(0)  # so that drained means gone
        ways = [_Way(self, "server", client, to_server), _Way(self, "client", server, self._writers[0])]
        talk = asyncio.gather(*(work for way in ways for work in (way.hear(), way.speak())))
        ends: list[asyncio.Future[Any]] = [talk, asyncio.create_task(self._doom()), asyncio.create_task(self._ended.wait())]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for work in ends:
                work.cancel()
            await asyncio.gather(*ends, return_exceptions=True)
            to_server.transport.abort()

    def end(self, by: Ender = "toxic") -> None:
        """End it at once, both ways."""
        self.visit.end(by, asyncio.get_running_loop().time())
        self._ended.set()

    def working(self, toward: Toward) -> Working:
        """Return what works in one direction now."""
        return Working([toxic for toxic in self.proxy.toxics if toxic.works(toward, self._luck)], self.chance)

    async def until(self, due: Callable[[], float]) -> None:
        """Wait until a time on the loop's clock, which other toxics may change."""
        loop = asyncio.get_running_loop()
        while (left := due() - loop.time()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(None if left == NEVER else left):
                    await self.proxy.changed.wait()

    async def _doom(self) -> None:
        """End it when a toxic says so."""
        await self.until(lambda: min(self._ends(), default=(NEVER, ""))[0])
        if min(self._ends())[1] == "reset_peer":
            for writer in self._writers:
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.end()

    def _ends(self) -> list[tuple[float, str]]:
        began = max(self.visit.opened, self.proxy.since)
        hit = [toxic for toxic in self.proxy.toxics if self._luck < toxic.share]
        return [(began + toxic.seconds, toxic.kind) for toxic in hit if toxic.ends]


class _Way:
    """One direction of a connection."""

    def __init__(self, through: _Through, toward: Toward, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._through, self._toward = through, toward
        self._reader, self._writer = reader, writer
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Queue[tuple[float, float, bytes]] = asyncio.Queue(AHEAD)
        self._spoken = 0.0
        self._passed = 0

    async def hear(self) -> None:
        """Take what comes, with the time; no bytes are the end."""
        speaker: Ender = "client" if self._toward == "server" else "server"
        visit, chance = self._through.visit, self._through.chance
        data = b"-"
        while data:
            try:
                data = await self._reader.read(CHUNK)
            except OSError:
                self._through.end(speaker)
                return
            now = self._loop.time()
            if not data:
                visit.end(speaker, now)
            elif speaker == "client":
                visit.heard = now
            await self._waiting.put((now, chance.uniform(-1, 1), data))

    async def speak(self) -> None:
        """Pass it on as the toxics have it."""
        through, data = self._through, b"-"
        try:
            while data:
                at, luck, data = await self._waiting.get()
                await through.until(partial(self._due, at, luck))
                await self._pass(data)
            await through.until(lambda: NEVER if self._working.held else at + self._working.closing)
            self._writer.write_eof()
        except OSError:
            through.end(self._toward)

    @property
    def _working(self) -> Working:
        return self._through.working(self._toward)

    def _due(self, at: float, luck: float) -> float:
        return at + self._working.late(luck)

    async def _pass(self, data: bytes) -> None:
        through = self._through
        left = memoryview(data)
        while left:
            await through.until(lambda: self._spoken + self._working.gap)
            size = self._working.piece(len(left), passed=self._passed)
            if not size:
                through.end()
                return
            began = self._loop.time()
            await through.until(partial(self._over, began, size))
            self._writer.write(left[:size])
            self._passed, self._spoken = self._passed + size, self._loop.time()
            if self._toward == "client":
                through.visit.told = self._spoken
            left = left[size:]
            await self._writer.drain()

    def _over(self, began: float, size: int) -> float:
        return NEVER if self._working.held else began + self._working.lasting(size)


@asynccontextmanager
async def proxy(*, to: int, seed: int) -> AsyncIterator[Proxy]:
    """Listen on a free port of loopback until it is left; no toxic works at first.

    Args:
        to: port on loopback that it leads to.
        seed: of every choice.
    """
    made = Proxy(to=to, seed=seed)
    await made.listen()
    try:
        yield made
    finally:
        await made.close()
