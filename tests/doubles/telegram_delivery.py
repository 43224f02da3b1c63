"""How Telegram delivers updates to a webhook.

One queue a chat: the next update waits until the one before was answered. Presses of buttons have queues of their own, so a press
may overtake a message. The first retry comes at once, then after 2, 4, 8 … seconds up to a minute or two; `Retry-After` is obeyed.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import aiohttp

HEADER = "X-Telegram-Bot-Api-Secret-Token"
LONGEST_RETRY = 60.0


class Webhook:
    """A bot's webhook and the queues before it."""

    def __init__(self, *, done: Callable[[int], None], retry_unit: float) -> None:
        """Build it without an address.

        Args:
            done: told the id of each update that was taken.
            retry_unit: seconds that stand for one second of Telegram's retry schedule; `Retry-After` is not shortened.
        """
        self.url = ""
        self.last_error_date = 0
        self.last_error_message = ""
        self.deliveries = 0
        self.retries = 0
        self._done = done
        self._retry_unit = retry_unit
        self._secret = ""
        self._queues: dict[Any, deque[dict[str, Any]]] = {}
        self._tasks: dict[Any, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(40)
        self._client: aiohttp.ClientSession | None = None

    def set(self, url: str, *, secret: str, max_connections: int) -> None:
        """Deliver there from now on."""
        self.url, self._secret = url, secret
        self._slots = asyncio.Semaphore(max_connections)

    def push(self, update: dict[str, Any]) -> None:
        """Queue an update behind those of its chat."""
        queue = _queue_of(update)
        self._queues.setdefault(queue, deque()).append(update)
        if queue not in self._tasks:
            self._tasks[queue] = asyncio.create_task(self._drain(queue))

    async def remove(self) -> None:
        """Stop delivering; what waits is still the caller's."""
        self.url = ""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()
        self._queues.clear()
        if self._client:
            await self._client.close()
            self._client = None

    async def _drain(self, queue: Any) -> None:
        """Deliver what waits in one queue, in order."""
        waiting = self._queues[queue]
        while waiting:
            await self._deliver(waiting[0])
            self._done(waiting.popleft()["update_id"])
        del self._queues[queue], self._tasks[queue]

    async def _deliver(self, update: dict[str, Any]) -> None:
        """Deliver one update, however long it takes."""
        pause = 0.0
        while True:
            self.deliveries += 1
            async with self._slots:
                problem, retry_after = await self._post(update)
            if problem is None:
                return
            self.retries += 1
            self.last_error_date, self.last_error_message = int(time.time()), problem
            await asyncio.sleep(pause * self._retry_unit if retry_after is None else retry_after)
            pause = min(LONGEST_RETRY, max(2.0, pause * 2))

    async def _post(self, update: dict[str, Any]) -> tuple[str | None, float | None]:
        """Make one request: what went wrong, and how long we are asked to wait."""
        self._client = self._client or aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))
        headers = {HEADER: self._secret} if self._secret else {}
        try:
            async with self._client.post(self.url, json=update, headers=headers) as answer:
                await answer.read()
                if answer.status < 300:
                    return None, None
                retry_after = answer.headers.get("Retry-After", "")
                problem = f"Wrong response from the webhook: {answer.status} {answer.reason}"
                return problem, min(3600.0, float(retry_after)) if retry_after.isdigit() else None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return f"Connection failed: {type(error).__name__}", None


def _queue_of(update: dict[str, Any]) -> Any:
    """The queue that an update waits in."""
    for kind, content in update.items():
        if kind == "update_id" or not isinstance(content, dict):
            continue
        if "chat" in content and kind.endswith(("message", "post")):
            return content["chat"]["id"]
        return kind, content.get("from", {}).get("id")
    return "others"
