"""The lease of this worker process, renewed from a thread of its own.

A thread, because a handler that blocks the loop must not look like a dead process to the others. But a thread alone
would keep a blocked process alive for ever, so it also ejects it: after some seconds it counts the try on the message
whose handler blocks, hands everything back, and exits. A process that was itself paused is not blocked.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import Callable

from botstead.core.errors import Unavailable
from botstead.runtime.looplag import stack_of
from botstead.store.membership import Membership
from botstead.telemetry.catalog import LOOP_BLOCKED, LOOP_LAG
from botstead.telemetry.logs import event

RENEW_EVERY = 0.3
"""Share of the lease after which it is renewed (3 s of 10)."""
MARGIN = 0.5
"""Seconds before the lease's end after which nothing is sent any more."""
TICK = 0.25
"""Seconds between two looks of the thread."""
WARN_AFTER = 1.0
"""Seconds of a blocked loop before it is said."""
EJECT_AFTER = 5.0
"""Seconds of a blocked loop before the process gives up."""
EXIT_EJECTED = 70
"""Exit status of a process that ejected itself (EX_SOFTWARE)."""

logger = logging.getLogger(__name__)


class Lease:
    """Stays alive for the others as long as the loop turns."""

    def __init__(self, dsn: str, *, name: str, seconds: float, blamed: Callable[[], tuple[int, int, str] | None]) -> None:
        """Prepare; `start` begins.

        Args:
            dsn: where; the thread has a connection of its own.
            name: the slot's stable name.
            seconds: length of the lease.
            blamed: (message id, partition, bot) whose handler is running on the loop right now, read from the thread.
        """
        self._dsn = dsn
        self._name = name
        self._seconds = seconds
        self._blamed = blamed
        self._worker = 0
        self._deadline = 0.0
        self._beat = time.monotonic()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lost: Callable[[], None] = lambda: None

    @property
    def holds(self) -> bool:
        """Whether the lease surely still runs: nothing may be sent when it does not."""
        return time.monotonic() < self._deadline

    def start(self, worker: int, *, taken: float, lost: Callable[[], None]) -> None:
        """Renew from now on.

        Args:
            worker: the id that `join` gave.
            taken: `time.monotonic()` before the call of `join`.
            lost: called on the loop when the others have buried this worker.
        """
        loop = asyncio.get_running_loop()
        self._worker = worker
        self._deadline = taken + self._seconds - MARGIN
        self._beat = time.monotonic()
        self._lost = lambda: loop.call_soon_threadsafe(lost)  # type: ignore[assignment]  # the handle is not needed
        if self._thread is None:
            self._thread = threading.Thread(target=lambda: asyncio.run(self._turn()), name="lease", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Renew no more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5)

    async def beat(self) -> None:
        """Show that the loop turns, until cancelled. Runs on the loop."""
        while True:
            due = time.monotonic() + TICK
            await asyncio.sleep(TICK)
            self._beat = time.monotonic()
            LOOP_LAG.at().observe(max(0.0, self._beat - due))

    async def _turn(self) -> None:
        membership = Membership(self._dsn, application=self._name)
        renewed = time.monotonic()
        last = time.monotonic()
        warned = False
        while not self._stop.is_set():
            now = time.monotonic()
            if now - last > TICK * 4:
                self._beat = now  # this whole process was paused: the loop is not to blame
            last = now
            blocked = now - self._beat
            if blocked > EJECT_AFTER:
                await self._eject(membership, blocked)
            if blocked > WARN_AFTER and not warned:
                self._warn(blocked)
            warned = blocked > WARN_AFTER
            if now - renewed >= self._seconds * RENEW_EVERY:
                renewed = await self._renew(membership, renewed)
            await asyncio.sleep(TICK)
        await membership.close()

    async def _renew(self, membership: Membership, renewed: float) -> float:
        before, worker = time.monotonic(), self._worker
        try:
            alive = await membership.renew(worker, self._seconds)
        except Unavailable:
            return renewed
        if worker == self._worker:
            if alive:
                self._deadline = before + self._seconds - MARGIN
            else:
                self._deadline = 0.0
                self._lost()
        return before

    def _warn(self, blocked: float) -> None:
        """Name the bot whose handler blocks, and where in its code."""
        message, _, bot = self._blamed() or (None, 0, "")
        stack = stack_of(threading.main_thread().ident or 0)
        event(logger, "loop_blocked", level=logging.WARNING, seconds=round(blocked, 1), message_id=message, bot=bot, stack=stack)
        if bot:
            LOOP_BLOCKED.at(bot).inc()

    async def _eject(self, membership: Membership, blocked: float) -> None:
        message, partition, bot = self._blamed() or (0, 0, "")
        stack = stack_of(threading.main_thread().ident or 0)
        event(logger, "worker_ejected", level=logging.ERROR, seconds=round(blocked, 1), message_id=message, bot=bot, stack=stack)
        try:
            await membership.eject(self._worker, message=message, partition=partition)
        except Unavailable as error:
            event(logger, "eject_unrecorded", level=logging.ERROR, error=error.message)
        sys.stderr.flush()
        os._exit(EXIT_EJECTED)
