"""Keeps programs running: starts them in order, restarts what crashes, gives up on what cannot run, stops in order."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from botstead.core.errors import BotsteadError, ConfigurationError
from botstead.processes.embedded.child import CONFIGURATION_STATUS, Child, Program, describe
from botstead.processes.embedded.logs import ChildLog, Echo

FIRST_DELAY = 0.2
"""Seconds before the first restart; each next one waits twice as long …"""
LAST_DELAY = 10.0
"""… up to this many seconds."""
JITTER = 0.2
"""A delay varies by this share, so that two that crash together do not start together."""
SETTLED = 30.0
"""Seconds after which a run counts as good: the next crash is a first one again."""
CRASH_LIMIT = 5
"""This many crashes …"""
CRASH_WINDOW = 60.0
"""… within so many seconds are a crash loop."""
START_SECONDS = 60.0
"""Seconds within which a first run must be ready."""


class ApplianceFailed(BotsteadError):
    """A process of the appliance cannot be kept running. Its log in the data folder says why."""

    code = "appliance_failed"


class Crashes:
    """Decides how long to wait after a crash, and when it is a loop."""

    def __init__(self) -> None:
        """Begin with no crash."""
        self._times: deque[float] = deque(maxlen=CRASH_LIMIT)
        self._delay = FIRST_DELAY

    def forgive(self) -> None:
        """A run was good for long enough: the next crash waits as little as a first one."""
        self._delay = FIRST_DELAY

    def next_delay(self) -> float:
        """Return the seconds to wait before the next start."""
        delay, self._delay = self._delay, min(2 * self._delay, LAST_DELAY)
        return delay

    def is_loop(self, now: float) -> bool:
        """Count a crash; whether there have been too many of late.

        Args:
            now: monotonic seconds.
        """
        self._times.append(now)
        return len(self._times) == CRASH_LIMIT and now - self._times[0] <= CRASH_WINDOW


class Kept:
    """A program that is kept running, over all its runs."""

    def __init__(self, program: Program, log: ChildLog) -> None:
        """Begin before the first run.

        Args:
            program: what is kept.
            log: where its output goes.
        """
        self.program = program
        self.log = log
        self.child: Child | None = None
        self.ready = asyncio.Event()
        self.stopping = False
        self.keeper: asyncio.Task[None] | None = None
        self.crashes = Crashes()


class Supervisor:
    """All programs of one appliance.

    Args of the constructor's callbacks are called on the event loop and must not block.
    """

    def __init__(self, logs: Path, *, echo: Echo, changed: Callable[[], None]) -> None:
        """Begin with nothing running.

        Args:
            logs: folder of the log files.
            echo: called with each line that a child prints.
            changed: called when a run has started or ended.
        """
        self._logs = logs
        self._echo = echo
        self._changed = changed
        self._kept: dict[str, Kept] = {}
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self, program: Program) -> None:
        """Start a program, keep it running from now on, and return when it is ready.

        Args:
            program: what to run; it has a `ready`.

        Raises:
            ConfigurationError: it says that it cannot run as configured.
            ApplianceFailed: it crashes, or is not ready in time.
        """
        kept = Kept(program, self._log(program))
        self._kept[program.instance] = kept
        kept.keeper = asyncio.create_task(self._keep(kept))
        ready = asyncio.ensure_future(kept.ready.wait())
        either: set[asyncio.Future[Any]] = {ready, self._failed}
        await asyncio.wait(either, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._failed.done():
            self._failed.result()
        if not kept.ready.is_set():
            raise ApplianceFailed(_because(kept, f"is not ready after {START_SECONDS:.0f} s"))

    async def run_once(self, program: Program) -> None:
        """Run a program that ends by itself, and return when it has.

        Args:
            program: what to run.

        Raises:
            ConfigurationError: it says that it cannot run as configured.
            ApplianceFailed: it ended with another exit status than 0.
        """
        kept = Kept(program, self._log(program))
        self._kept[program.instance] = kept
        kept.child = await Child.start(program, kept.log)
        status = await kept.child.ended()
        self._kept.pop(program.instance, None)
        kept.log.close()
        if status == CONFIGURATION_STATUS:
            raise ConfigurationError(_last_word(kept))
        if status != 0:
            raise ApplianceFailed(_because(kept, f"failed ({describe(status)})"))

    async def failure(self) -> None:
        """Wait until something cannot be kept running.

        Raises:
            ConfigurationError: a process says that it cannot run as configured.
            ApplianceFailed: a process crashes again and again.
        """
        await asyncio.shield(self._failed)

    def running(self) -> list[Child]:
        """Return the runs that go on now."""
        return [kept.child for kept in self._kept.values() if kept.child is not None]

    async def stop(self, *roles: str) -> None:
        """Stop every program of these roles, together, and return when they are gone.

        Args:
            roles: their roles.
        """
        chosen = [kept for kept in self._kept.values() if kept.program.role in roles]
        await asyncio.gather(*(self._stop(kept) for kept in chosen))
        for kept in chosen:
            self._kept.pop(kept.program.instance, None)

    def kill(self) -> None:
        """End everything at once. `stop` still has to be awaited."""
        for child in self.running():
            child.kill()

    async def _stop(self, kept: Kept) -> None:
        kept.stopping = True
        if kept.child is not None:
            await kept.child.stop()
        if kept.keeper is not None:
            if kept.child is None:
                kept.keeper.cancel()
            with suppress(asyncio.CancelledError):
                await kept.keeper
        kept.log.close()

    async def _keep(self, kept: Kept) -> None:
        """Run, and run again, until told to stop or it makes no sense any more."""
        try:
            while not kept.stopping:
                kept.child = await Child.start(kept.program, kept.log)
                self._changed()
                status = await self._watch(kept, kept.child)
                was_ready, kept.child = kept.child.was_ready, None
                if not kept.stopping:
                    self._changed()
                    await self._recover(kept, status, was_ready=was_ready)
        except BotsteadError as error:
            if not self._failed.done():
                self._failed.set_exception(error)

    async def _watch(self, kept: Kept, child: Child) -> int:
        """Wait for the end of a run, noticing when it is ready and when it has settled."""
        waiting = asyncio.create_task(self._notice(kept, child))
        try:
            return await child.ended()
        finally:
            waiting.cancel()
            with suppress(asyncio.CancelledError):
                await waiting

    async def _notice(self, kept: Kept, child: Child) -> None:
        await child.becomes_ready()
        kept.ready.set()
        await asyncio.sleep(SETTLED)
        kept.crashes.forgive()

    async def _recover(self, kept: Kept, status: int, *, was_ready: bool) -> None:
        """Wait before the next run, or say why there is none."""
        essential = kept.program.essential
        if status == CONFIGURATION_STATUS and essential:
            raise ConfigurationError(_last_word(kept))
        # A SIGKILL to a run that was ready came from outside. It is no reason to believe that the next run fails too.
        from_outside = was_ready and status == -signal.SIGKILL
        if essential and not from_outside and kept.crashes.is_loop(time.monotonic()):
            raise ApplianceFailed(
                _because(kept, f"ended {CRASH_LIMIT} times within {CRASH_WINDOW:.0f} s, the last time with {describe(status)}")
            )
        jitter = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  # spreading load is no secret
        delay = kept.crashes.next_delay() * jitter
        self._echo(kept.program.instance, f"({describe(status)}; starts again in {delay:.1f} s)")
        await asyncio.sleep(delay)

    def _log(self, program: Program) -> ChildLog:
        return ChildLog(self._logs / f"{program.instance}.log", echo=self._echo)


def _last_word(kept: Kept) -> str:
    return kept.log.last[-1] if kept.log.last else f"{kept.program.instance} cannot run as configured; it did not say why."


def _because(kept: Kept, what: str) -> str:
    lines = "".join(f"\n  {line}" for line in kept.log.last) or " nothing"
    return f"{kept.program.instance} {what}. Its last lines:{lines}\nThe whole log: {kept.log.path}"
