"""Faults at moments that are counted in acknowledged updates, so that the same seed strikes the same work on every machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from botstead.processes.prove.judge import Span

if TYPE_CHECKING:
    from botstead.processes.prove.installation import Installation
    from botstead.processes.prove.load import Load
    from botstead.processes.prove.slot import Slot

AHEAD = 200
"""Updates that may be acknowledged while the next fault is being prepared."""
BEFORE = 1.0
"""Seconds before a fault in which what was sent may not have been recorded yet."""
AFTER = 1.0
"""Seconds after its end, for what was under way in the network."""
SENDING = ("worker", "postgres")
"""Who sends, and who remembers that it was sent. The death of any other excuses nothing."""
MARGIN = 100

Fault = Callable[[], Coroutine[None, None, None]]


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """How many faults of each kind.

    Args:
        kills: SIGKILL to a random process of ours.
        pauses: SIGSTOP to a random process of ours, for three leases.
        crashes: SIGKILL to all of Postgres.
        restarts: fast shutdown and start of Postgres.
        of: SIGKILL to a random process of each of these roles, besides.
    """

    kills: int
    pauses: int = 0
    crashes: int = 0
    restarts: int = 0
    of: tuple[str, ...] = ()


class Strikes:
    """Strikes an installation while it is loaded, and remembers when."""

    def __init__(self, running: Installation, load: Load, *, lease: float, margin: int = MARGIN) -> None:
        """Prepare.

        Args:
            running: what is struck.
            load: what it does meanwhile.
            lease: seconds of its lease.
            margin: updates at the beginning, and twice as many at the end, that see no new fault.
        """
        self._running, self._load, self._lease, self._margin = running, load, lease, margin
        self._stage = running.stage
        self._paused: set[str] = set()
        self.spans: list[Span] = []
        self.workers = 0
        """Faults that may leave sends of a worker unrecorded."""
        self.returns: list[float] = []
        """Seconds from Postgres taking connections to the next acknowledgement."""

    async def run(self, counts: Counts) -> None:
        """Strike all of it, in random order, spread over the load; returns when each fault has ended.

        Args:
            counts: how many of each kind.
        """
        faults: list[Fault] = [self._kill] * counts.kills + [self._pause] * counts.pauses
        faults += [self._crash] * counts.crashes + [self._restart] * counts.restarts
        faults += [partial(self._kill, role) for role in counts.of]
        chance = self._stage.chance
        chance.shuffle(faults)
        moments = sorted(chance.sample(range(self._margin, self._load.total - 2 * self._margin), k=len(faults)))
        async with asyncio.TaskGroup() as group:
            for moment, fault in zip(moments, faults, strict=True):
                await self._at(moment)
                if fault == self._pause:
                    group.create_task(fault())  # other faults go on meanwhile
                else:
                    await fault()
            self._load.allow(self._load.total)

    async def _at(self, moment: int) -> None:
        self._load.allow(moment + AHEAD)
        await self._running.until(lambda: self._load.count >= moment, f"{moment} acknowledged", seconds=60)

    def _victim(self, role: str = "") -> Slot:
        free = [name for name, slot in self._running.slots.items() if name not in self._paused and role in ("", slot.role)]
        return self._running.slots[self._stage.chance.choice(sorted(free))]

    def _strikes(self, slot: Slot, began: float) -> None:
        """Remember a fault that has ended now, if it can excuse that something was sent twice."""
        if slot.role in SENDING:
            self.workers += 1
            self.spans.append((began - BEFORE, time.time() + AFTER))

    async def _kill(self, role: str = "") -> None:
        slot = self._victim(role)
        await self._running.until(lambda: slot.ready, f"{slot.name} ready again")
        self._stage.note(f"SIGKILL {slot.name} at {self._load.count}", kind="fault")
        began = time.time()
        slot.kill()
        self._strikes(slot, began)

    async def _pause(self) -> None:
        """Pause a process for three leases."""
        slot = self._victim()
        self._paused.add(slot.name)
        try:
            await self._running.until(lambda: slot.ready, f"{slot.name} ready again")
            self._stage.note(f"SIGSTOP {slot.name} at {self._load.count}", kind="fault")
            began = time.time()
            slot.pause()
            try:
                await asyncio.sleep(3 * self._lease)
            finally:
                slot.resume()
            self._stage.note(f"SIGCONT {slot.name}", kind="recovery")
            self._strikes(slot, began)
        finally:
            self._paused.discard(slot.name)

    async def _crash(self) -> None:
        await self._without_postgres("SIGKILL", kill=True)

    async def _restart(self) -> None:
        await self._without_postgres("fast restart of", kill=False)

    async def _without_postgres(self, what: str, *, kill: bool) -> None:
        running, load = self._running, self._load
        load.allow(load.total)  # people go on writing
        running.note(f"{what} postgres at {load.count}", kind="fault")
        began = time.time()
        await running.postgres.restart(kill=kill)
        back, count = time.monotonic(), load.count
        await running.until(lambda: load.count > count or load.count == load.total, "acknowledged again", seconds=60)
        self.returns.append(time.monotonic() - back)
        running.note(f"postgres is back, first acknowledged after {self.returns[-1]:.1f} s", kind="recovery")
        self._strikes(running.postgres, began)
