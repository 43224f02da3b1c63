"""Several processes and a real Valkey: what one finds out helps the others; without Valkey each is on its own."""

from __future__ import annotations

import asyncio
import signal
import uuid

import msgspec

from botstead.core.errors import EgressResting
from botstead.runtime.outside import Keeping, Policy, calling
from botstead.runtime.outside.dealings import LOOK_SECONDS
from botstead.store.valkey import ValkeyBuckets, ValkeyCache
from tests import servers
from tests.integration.outside.setting import QUICK, Setting, fails, head, setting


def played(url: str, story, *, seconds: float = 25.0) -> None:
    async def run() -> None:
        cache, buckets = ValkeyCache(url), ValkeyBuckets(url)
        async with setting(cache) as at:
            others = [at.process(reserve=buckets.reserve, workers=lambda: 3) for _ in range(3)]
            try:
                await story(at, others)
            finally:
                for other in others:
                    await other.close()
        await cache.close()
        await buckets.close()

    asyncio.run(asyncio.wait_for(run(), seconds))


def name() -> str:
    return f"tested-{uuid.uuid4().hex[:8]}"


def test_others_hear_that_a_service_rests_and_that_it_is_well(valkey_url):
    async def story(at: Setting, others) -> None:
        called = name()
        one, two, three = (other.service(called, QUICK) for other in others)
        with calling("b"):
            at.usual = head(500)
            for _ in range(QUICK.failures):
                await fails(one, at.call("POST"))
            await _told(at, called, b"rest")
            before = at.asked
            assert await fails(two, at.call("POST")) == 500  # the first call looks while it is made
            assert isinstance(await _later(two, at), EgressResting)
            assert at.asked <= before + 5
            at.usual = head(200)
            at.clock.moved += QUICK.longest_rest + LOOK_SECONDS
            assert await fails(one, at.call("POST")) == 200  # its probe
            await _told(at, called, b"well")
            at.clock.moved += LOOK_SECONDS
            assert await fails(two, at.call("POST")) == 200
            assert await asyncio.gather(*(fails(two, at.call("POST")) for _ in range(5))) == [200] * 5
        with calling("another"):
            assert await fails(three, at.call("POST")) == 200

    played(valkey_url, story)


async def _told(at: Setting, called: str, word: bytes) -> None:
    while word not in (await at.cache.get(f"outside:how:{called}:b:") or b""):  # noqa: ASYNC110  another task writes it
        await asyncio.sleep(0.005)


async def _later(service, at: Setting):
    """Ask until the news is heard; calls before it are made."""
    for _ in range(100):
        found = await fails(service, at.call("GET"), repeatable=False)
        if isinstance(found, EgressResting):
            return found
    return found


def test_a_rate_is_shared(valkey_url):
    async def story(at: Setting, others) -> None:
        called = name()
        services = [other.service(called, Policy(per_second=50, burst=5)) for other in others]
        calls = [fails(service, at.call(), seconds=0.5) for _ in range(40) for service in services]
        found = await asyncio.gather(*calls)
        assert 20 <= found.count(200) <= 50 * 0.9 * 0.5 + 5 + 4
        assert at.asked == found.count(200)

    played(valkey_url, story)


def test_processes_share_answers_and_an_emptied_valkey_costs_one_request(valkey_url):
    async def story(at: Setting, others) -> None:
        called = name()

        async def get(outside) -> int:
            service = outside.service(called)

            async def fetch() -> int:
                return msgspec.json.decode((await service.ask(at.call())).body, type=int)

            return (await service.cached("k", fetch, kind=int, keeping=Keeping(fresh=60))).value

        at.usual = head(200, b"7")
        assert [await get(other) for other in others] == [7, 7, 7]
        assert at.asked == 1
        await at.cache.set(f"outside:{called}::k", b"garbage", 60)
        assert [await get(other) for other in others] == [7, 7, 7]
        assert at.asked == 2

    played(valkey_url, story)


def test_without_valkey_calls_work_and_breakers_are_each_process_own():
    with servers.valkey_server() as server:

        async def story(at: Setting, others) -> None:
            one, two, _ = (other.service("alone", QUICK) for other in others)
            rated = others[0].service("alone-rated", Policy(per_second=30, burst=3))
            server.process.send_signal(signal.SIGSTOP)
            try:
                assert await asyncio.gather(*(fails(one, at.call()) for _ in range(20))) == [200] * 20
                assert 3 <= (await asyncio.gather(*(fails(rated, at.call(), seconds=1) for _ in range(30)))).count(200) <= 16
                at.usual = head(500)
                for _ in range(QUICK.failures):
                    await fails(one, at.call("POST"))
                assert isinstance(await fails(one, at.call("POST")), EgressResting)
                assert await fails(two, at.call("POST")) == 500
            finally:
                server.process.send_signal(signal.SIGCONT)

        played(server.url, story)
