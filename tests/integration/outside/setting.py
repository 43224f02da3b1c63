"""One service on loopback, and the `Outside` of a process that calls it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from botstead.core.errors import EgressError
from botstead.core.messages import Call
from botstead.runtime.egress import EgressClient, RecordedEgress
from botstead.runtime.outside import Outside, Policy, Service
from botstead.store.valkey import MemoryCache
from botstead.telemetry.catalog import CACHE_REQUESTS, INTEGRATION_DURATION, INTEGRATION_REQUESTS
from tests.integration.egress.provider import Provider, provider

NAME = "tested"
QUICK = Policy(first_wait=0.01, failures=4, rest=0.2, longest_rest=0.4)


def head(status: int, body: bytes = b"{}", *headers: str) -> bytes:
    """An answer."""
    lines = "".join(f"{line}\r\n" for line in headers)
    return f"HTTP/1.1 {status} X\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Clock:
    """The machine's clocks, which tests may move ahead."""

    def __init__(self) -> None:
        self.moved = 0.0

    def now(self) -> float:
        return time.time() + self.moved

    def monotonic(self) -> float:
        return time.monotonic() + self.moved


class Setting:
    """A service whose answers tests set, and one process that calls it; `process` makes another."""

    def __init__(self, service: Provider, cache=None) -> None:
        self.provider = service
        self.cache = cache or MemoryCache()
        self.clock = Clock()
        self.egress = EgressClient(allow=["127.0.0.1"])
        self.answers: list[bytes] = []
        self.usual = head(200)
        self.gate: asyncio.Event | None = None
        self.outside = self.process()
        self.service = self.outside.service(NAME, QUICK)

    def process(self, **options) -> Outside:
        return Outside(RecordedEgress(self.egress), self.cache, clock=self.clock, **options)

    def call(self, method: str = "GET", path: str = "/") -> Call:
        return self.provider.call(method, path)

    @property
    def asked(self) -> int:
        return len(self.provider.requests)

    async def talk(self, _request: bytes, writer: asyncio.StreamWriter) -> None:
        if self.gate is not None:
            await self.gate.wait()
        writer.write(self.answers.pop(0) if self.answers else self.usual)


@asynccontextmanager
async def setting(cache=None) -> AsyncIterator[Setting]:
    """Serve, call, close."""
    found: list[Setting] = []

    async def talk(request: bytes, writer: asyncio.StreamWriter) -> None:
        await found[0].talk(request, writer)

    async with provider(talk) as served:
        found.append(Setting(served, cache))
        try:
            yield found[0]
        finally:
            await found[0].outside.close()
            await found[0].egress.close()


def told(story: Callable[[Setting], object], *, seconds: float = 20.0) -> None:
    """Run a story."""

    async def run() -> None:
        async with setting() as at:
            await story(at)

    asyncio.run(asyncio.wait_for(run(), seconds))


async def fails(service: Service, call: Call, **options) -> EgressError | int:
    """What became of a call: its status, or what it raised."""
    try:
        return (await service.ask(call, **options)).status
    except EgressError as error:
        return error


class Figures:
    """What has been counted since."""

    def __init__(self, name: str = NAME) -> None:
        self.name = name
        self.before = self._read()

    def _read(self) -> dict[str, float]:
        asked = {word: INTEGRATION_REQUESTS.at(self.name, word).value for word in INTEGRATION_REQUESTS.labels["outcome"]}
        cache = {f"cache {word}": CACHE_REQUESTS.at(self.name, word).value for word in CACHE_REQUESTS.labels["result"]}
        return {**asked, **cache, "requests": INTEGRATION_DURATION.at(self.name).count}

    def since(self) -> dict[str, float]:
        now = self._read()
        return {name: value - self.before[name] for name, value in now.items() if value != self.before[name]}
