"""Which partitions are mine: join, balance, take over from the dead, hand back in good order.

The lease is on the worker process, one row; a partition only names its worker and is free when that row is gone. The
protocol and its figures: platform/README.md, «The road».
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from botstead.core.errors import Unavailable
from botstead.core.ports import Wake
from botstead.pipeline.lease import Lease
from botstead.pipeline.partitions import share
from botstead.runtime.tasks import within
from botstead.store.membership import Membership
from botstead.telemetry.logs import event

BALANCE_EVERY = 1.0
"""Seconds between two looks at who is alive."""
HUNGRY_EVERY = 0.1
"""The same while below the fair share."""

logger = logging.getLogger(__name__)


class Ownership:
    """Keeps this worker's fair share of the partitions."""

    def __init__(  # noqa: PLR0913  # what it is made of, each given by name
        self,
        membership: Membership,
        lease: Lease,
        *,
        name: str,
        seconds: float,
        wake: Wake,
        gained: Callable[[dict[int, bool]], Awaitable[None]],
        losing: Callable[[set[int]], Awaitable[None]],
    ) -> None:
        """Prepare; `run` does the work.

        Args:
            membership: the statements.
            lease: renews from its thread.
            name: the slot's stable name; a restarted worker buries its own past by it.
            seconds: length of the lease.
            wake: hints that partitions were released.
            gained: called with new partitions and whether each must be read with care.
            losing: called before partitions are handed back; returns when nothing of them runs any more.
        """
        self._membership = membership
        self._lease = lease
        self._name = name
        self._seconds = seconds
        self._wake = wake
        self._gained = gained
        self._losing = losing
        self.worker = 0
        """My id, the fence; 0 while I am not a member."""
        self.mine: set[int] = set()
        self.workers = 1
        """How many are alive, as of the last look."""
        self._owed: set[int] = set()
        """No longer mine, and not handed back yet."""
        self._lost = asyncio.Event()
        self._leaving = False
        self._turn = asyncio.Lock()
        self._released = asyncio.Event()

    async def run(self) -> None:
        """Be a member and balance until cancelled."""
        unsubscribe = self._wake.subscribe("partitions", lambda _: self._released.set())
        try:
            while not self._leaving:
                try:
                    async with self._turn:
                        hungry = await self._look()
                except Unavailable:
                    hungry = True
                await self._pause(HUNGRY_EVERY if hungry else BALANCE_EVERY)
        finally:
            unsubscribe()

    async def leave(self) -> None:
        """Hand everything back and leave.

        Raises:
            Unavailable: the database is away; the others take over when the lease ends.
        """
        self._leaving = True
        async with self._turn:
            if self.worker and not self._lost.is_set():
                await self._release(set(self.mine))
                await self._membership.leave(self._name)

    async def calm(self, partition: int) -> None:
        """Say that the suspects of a partition have ended well."""
        async with self._turn:
            await self._membership.calm(self.worker, [partition])

    def fenced(self, worker: int) -> None:
        """Note that a statement of mine met the fence: join again now.

        Args:
            worker: the id that it was made under.
        """
        if worker == self.worker:
            self._lost.set()
            self._released.set()

    async def _look(self) -> bool:
        if self._leaving:
            return False
        if self._lost.is_set() or not self.worker:
            await self._join()
        return await self._balance()

    async def _pause(self, seconds: float) -> None:
        if await within(seconds, self._released):
            self._released.clear()

    async def _join(self) -> None:
        if self.worker:
            event(logger, "lease_lost", level=logging.WARNING, worker=self.worker)
            lost, self.mine = self.mine, set()
            await self._losing(lost)
        self._owed.clear()
        taken = time.monotonic()
        self.worker = await self._membership.join(self._name, self._seconds)
        self._lost.clear()
        self._lease.start(self.worker, taken=taken, lost=self._lost.set)
        event(logger, "worker_joined", worker=self.worker, name=self._name)

    async def _balance(self) -> bool:
        """Bury, release, claim; returns whether I am below my share."""
        workers = await self._membership.workers()
        if any(expired for _, expired in workers):
            for buried in await self._membership.bury(self._seconds):
                event(logger, "worker_buried", level=logging.WARNING, worker=buried)
            workers = await self._membership.workers()
        alive = [worker for worker, _ in workers]
        if self.worker not in alive:
            self._lost.set()
            return True
        self.workers = len(alive)
        if self._owed:
            await self._hand_back()
        fair = share(alive.index(self.worker), len(alive))
        if len(self.mine) > fair:
            await self._release(set(sorted(self.mine)[fair:]))
        elif len(self.mine) < fair:
            await self._claim(fair - len(self.mine))
        return len(self.mine) < fair

    async def _claim(self, most: int) -> None:
        taken = await self._membership.claim(self.worker, most, known=self.mine)
        if taken:
            event(logger, "partitions_claimed", count=len(taken), careful=sum(taken.values()))
            await self._gained(taken)
            self.mine |= set(taken)

    async def _release(self, partitions: set[int]) -> None:
        if not partitions:
            return
        self.mine -= partitions
        await self._losing(partitions)
        self._owed |= partitions
        await self._hand_back()

    async def _hand_back(self) -> None:
        await self._membership.release(self.worker, self._owed)
        event(logger, "partitions_released", count=len(self._owed))
        self._owed.clear()
        self._wake.publish("partitions")
