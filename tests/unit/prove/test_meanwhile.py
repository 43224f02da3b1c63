"""What goes on beside a block ends with it, and is heard when it failed."""

from __future__ import annotations

import asyncio

import pytest

from botstead.processes.prove.meanwhile import meanwhile


def test_it_runs_beside_the_block_and_ends_with_it():
    async def story():
        heard = []

        async def work():
            try:
                heard.append("began")
                await asyncio.Event().wait()
            finally:
                heard.append("ended")

        async with meanwhile(work()):
            await asyncio.sleep(0)
            assert heard == ["began"]
        assert heard == ["began", "ended"]

    asyncio.run(story())


def test_what_it_raised_is_raised_at_the_end():
    async def fails():
        await asyncio.sleep(0)
        raise KeyError

    async def story():
        with pytest.raises(KeyError):
            async with meanwhile(fails()):
                await asyncio.sleep(0.01)

    asyncio.run(story())
