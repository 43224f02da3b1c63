"""How a payment provider tells what happened: signed, again until it is taken, in no order, and sometimes not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import aiohttp

from tests.doubles.provider_faults import Trouble

LONGEST_WAIT = 60.0


class Hooks:
    """The addresses that are told, and what is on its way to them."""

    def __init__(self, *, trouble: Trouble, retry_unit: float) -> None:
        """Build it without an address.

        Args:
            trouble: the dice.
            retry_unit: seconds before the first retry, doubled each time.
        """
        self.taken: set[str] = set()
        self.lost: list[str] = []
        self.refused: list[tuple[str, int]] = []
        self.deliveries = 0
        self._signers: dict[str, Callable[[bytes], Mapping[str, str]]] = {}
        self._trouble = trouble
        self._retry_unit = retry_unit
        self._tasks: set[asyncio.Task[None]] = set()
        self._client: aiohttp.ClientSession | None = None
        self._held: list[tuple[str, bytes]] | None = None

    def tell(self, url: str, sign: Callable[[bytes], Mapping[str, str]]) -> None:
        """Send there from now on.

        Args:
            url: where to.
            sign: the headers for a body, made anew for each try.
        """
        self._signers[url] = sign

    def hold(self) -> None:
        """Keep what is to be sent, until `release`."""
        self._held = []

    def release(self, order: Callable[[list[tuple[str, bytes]]], list[tuple[str, bytes]]] = list, copies: int = 1) -> None:
        """Send what was kept, in an order of one's own, each so often."""
        held, self._held = order(self._held or []), None
        for key, body in held * copies:
            self._start(key, body, 0.0)

    def send(self, key: str, body: bytes) -> None:
        """Send an event to every address.

        Args:
            key: the event's id.
            body: what is signed and sent.
        """
        if self._held is not None:
            self._held.append((key, body))
            return
        dice, chance = self._trouble.dice, self._trouble.chance
        if dice.random() < chance.lost:
            self.lost.append(key)
            return
        late = dice.random() * chance.delay if dice.random() < chance.late else 0.0
        self._start(key, body, late)
        if dice.random() < chance.doubled:
            self._start(key, body, late + dice.random() * chance.delay)

    async def idle(self, seconds: float = 10.0) -> None:
        """Wait until nothing is on its way."""
        async with asyncio.timeout(seconds):
            while self._tasks:
                await asyncio.wait(tuple(self._tasks))

    async def close(self) -> None:
        """Stop sending."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client:
            await self._client.close()

    def _start(self, key: str, body: bytes, late: float) -> None:
        for url, sign in self._signers.items():
            task = asyncio.create_task(self._deliver(key, body, url=url, sign=sign, late=late))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(self, key: str, body: bytes, *, url: str, sign: Callable[[bytes], Mapping[str, str]], late: float) -> None:
        await asyncio.sleep(late)
        pause = self._retry_unit
        while True:
            status = await self._post(url, body, sign(body))
            self.deliveries += 1
            if 200 <= status < 300:
                self.taken.add(key)
                return
            self.refused.append((key, status))
            if 400 <= status < 500 and status not in {408, 429}:
                return  # real providers try for days; here a refusal is something to look at
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_WAIT * self._retry_unit)

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        self._client = self._client or aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))
        try:
            async with self._client.post(url, data=body, headers={"Content-Type": "application/json", **headers}) as answer:
                await answer.read()
                return answer.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0
