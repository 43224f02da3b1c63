"""Group commit: everybody gets their own result, all of a batch get its failure, nobody waits for a timer."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from botstead.pipeline.batch import Batcher


@asynccontextmanager
async def running(flush, **options):
    batcher = Batcher(flush, **options)
    task = asyncio.create_task(batcher.run())
    try:
        yield batcher
    finally:
        task.cancel()
        await asyncio.wait([task])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(), max_size=60), st.integers(1, 20))
def test_each_waiter_gets_its_own_result_in_bounded_batches(items, most):
    async def story():
        batches = []

        async def flush(batch):
            batches.append(batch)
            await asyncio.sleep(0)
            return [item * 2 for item in batch]

        async with running(flush, most=most) as batcher:
            assert await asyncio.gather(*(batcher.submit(item) for item in items)) == [item * 2 for item in items]
            assert batcher.idle
        assert [item for batch in batches for item in batch] == items
        assert all(len(batch) <= most for batch in batches)

    asyncio.run(story())


def test_a_lone_item_waits_for_nothing_and_a_burst_shares_one_flush():
    async def story():
        begun, gate, batches = asyncio.Event(), asyncio.Event(), []

        async def flush(batch):
            batches.append(list(batch))
            begun.set()
            await gate.wait()
            return batch

        async with running(flush) as batcher:
            first = batcher.submit(1)
            await begun.wait()
            rest = [batcher.submit(n) for n in (2, 3, 4)]
            assert not batcher.idle
            gate.set()
            assert await asyncio.gather(first, *rest) == [1, 2, 3, 4]
        assert batches == [[1], [2, 3, 4]]

    asyncio.run(story())


def test_a_failure_reaches_all_of_its_batch_and_none_of_the_next():
    async def story():
        async def flush(batch):
            if "bad" in batch:
                raise ValueError("spoilt")
            return batch

        async with running(flush, most=3) as batcher:
            found = await asyncio.gather(*map(batcher.submit, ["a", "bad", "b", "c"]), return_exceptions=True)
            assert [str(one) for one in found] == ["spoilt", "spoilt", "spoilt", "c"]
            assert await batcher.submit("d") == "d"

    asyncio.run(story())


def test_a_waiter_that_goes_away_takes_nothing_from_the_others():
    async def story():
        gate = asyncio.Event()

        async def flush(batch):
            await gate.wait()
            return batch

        async with running(flush) as batcher:
            leaving, staying = batcher.submit(1), batcher.submit(2)
            await asyncio.sleep(0)
            leaving.cancel()
            gate.set()
            assert await staying == 2
            assert await batcher.submit(3) == 3

    asyncio.run(story())


def test_ending_the_loop_leaves_nobody_waiting():
    async def story():
        flushing = asyncio.Event()

        async def flush(batch):
            flushing.set()
            await asyncio.Event().wait()

        async with running(flush, most=1) as batcher:
            futures = [batcher.submit(n) for n in range(3)]
            await flushing.wait()
        for future in futures:
            with pytest.raises(asyncio.CancelledError):
                await future

    asyncio.run(story())


def test_who_has_waited_too_long_is_let_go_and_what_had_not_begun_is_never_flushed():
    async def story():
        begun, gate, batches = asyncio.Event(), asyncio.Event(), []

        async def flush(batch):
            batches.append(list(batch))
            begun.set()
            await gate.wait()
            return batch

        async with running(flush, patience=0.01) as batcher:
            stuck = batcher.submit(1)
            await begun.wait()
            behind = batcher.submit(2)
            for waiting in (stuck, behind):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(waiting), 5)
            gate.set()
            assert await batcher.submit(3) == 3
        assert batches == [[1], [3]]

    asyncio.run(story())
