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
        waits = [await buckets.reserve(bucket, 0.1, 1.0) for _ in range(15) for buckets in (one, other)]
        await one.close()
        await other.close()
        return waits

    waits = asyncio.run(story())
    assert waits[:10] == pytest.approx([0.0] * 10, abs=0.001)
    assert 1.0 < waits[-1] <= 1.9
    assert waits == sorted(waits)


def test_without_valkey_there_is_no_answer():
    async def story():
        buckets = ValkeyBuckets(f"valkey://127.0.0.1:{free_port()}/0")
        try:
            return await buckets.reserve("rate:1", 0.1, 1.0)
        finally:
            await buckets.close()

    assert asyncio.run(story()) is None
