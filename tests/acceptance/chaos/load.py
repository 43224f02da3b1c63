"""The world outside: people who write, and a network that delivers each update until it is taken.

In one conversation the next update is delivered only when the one before was acknowledged, so that their order is defined. What is
not acknowledged is delivered again under the same id.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import defaultdict
from collections.abc import Callable, Sequence

import aiohttp

from tests.acceptance.chaos.cluster import HOOK_SECRET, Cluster
from tests.acceptance.chaos.judge import unanswered
from tests.doubles.telegram_bot import message
from tests.doubles.telegram_delivery import HEADER

DUPLICATES = 0.03
AT_ONCE = 40
PATIENCE = 8.0
AGAIN = 0.1
GIVE_UP = 60.0


class Load:
    """Delivers updates, and notes which were acknowledged, in order."""

    def __init__(self, urls: Callable[[], Sequence[str]], *, seed: int, updates: int, conversations: int) -> None:
        """Decide who writes what.

        Args:
            urls: where to deliver; one is picked each time.
            seed: of every choice.
            updates: how many there are.
            conversations: how many there are; a few say most (Zipf).
        """
        self._urls = urls
        self._random = random.Random(seed)
        weights = [1 / (rank + 1) for rank in range(conversations)]
        chats = self._random.choices(range(1, conversations + 1), weights, k=updates)
        self._plan: dict[int, list[int]] = defaultdict(list)
        for update, chat in enumerate(chats, start=1):
            self._plan[chat].append(update)
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._open = asyncio.Event()
        self._ids = itertools.count(1)
        self.allowed = updates
        self.total = updates
        self.acked: dict[int, list[int]] = defaultdict(list)
        self.count = 0
        self.deliveries = 0
        self.refused: dict[str, int] = defaultdict(int)

    def allow(self, count: int) -> None:
        """Let at most so many be acknowledged for now, so that there is still something to say when a fault strikes."""
        self.allowed = count
        self._open.set()

    async def run(self) -> None:
        """Deliver everything."""
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        connector = aiohttp.TCPConnector(limit=AT_ONCE * 2)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as client, asyncio.TaskGroup() as group:
            for chat, updates in self._plan.items():
                group.create_task(self._talk(client, chat, updates))

    async def _talk(self, client: aiohttp.ClientSession, chat: int, updates: list[int]) -> None:
        for update in updates:
            while self.count >= self.allowed:
                self._open.clear()
                await self._open.wait()
            body = {"update_id": update, "message": message(f"u{update}", chat=chat, message_id=update)}
            async with self._slots:
                await self._insist(client, body)
            self.acked[chat].append(update)
            self.count += 1
            if self._random.random() < DUPLICATES:
                async with self._slots:
                    await self._insist(client, body)

    async def _insist(self, client: aiohttp.ClientSession, body: dict) -> None:
        """Deliver until it is taken."""
        async with asyncio.timeout(GIVE_UP):
            while not await self._deliver(client, body):  # noqa: ASYNC110  # another try each time, not a condition
                await asyncio.sleep(AGAIN)

    async def _deliver(self, client: aiohttp.ClientSession, body: dict) -> bool:
        self.deliveries += 1
        url = self._random.choice(self._urls())
        try:
            async with client.post(url, json=body, headers={HEADER: HOOK_SECRET}) as answer:
                await answer.read()
                if answer.status == 200:
                    return True
                self.refused[str(answer.status)] += 1
                assert answer.status == 503, (answer.status, await answer.text())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.refused[type(error).__name__] += 1
        return False


async def answered(running: Cluster, load: Load, *, seconds: float = 25.0) -> None:
    """Wait until everything that was acknowledged is answered, or too long."""
    deadline = time.monotonic() + seconds
    while unanswered(load.acked, running.sent()) and time.monotonic() < deadline:  # noqa: ASYNC110  # the provider is another process
        await asyncio.sleep(0.2)
    running.note(f"{unanswered(load.acked, running.sent())} unanswered")
