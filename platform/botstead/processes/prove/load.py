"""The world outside: people who write, and a network that delivers each update until it is taken.

In one conversation the next update is delivered only when the one before was acknowledged, so that their order is defined. What
is not acknowledged is delivered again under the same id. Some are delivered once more although they were taken: at once, late, or
to two processes at the same time.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import time
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from botstead.processes.prove.client import Client
from botstead.processes.prove.deliveries import message
from botstead.processes.prove.meanwhile import meanwhile

if TYPE_CHECKING:
    from botstead.processes.prove.installation import Hook, Installation
    from botstead.processes.prove.judge import Place
    from botstead.processes.prove.stage import Stage

AT_ONCE = 40
PATIENCE = 8.0
"""Seconds that the network waits for an answer."""
AGAIN = 0.1
"""Seconds before the next try of what was not taken."""
GIVE_UP = 90.0
LATE = 2.0
"""Seconds after which a late duplicate comes."""
SAMPLES = 0.2
"""Seconds between two samples for the picture."""


class Load:
    """Delivers updates, and notes which were acknowledged, in order."""

    def __init__(  # noqa: PLR0913  # each has a name at the call
        self,
        stage: Stage,
        running: Installation,
        *,
        updates: int,
        conversations: int,
        rate: float = 0,
        bots: Sequence[str] | None = None,
        skew: float = 1.0,
        duplicates: float = 0.03,
        edge: bool = False,
    ) -> None:
        """Decide who writes what.

        Args:
            stage: gives the seed, and takes samples.
            running: where to deliver.
            updates: how many there are.
            conversations: how many there are, of all bots.
            rate: updates a second; 0 for as many as 40 connections do.
            bots: names of those that are written to; by default all.
            skew: how much more a few say than the others: 1 as people do (Zipf), 0 not at all.
            duplicates: share of updates that are delivered once more.
            edge: deliver through the edge; otherwise to each API process by chance.
        """
        self._stage, self._running, self._rate, self._edge = stage, running, rate, edge
        self._random = random.Random(stage.seed)  # noqa: S311  # who writes what is no secret
        self._duplicates = duplicates
        hooks = [hook for hook in running.hooks if bots is None or hook.bot in bots]
        self._plan = _plan(self._random, hooks, updates=updates, conversations=conversations, skew=skew)
        self._client = Client()
        self._ready = [(numbers[-1], index) for index, (_, _, numbers) in enumerate(self._plan)]
        heapq.heapify(self._ready)
        self._parked: deque[asyncio.Future[None]] = deque()
        self._left = updates
        self._started = 0
        self.total = updates
        self.allowed = updates
        self.count = 0
        self.deliveries = 0
        self.acked: dict[Place, list[int]] = defaultdict(list)
        self.ack_seconds: list[float] = []
        self.delivered: dict[tuple[str, str, str], float] = {}
        """When each was delivered the first time, in Unix seconds, by token, chat and text."""
        self.refused: Counter[str] = Counter()
        self.wrong: list[str] = []
        """Answers other than 200 and 503."""

    def allow(self, count: int) -> None:
        """Let at most so many be acknowledged for now, so that there is still something to say when a fault strikes.

        Args:
            count: in all.
        """
        self.allowed = count
        self._wake(AT_ONCE)

    def stop(self) -> None:
        """Deliver nothing new; `run` returns when what is under way was taken."""
        self._left = 0
        self._wake(AT_ONCE)

    async def run(self) -> None:
        """Deliver everything.

        Raises:
            TimeoutError: an update was not taken for 90 seconds.
        """
        began = time.monotonic()
        async with meanwhile(self._sample()), asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._deliver(group, began))
        self._client.close()

    async def _sample(self) -> None:
        while True:
            self._stage.sample(acknowledged=self.count, replied=self._running.provider.count)
            await asyncio.sleep(SAMPLES)

    async def _deliver(self, group: asyncio.TaskGroup, began: float) -> None:
        """One of the connections: deliver the oldest update of a conversation that waits for nothing."""
        while self._left:
            started = self._started
            if not self._ready or started >= self.allowed:
                await self._park()
                continue
            _, index = heapq.heappop(self._ready)
            hook, chat, numbers = self._plan[index]
            self._left -= 1
            self._started += 1
            if self._rate:
                await asyncio.sleep(began + started / self._rate - time.monotonic())
            await self._talk(group, hook, chat, numbers.pop())
            if numbers:
                heapq.heappush(self._ready, (numbers[-1], index))
            self._wake(1 if self._left else AT_ONCE)

    async def _park(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._parked.append(waiter)
        await waiter

    def _wake(self, most: int) -> None:
        for waiter in [self._parked.popleft() for _ in range(min(most, len(self._parked)))]:
            if not waiter.done():
                waiter.set_result(None)

    async def _talk(self, group: asyncio.TaskGroup, hook: Hook, chat: int, number: int) -> None:
        asked = message(hook, number, chat, f"u{number}")
        kind = self._random.choice(("at once", "late", "together")) if self._random.random() < self._duplicates else ""
        together = asyncio.create_task(self._insist(asked)) if kind == "together" else None
        began = time.monotonic()
        self.delivered[hook.token, str(chat), f"u{number}"] = time.time()
        await self._insist(asked)
        self.ack_seconds.append(time.monotonic() - began)
        if together is not None:
            await together
        self.acked[hook.token, str(chat)].append(number)
        self.count += 1
        if kind == "at once":
            await self._insist(asked)
        elif kind == "late":
            group.create_task(self._late(asked))

    async def _late(self, asked: bytes) -> None:
        await asyncio.sleep(LATE * self._random.random())
        await self._insist(asked)

    async def _insist(self, asked: bytes) -> None:
        """Deliver until it is taken."""
        async with asyncio.timeout(GIVE_UP):
            while not await self._try(asked):  # noqa: ASYNC110  # another try each time, not a condition
                await asyncio.sleep(AGAIN)

    async def _try(self, asked: bytes) -> bool:
        self.deliveries += 1
        port = self._running.edge_port if self._edge else self._random.choice(self._running.ports())
        try:
            status, body = await self._client.ask(port, asked, seconds=PATIENCE)
        except (OSError, TimeoutError) as error:
            self.refused[type(error).__name__] += 1
            return False
        if status == 200:
            return True
        self.refused[str(status)] += 1
        if status != 503:
            self.wrong.append(f"{status} {body[:200].decode(errors='replace')}")
        return False


async def deliver(running: Installation, number: int, chat: int, text: str) -> None:
    """Deliver one message to the first bot.

    Args:
        running: where.
        number: the update's id.
        chat: the chat's id.
        text: of the message.

    Raises:
        ConnectionError: it was not taken.
    """
    client = Client()
    status, _ = await client.ask(running.ports()[0], message(running.hooks[0], number, chat, text))
    client.close()
    if status != 200:
        raise ConnectionError(f"{text!r} was not taken: {status}")


def _plan(
    chance: random.Random, hooks: Sequence[Hook], *, updates: int, conversations: int, skew: float
) -> list[tuple[Hook, int, list[int]]]:
    """Return for each conversation its bot, its chat and its updates, the last one first."""
    weights = [(rank + 1) ** -skew for rank in range(conversations)]
    plan: dict[int, list[int]] = defaultdict(list)
    for number, chat in zip(range(updates, 0, -1), chance.choices(range(1, conversations + 1), weights, k=updates), strict=True):
        plan[chat].append(number)
    return [(hooks[chat % len(hooks)], chat, numbers) for chat, numbers in plan.items()]
