"""Watches the event loop of a process that runs no bots: how late it is, where it hangs, and an end when it hangs for good.

A worker's lease does the same and more, because there a bot's handler is to blame (`pipeline/lease.py`). Everywhere else only
our own code can hang, and a process that answers nothing while it lives is worse than one that is started again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
import traceback

from botstead.telemetry.catalog import LOOP_LAG
from botstead.telemetry.logs import event

TICK = 0.25
"""Seconds between two looks."""
WARN_AFTER = 1.0
"""Seconds of a blocked loop before it is said."""
END_AFTER = 30.0
"""Seconds of a blocked loop before the process ends."""
EXIT_BLOCKED = 70
"""Exit status then (EX_SOFTWARE)."""
FRAMES = 12

logger = logging.getLogger(__name__)


class LoopWatch:
    """One for each process without a worker."""

    def __init__(self, *, end_after: float = END_AFTER) -> None:
        """Prepare; `run` watches.

        Args:
            end_after: seconds of a blocked loop before the process ends.
        """
        self._end_after = end_after
        self._beat = time.monotonic()
        self._stop = threading.Event()

    async def run(self) -> None:
        """Watch until cancelled."""
        thread = threading.Thread(target=self._look, args=(threading.get_ident(),), name="loop-watch", daemon=True)
        self._beat = time.monotonic()
        thread.start()
        try:
            while True:
                due = time.monotonic() + TICK
                await asyncio.sleep(TICK)
                self._beat = time.monotonic()
                LOOP_LAG.at().observe(max(0.0, self._beat - due))
        finally:
            self._stop.set()

    def _look(self, loop_thread: int) -> None:
        last, warned = time.monotonic(), False
        while not self._stop.wait(TICK):
            now = time.monotonic()
            if now - last > TICK * 4:
                self._beat = now  # this whole process was paused: the loop is not to blame
            last = now
            blocked = now - self._beat
            if blocked > WARN_AFTER and not warned:
                event(logger, "loop_blocked", level=logging.WARNING, seconds=round(blocked, 1), stack=stack_of(loop_thread))
            warned = blocked > WARN_AFTER
            if blocked > self._end_after:
                event(logger, "loop_hangs", level=logging.ERROR, seconds=round(blocked, 1), stack=stack_of(loop_thread))
                sys.stderr.flush()
                os._exit(EXIT_BLOCKED)


def stack_of(thread: int) -> list[str]:
    """Say where a thread is, innermost last, without source lines: those can hold literals.

    Args:
        thread: its identity.
    """
    frame = sys._current_frames().get(thread)  # noqa: SLF001  # the documented way to see another thread
    stack = traceback.extract_stack(frame, limit=FRAMES) if frame else []
    return [f"{entry.filename}:{entry.lineno} {entry.name}" for entry in stack]
