"""Something that goes on beside something else, and ends with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botstead.processes.prove.slot import Slot


@asynccontextmanager
async def meanwhile(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Let something run while the block does.

    Args:
        work: runs until it is cancelled; what it raised before is raised at the end.
    """
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def memory(slot: Slot, *, every: float) -> AsyncIterator[list[float]]:
    """Look at the memory of a process while the block runs, in MB; the first look is from before.

    Args:
        slot: the process.
        every: seconds between two looks.
    """
    sizes = [slot.memory()]

    async def look() -> None:
        while True:
            await asyncio.sleep(every)
            sizes.append(slot.memory())

    async with meanwhile(look()):
        yield sizes
