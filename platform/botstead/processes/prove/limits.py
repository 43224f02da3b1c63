"""A bot with more to say than its provider takes: many conversations that send whenever the limits let them.

The limits of a provider hold only at its own address, which no experiment calls. So what is asked here is what a worker asks
before each send: the governor, on the buckets in the installation's own Valkey.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from botstead.core.ports import Account
from botstead.pipeline.governor import Governor, Rate
from botstead.processes.prove.meanwhile import meanwhile
from botstead.store.valkey import ValkeyBuckets

if TYPE_CHECKING:
    from botstead.processes.prove.installation import Installation

ACCOUNT = Account(id=2_000_000_000, public_id="limits", kind="telegram", bot=1, bot_name="limits")
WORKERS = 2
LANES = 100
"""Conversations of each worker that always have something to send."""
WINDOW = 1.0


class Senders:
    """Two workers that send as fast as they may."""

    def __init__(self, running: Installation, *, rate: float) -> None:
        """Prepare.

        Args:
            running: whose Valkey has the buckets.
            rate: messages a second of the bot in all.
        """
        self.rate = rate
        self.sends: list[float] = []
        self._buckets = [ValkeyBuckets(running.valkey.url) for _ in range(WORKERS)]
        self._governors = [
            Governor(lambda _: Rate(bot_per_second=rate), buckets.reserve, workers=lambda: WORKERS) for buckets in self._buckets
        ]

    async def run(self) -> None:
        """Send until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(WORKERS * LANES):
                    group.create_task(self._send(self._governors[number % WORKERS], f"limits.{number}"))
        finally:
            for buckets in self._buckets:
                await buckets.close()

    async def _send(self, governor: Governor, conversation: str) -> None:
        while True:
            await asyncio.sleep(await governor.wait(ACCOUNT, conversation, now=time.monotonic()))
            self.sends.append(time.monotonic())

    def busiest(self, begin: float) -> int:
        """Return how many were sent in the busiest second.

        Args:
            begin: seconds of the monotonic clock; earlier ones do not count.
        """
        sends = [at for at in sorted(self.sends) if at >= begin]
        return max((bisect_left(sends, at + WINDOW) - index for index, at in enumerate(sends)), default=0)


@asynccontextmanager
async def senders(running: Installation, *, rate: float) -> AsyncIterator[Senders]:
    """Have two workers send all the time.

    Args:
        running: whose Valkey has the buckets.
        rate: messages a second that are allowed in all.
    """
    made = Senders(running, rate=rate)
    async with meanwhile(made.run()):
        yield made
