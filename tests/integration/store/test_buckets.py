"""Rate limits shared through a real Valkey: two workers together stay within the rate; without it, nobody is stopped."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from botstead.store.valkey import ValkeyBuckets
from tests.servers import free_port


def test_two_workers_share_one_rate(valkey_url):
    async def story():
        one, other = ValkeyBuckets(valkey_url), ValkeyBuckets(valkey_url)
        bucket = f"rate:{uuid.uuid4()}"
        waits = [await buckets.reserve(bucket, 0.1, 1.0, 0.0) for _ in range(15) for buckets in (one, other)]
        await one.close()
        await other.close()
        return waits

    waits = asyncio.run(story())
    assert max(waits[:10]) <= 0.001
    assert 1.0 < waits[-1] <= 1.9
    assert waits == sorted(waits)


def test_an_emptied_valkey_goes_on_where_it_stopped(valkey_url):
    async def story():
        buckets = ValkeyBuckets(valkey_url)
        wait = await buckets.reserve(f"rate:{uuid.uuid4()}", 0.1, 1.0, 5.0)
        await buckets.close()
        return wait

    assert asyncio.run(story()) == pytest.approx(4.0, abs=0.001)


def test_an_emptied_valkey_forgets_not_even_a_little(valkey_url):
    async def story():
        buckets = ValkeyBuckets(valkey_url)
        wait = await buckets.reserve(f"rate:{uuid.uuid4()}", 0.1, 1.0, 0.2)
        await buckets.close()
        return wait

    assert asyncio.run(story()) == pytest.approx(-0.8, abs=0.001)


def test_what_differs_by_the_networks_delay_is_not_taken_twice(valkey_url):
    async def story():
        buckets, bucket = ValkeyBuckets(valkey_url), f"rate:{uuid.uuid4()}"
        waits = [await buckets.reserve(bucket, 1.0, 0.0, taken) for taken in (0.0, 1.2)]
        await buckets.close()
        return waits

    assert asyncio.run(story())[1] <= 1.0


def test_without_valkey_there_is_no_answer():
    async def story():
        buckets = ValkeyBuckets(f"valkey://127.0.0.1:{free_port()}/0")
        try:
            return await buckets.reserve("rate:1", 0.1, 1.0, 0.0)
        finally:
            await buckets.close()

    assert asyncio.run(story()) is None
