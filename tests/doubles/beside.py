"""Runs a double in a thread of its own, for tests that start processes or have no event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
SECONDS = 10.0


@contextmanager
def beside(double: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """Run a double until the block ends.

    Args:
        double: what runs it on an event loop.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(SECONDS)

    async def enter() -> T:
        return await double.__aenter__()

    async def leave() -> None:
        await double.__aexit__(None, None, None)

    try:
        entered = run(enter())
        try:
            yield entered
        finally:
            run(leave())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(SECONDS)
        loop.close()
