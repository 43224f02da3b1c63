"""Every background task has an owner, a name and an end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from typing import Any

from botstead.core.errors import Unavailable


async def within(seconds: float, event: asyncio.Event) -> bool:
    """Wait for an event, but not for ever.

    Args:
        seconds: the longest wait.
        event: what is waited for; it stays set.

    Returns:
        Whether it came.
    """
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


async def insist(work: Callable[[], Awaitable[None]], *, tries: int, wait: float) -> bool:
    """Do something that the database may not take right now; returns whether it took it.

    Args:
        work: safe to repeat.
        tries: at most.
        wait: seconds between two.
    """
    for number in range(tries):
        if number:
            await asyncio.sleep(wait)
        try:
            await work()
        except Unavailable:
            continue
        return True
    return False


class Tasks:
    """Owns background tasks: none is forgotten by the garbage collector, fails unseen, or outlives its owner.

    A task that returns or is cancelled has ended well. One that raises has failed: `on_failure` is called, and `wait` raises.
    """

    def __init__(self, on_failure: Callable[[str, BaseException], None] | None = None) -> None:
        """Build an owner without tasks.

        Args:
            on_failure: called on the loop with the name of a task and what it raised.
        """
        self._on_failure = on_failure
        self._running: set[asyncio.Task[object]] = set()
        self._failure: BaseException | None = None
        self._changed = asyncio.Event()
        self._stopping = False

    def __len__(self) -> int:
        """Return how many tasks are running."""
        return len(self._running)

    def start(self, name: str, coroutine: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
        """Start a task in a fresh context, so that it inherits no trace and no deadline of who started it.

        Args:
            name: shown in `on_failure` and in debuggers.
            coroutine: what to run.

        Raises:
            RuntimeError: the owner is stopping.
        """
        if self._stopping:
            coroutine.close()
            raise RuntimeError(f"The task {name} was started while its owner stops.")
        task = asyncio.get_running_loop().create_task(coroutine, name=name, context=Context())
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    async def wait(self) -> None:
        """Wait until all tasks have ended well.

        Raises:
            BaseException: what the first failed task raised.
        """
        while self._running and self._failure is None:
            self._changed.clear()
            await self._changed.wait()
        if self._failure is not None:
            raise self._failure

    async def stop(self, timeout: float) -> None:  # noqa: ASYNC109  the deadline ends the draining, not this call
        """Let running tasks end by themselves for a while, then cancel them and wait for that.

        Safe to repeat. Failures reach `on_failure` as ever; this does not raise them.

        Args:
            timeout: seconds to drain; 0 cancels at once.
        """
        self._stopping = True
        if self._running and timeout > 0:
            await asyncio.wait(self._running, timeout=timeout)
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)

    def _ended(self, task: asyncio.Task[object]) -> None:
        self._running.discard(task)
        self._changed.set()
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            return
        self._failure = self._failure or error
        if self._on_failure is not None:
            self._on_failure(task.get_name(), error)
