"""What a call to an outside service costs: beside bare aiohttp, from the cache, and of a thousand at once."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import uvloop

from botstead.core.messages import Call
from botstead.core.ports import Cache
from botstead.runtime.egress import EgressClient, RecordedEgress
from botstead.runtime.outside import Keeping, Outside, Policy, Service
from botstead.store.valkey import MemoryCache, ValkeyCache
from tests.bench.echo import Row
from tests.bench.search import spread
from tests.servers import valkey_server

REQUESTS = 3_200
TOGETHER = 32
HITS = 2_000
AT_ONCE = 1_000
SECONDS = 8.0
LIMIT = 1_048_576
SERVER = """
import asyncio, uvloop
BODY = b'{"temperature":7.5,"place":"Oslo","summary":"Light rain","hours":[1,2,3,4,5,6]}'
HEAD = b"HTTP/1.1 200 OK\\r\\nServer: x\\r\\nDate: Tue, 24 Nov 2026 00:00:00 GMT\\r\\nContent-Type: application/json\\r\\n"
ANSWER = HEAD + b"Content-Length: %d\\r\\n\\r\\n" % len(BODY) + BODY
class Echo(asyncio.Protocol):
    asked = 0
    def connection_made(self, transport): self.transport, self.buffer = transport, b""
    def data_received(self, data):
        self.buffer += data
        if self.buffer.endswith(b"\\r\\n\\r\\n"):
            counts = b" /asked " in self.buffer
            self.buffer = b""
            Echo.asked += not counts
            told = b"%d" % Echo.asked
            self.transport.write(HEAD + b"Content-Length: %d\\r\\n\\r\\n" % len(told) + told if counts else ANSWER)
async def main():
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
uvloop.run(main())
"""

Ask = Callable[[], Awaitable[object]]


def called(*, rounds: int) -> list[Row]:
    """Measure each round in turn: aiohttp, the way out, a service; then the cache, in memory and in Valkey.

    Args:
        rounds: how often.
    """
    found: dict[tuple[str, str], list[float]] = {}
    with valkey_server() as valkey, subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            uvloop.run(_measure(f"http://127.0.0.1:{port}", port, valkey.url, rounds, found))
        finally:
            server.terminate()
    return [{"what": what, "unit": unit, **spread("value", values)} for (what, unit), values in found.items()]


async def _measure(base: str, port: int, valkey: str, rounds: int, found: dict[tuple[str, str], list[float]]) -> None:
    def note(what: str, unit: str, value: float) -> None:
        found.setdefault((what, unit), []).append(value)

    async with _contenders(base, port) as contenders:
        for ask in contenders.values():
            await _cpu(ask, TOGETHER * 4)
        for _ in range(rounds):
            costs = {name: await _cpu(ask, REQUESTS) for name, ask in contenders.items()}
            for name, cost in costs.items():
                note(f"a GET, {TOGETHER} at once: {name}", "µs of CPU", cost)
            note("Service.ask / aiohttp", "times", costs["Service.ask"] / costs["aiohttp"])
            note("Service.ask / the way out alone", "times", costs["Service.ask"] / costs["the way out alone"])
    caches: dict[str, Cache] = {"memory": MemoryCache(), "Valkey": ValkeyCache(valkey)}
    for name, cache in caches.items():
        async with _service(port, cache) as service:
            for _ in range(rounds):
                took = await _hits(service, base)
                note(f"a cached call, one after the other, p50 ({name})", "µs", statistics.median(took))
                note(f"a cached call, one after the other, p99 ({name})", "µs", sorted(took)[len(took) * 99 // 100])
            for number in range(rounds):
                requests = await _together(service, base, f"together-{number}")
                note(f"requests of {AT_ONCE:,} identical calls at once ({name})", "", requests)
    await caches["Valkey"].close()  # type: ignore[attr-defined]


@asynccontextmanager
async def _service(port: int, cache: Cache | None = None) -> AsyncIterator[Service]:
    egress = EgressClient(allow=[f"127.0.0.1:{port}"])
    outside = Outside(RecordedEgress(egress), cache)
    try:
        yield outside.service("bench", Policy(places=TOGETHER))
    finally:
        await outside.close()
        await egress.close()


@asynccontextmanager
async def _contenders(base: str, port: int) -> AsyncIterator[dict[str, Ask]]:
    call = Call(method="GET", url=f"{base}/v1?a=1", headers={"accept": "application/json"}, timeout=SECONDS, limit=LIMIT)
    egress = EgressClient(allow=[f"127.0.0.1:{port}"])
    async with _service(port) as service, aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def bare() -> bytes:
            async with asyncio.timeout(SECONDS), session.get(call.url, headers=call.headers, allow_redirects=False) as response:
                return await response.read()

        yield {"aiohttp": bare, "the way out alone": lambda: egress.call(call), "Service.ask": lambda: service.ask(call)}
    await egress.close()


async def _cpu(ask: Ask, requests: int) -> float:
    """Microseconds of this process's CPU a request."""

    async def worker() -> None:
        for _ in range(requests // TOGETHER):
            await ask()

    began = time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(TOGETHER):
            group.create_task(worker())
    return (time.process_time() - began) / requests * 1e6


async def _get(service: Service, base: str, key: str) -> None:
    async def fetch() -> dict[str, object]:
        found: dict[str, object] = (await service.ask(Call(method="GET", url=f"{base}/v1"))).json()
        return found

    kept = await service.cached(key, fetch, kind=dict, keeping=Keeping(fresh=3_600))
    assert kept.value


async def _hits(service: Service, base: str) -> list[float]:
    await _get(service, base, "one")
    took = []
    for _ in range(HITS):
        began = time.perf_counter()
        await _get(service, base, "one")
        took.append((time.perf_counter() - began) * 1e6)
    return took


async def _together(service: Service, base: str, key: str) -> int:
    before = await _asked(service, base)
    await asyncio.gather(*(_get(service, base, key) for _ in range(AT_ONCE)))
    return await _asked(service, base) - before


async def _asked(service: Service, base: str) -> int:
    return int((await service.ask(Call(method="GET", url=f"{base}/asked"))).body)
