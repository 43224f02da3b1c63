"""Valkey holds no truth: hints travel between processes, and a stopped one costs nobody time for long."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import asynccontextmanager

import pytest

from botstead.store import valkey
from botstead.store.valkey import MemoryCache, MemoryWake, ValkeyBuckets, ValkeyCache, ValkeyWake
from tests import servers
from tests.integration.pipeline.road import until


@asynccontextmanager
async def wakes(url: str, count: int):
    """So many wakes that hear each other."""
    made = [ValkeyWake(url) for _ in range(count)]
    tasks = [asyncio.create_task(wake.run()) for wake in made]
    heard: set[int] = set()
    ends = [wake.subscribe("hello", lambda _, n=n: heard.add(n)) for n, wake in enumerate(made[1:])]

    def all_hear() -> bool:
        made[0].publish("hello")
        return len(heard) == count - 1

    await until(all_hear, what="the wakes hear each other")
    for end in ends:
        end()
    try:
        yield made
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for wake in made:
            await wake.close()


@pytest.fixture
def own_valkey():
    """A Valkey that this test may stop."""
    with servers.valkey_server() as server:
        yield server
        server.process.send_signal(signal.SIGCONT)


def test_a_hint_reaches_this_process_at_once_and_the_other_soon(valkey_url):
    async def story():
        async with wakes(valkey_url, 2) as (here, there):
            at_home, away = [], []
            here.subscribe("inbox", at_home.append)
            end = there.subscribe("inbox", away.append)
            here.publish("inbox", "1.a b c")
            assert at_home == ["1.a b c"]
            await until(lambda: away)
            assert away == ["1.a b c"]
            there.publish("inbox", "back")
            await until(lambda: len(at_home) == 2)
            assert at_home == ["1.a b c", "back"], "no echo of one's own hint"
            end()
            here.publish("inbox", "unheard")
            here.publish("other", "x")
            probe = []
            there.subscribe("probe", probe.append)
            await until(lambda: here.publish("probe") or probe)
            assert away == ["1.a b c", "back"]

    asyncio.run(story())


def test_a_burst_of_the_same_hint_is_one_hint(valkey_url):
    async def story():
        async with wakes(valkey_url, 2) as (here, there):
            away = []
            there.subscribe("inbox", away.append)
            for _ in range(5_000):
                here.publish("inbox")
            await until(lambda: away)
            done = []
            there.subscribe("done", done.append)
            here.publish("done")
            await until(lambda: done)
            assert len(away) <= 3

    asyncio.run(story())


def test_a_stopped_valkey_adds_no_latency_and_recovers(own_valkey, monkeypatch):
    monkeypatch.setattr(valkey, "REST", 0.5)

    async def story():
        cache, buckets = ValkeyCache(own_valkey.url), ValkeyBuckets(own_valkey.url)
        async with wakes(own_valkey.url, 2) as (here, there):
            heard = []
            there.subscribe("inbox", heard.append)
            await cache.set("k", b"v", 60)
            await cache.set("other", b"w", 60)
            assert await cache.get("k") == b"v"
            own_valkey.process.send_signal(signal.SIGSTOP)
            began = time.monotonic()
            assert await cache.get("k") is None
            assert time.monotonic() - began < 2 * valkey.COMMAND_TIMEOUT + 0.3
            began = time.monotonic()
            assert [await cache.get("k") for _ in range(50)] == [None] * 50
            for _ in range(1_000):
                here.publish("inbox")
            assert time.monotonic() - began < 1.0, "while it rests, nobody waits"
            await buckets.reserve("rate:1", 0.1, 1.0, 0.0)
            assert await buckets.reserve("rate:1", 0.1, 1.0, 0.0) is None
            assert not await cache.ping()
            own_valkey.process.send_signal(signal.SIGCONT)
            heard.clear()
            await until(lambda: here.publish("inbox", "again") or "again" in heard, what="hints flow again")
            for _ in range(2):
                await until(cache.ping, what="the cache is back")
                assert await cache.get("k") == b"v", "an answer that came too late is nobody else's"
                assert await cache.get("other") == b"w"
        await cache.close()
        await buckets.close()

    asyncio.run(story())


def test_a_killed_valkey_is_found_again(own_valkey, monkeypatch):
    monkeypatch.setattr(valkey, "REST", 0.2)
    monkeypatch.setattr(valkey, "RECONNECT", 0.05)

    async def story():
        async with wakes(own_valkey.url, 2) as (here, there):
            heard = []
            there.subscribe("inbox", heard.append)
            own_valkey.stop()
            here.publish("inbox")
            own_valkey.start()
            await until(lambda: here.publish("inbox", "again") or "again" in heard, what="hints flow again")

    asyncio.run(story())


def test_buckets_are_shared(valkey_url):
    async def story():
        one, two = ValkeyBuckets(valkey_url), ValkeyBuckets(valkey_url)
        name = f"test:{time.monotonic_ns()}"
        waits = [await (one if n % 2 else two).reserve(name, 10.0, 10.0, 0.0) for n in range(4)]
        assert max(waits[:2]) <= 0.001
        assert 8 < waits[2] <= 10 < waits[3] <= 20
        await one.close()
        await two.close()

    asyncio.run(story())


def test_memory_stands_in_for_it():
    async def story():
        wake, heard = MemoryWake(), []
        end = wake.subscribe("a", heard.append)
        wake.publish("a", "1")
        wake.publish("b", "2")
        end()
        end()
        wake.publish("a", "3")
        assert heard == ["1"]
        cache = MemoryCache(limit=2)
        for key in "abc":
            await cache.set(key, key.encode(), 60)
        await cache.set("gone", b"x", -1)
        assert [await cache.get(key) for key in ("a", "b", "c", "gone")] == [None, None, b"c", None]

    asyncio.run(story())
