"""Blame: who is on the loop is named during each step, and only then."""

from __future__ import annotations

import asyncio

import pytest

from botstead.pipeline.blame import Accountable, Blame

WHOM = (7, 3, "echo")


def test_each_is_named_during_its_own_steps_and_nobody_between():
    async def story():
        blame, seen = Blame(), []

        async def handler(name):
            for _ in range(3):
                seen.append((name, blame.current))
                await asyncio.sleep(0)
            return name

        async def onlooker():
            for _ in range(3):
                assert blame.current is None
                await asyncio.sleep(0)

        async def run(n):
            return await Accountable(handler(n), blame, (n, 0, "b"))

        assert await asyncio.gather(run(1), onlooker(), run(2)) == [1, None, 2]
        assert seen
        assert all(current == (name, 0, "b") for name, current in seen)
        assert blame.current is None

    asyncio.run(story())


def test_what_a_handler_raises_passes_and_clears_the_name():
    async def story():
        blame = Blame()

        async def handler():
            await asyncio.sleep(0)
            raise LookupError("mine")

        with pytest.raises(LookupError, match="mine"):
            await Accountable(handler(), blame, WHOM)
        assert blame.current is None

    asyncio.run(story())


def test_cancellation_passes_and_cleaning_up_is_named_too():
    async def story():
        blame, cleaning, waiting = Blame(), [], asyncio.Event()

        async def handler():
            try:
                waiting.set()
                await asyncio.Event().wait()
            finally:
                cleaning.append(blame.current)
                await asyncio.sleep(0)
                cleaning.append(blame.current)

        async def run():
            await Accountable(handler(), blame, WHOM)

        task = asyncio.create_task(run())
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert cleaning == [WHOM, WHOM]
        assert blame.current is None

    asyncio.run(story())


def test_a_timeout_around_it_works():
    async def story():
        blame = Blame()

        async def hang():
            await asyncio.Event().wait()

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await Accountable(hang(), blame, WHOM)
        assert blame.current is None

    asyncio.run(story())


def test_futures_can_be_awaited_too():
    async def story():
        blame = Blame()
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, 5)
        assert await Accountable(future, blame, WHOM) == 5

    asyncio.run(story())
