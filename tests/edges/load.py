"""Clients that deliver and order, and what they remember."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from botstead.processes.prove.rawhttp import request
from tests.edges.edges import Site
from tests.edges.upstream import SERVED

CLIENTS = 10
PAUSE = 0.02


class Figures(msgspec.Struct):
    """What was measured under load.

    Args:
        statuses: how often each was answered.
        broken: connections that broke, in words.
        waits: seconds of each answer.
        idle_mb: resident memory before anything was asked.
        peak_mb: the largest resident memory.
    """

    statuses: Counter[int] = msgspec.field(default_factory=Counter)
    broken: list[str] = msgspec.field(default_factory=list)
    waits: list[float] = msgspec.field(default_factory=list)
    idle_mb: float = 0.0
    peak_mb: float = 0.0

    @property
    def failures(self) -> int:
        """How many were not answered 200."""
        return sum(count for status, count in self.statuses.items() if status != 200) + len(self.broken)

    @property
    def failed(self) -> list[str]:
        """What was not answered 200, in words."""
        return [f"{status}: {count}" for status, count in self.statuses.items() if status != 200] + self.broken

    def add(self, other: Figures) -> None:
        """Count in what another one counted."""
        self.statuses += other.statuses
        self.broken += other.broken
        self.waits += other.waits


@asynccontextmanager
async def load(site: Site, figures: Figures, *, clients: int = CLIENTS, keep: bool = True) -> AsyncIterator[None]:
    """Let clients deliver and order until the end of the block, each on a kept connection, or with a new one each time."""
    ending, numbers = asyncio.Event(), itertools.count(1)

    async def visit(path: str) -> None:
        line = site.line()
        while not ending.is_set():
            began = time.monotonic()
            try:
                answer = await line.ask(request("POST", path, body=f"{next(numbers)}".encode()))
                figures.statuses[answer.status] += 1
                figures.waits.append(time.monotonic() - began)
            except (OSError, TimeoutError) as error:
                figures.broken.append(f"{path}: {error!r}")
            if not keep:
                line.close()
            await asyncio.sleep(PAUSE)
        line.close()

    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(visit(SERVED if number % 5 else "/v1/orders"))
        try:
            yield
        finally:
            ending.set()
