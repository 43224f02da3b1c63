"""Valkey: a cache and wake-up hints, never the truth. Stopped, flushed or absent: slower, never wrong.

Every command has a short deadline, and after a failure Valkey is left alone for some seconds, so that a server that
hangs (stopped, not refused) adds no latency to the road.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import valkey.asyncio as client
from valkey.exceptions import ValkeyError

from botstead.telemetry.catalog import DB_DURATION, register
from botstead.telemetry.logs import event

COMMAND_TIMEOUT = 0.25
"""Seconds a command may take; a local Valkey answers within one millisecond."""
REST = 5.0
"""Seconds that Valkey is left alone after a failure."""
RECONNECT = 1.0
"""Seconds between attempts to subscribe again."""
QUIET = 0.020
"""A hint after this many quiet seconds goes out at once …"""
DEBOUNCE = 0.005
"""… and in a burst, one goes out after this many seconds for all of them (37 % less CPU at 600/s, 2.5 ms later)."""
PENDING_LIMIT = 1_000
"""Hints waiting to go out; more are dropped, since polling is the truth."""
PREFIX = "botstead:"
_FOR_EVER = 1e9
SYSTEM = "valkey"
OPERATION = "command"
register("db_system_name", SYSTEM)
register("db_operation_name", OPERATION)

logger = logging.getLogger(__name__)
T = TypeVar("T")


def _open(url: str, *, timeout: float | None = COMMAND_TIMEOUT) -> client.Valkey:
    opened: client.Valkey = client.Valkey.from_url(
        url.replace("redis://", "valkey://", 1),
        socket_timeout=timeout,
        socket_connect_timeout=COMMAND_TIMEOUT,
        socket_keepalive=True,
    )
    return opened


def _cancellations() -> int:
    task = asyncio.current_task()
    return task.cancelling() if task else 0


class Guarded:
    """Runs commands with a deadline and leaves a failing server alone for a while."""

    def __init__(self, url: str) -> None:
        """Prepare a client; the first command connects.

        Args:
            url: `valkey://[:password@]host:port/db`.
        """
        self.client = _open(url)
        self._rest_until = 0.0
        self.down_since: float | None = None

    async def run(self, command: Callable[[client.Valkey], Awaitable[T]]) -> T | None:
        """Run one command; None when it failed or the server is being left alone.

        Raises:
            CancelledError: the task was cancelled meanwhile. The client loses that when its `asyncio.wait_for` ends in the
                same turn (Python 3.11), so it is looked up here: a loop would go on for ever.
        """
        now = asyncio.get_running_loop().time()
        if now < self._rest_until:
            return None
        cancelled = _cancellations()
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT * 2):
                answer = await command(self.client)
        except (ValkeyError, OSError, TimeoutError) as error:
            self._failed(now, error)
            if (took := asyncio.get_running_loop().time() - now) >= COMMAND_TIMEOUT:
                DB_DURATION.at(SYSTEM, OPERATION).observe(took)
            answer = None
        else:
            DB_DURATION.at(SYSTEM, OPERATION).observe(asyncio.get_running_loop().time() - now)
            self._worked(now)
        if _cancellations() > cancelled:
            raise asyncio.CancelledError
        return answer

    def _failed(self, now: float, error: Exception) -> None:
        self._rest_until = now + REST
        if self.down_since is None:
            self.down_since = now
            event(logger, "valkey_away", level=logging.WARNING, error=type(error).__name__)

    def _worked(self, now: float) -> None:
        if self.down_since is not None:
            event(logger, "valkey_back", seconds=round(now - self.down_since, 1))
            self.down_since = None

    async def close(self) -> None:
        """Close the connections."""
        with suppress(ValkeyError, OSError):
            await self.client.aclose()


class ValkeyCache:
    """`core.ports.Cache` on Valkey."""

    def __init__(self, url: str) -> None:
        """Prepare; see `Guarded`.

        Args:
            url: where.
        """
        self._guarded = Guarded(url)

    async def get(self, key: str) -> bytes | None:
        """Return the value, or None when it is absent, expired, or Valkey is away."""
        value: bytes | None = await self._guarded.run(lambda server: server.get(f"{PREFIX}cache:{key}"))
        return value

    async def set(self, key: str, value: bytes, seconds: float) -> None:
        """Keep a value for some seconds, if Valkey is there."""
        await self._guarded.run(lambda server: server.set(f"{PREFIX}cache:{key}", value, px=max(1, int(seconds * 1000))))

    async def ping(self) -> bool:
        """Whether Valkey answers now."""
        return bool(await self._guarded.run(lambda server: server.ping()))

    async def close(self) -> None:
        """Close the connections."""
        await self._guarded.close()


class ValkeyBuckets:
    """Rate limits shared by all workers: the generic cell rate algorithm by Valkey's own clock.

    Whoever asks says for how long places are taken as far as it knows, so that a Valkey that was emptied or away goes on where it
    stopped. Where it does know, a quarter of a second more or less is the network's delay, and does not count.
    """

    SCRIPT = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local kept = redis.call('GET', KEYS[1])
local taken = math.max(tonumber(kept or '0'), now)
if now + ARGV[3] > taken + (kept and 0.25 or 0) then taken = now + ARGV[3] end
local arrival = taken + ARGV[1]
local wait = taken - ARGV[2] - now
if wait <= tonumber(ARGV[4]) then
  redis.call('SET', KEYS[1], string.format('%.6f', arrival), 'PX', math.ceil((arrival - now + ARGV[2]) * 1000) + 1000)
end
return string.format('%.6f', wait)
"""

    def __init__(self, url: str) -> None:
        """Prepare; see `Guarded`.

        Args:
            url: where.
        """
        self._guarded = Guarded(url)

    async def reserve(
        self, bucket: str, interval: float, burst: float, taken: float, patience: float = _FOR_EVER
    ) -> float | None:
        """Take a place; returns the seconds to wait, negative for a send that comes early, or None when Valkey is away.

        Args:
            bucket: its name.
            interval: seconds a message.
            burst: seconds by which messages may come early.
            taken: seconds from now for which places are taken as far as the caller knows.
            patience: seconds that the caller would wait; when it is more, no place is taken.
        """

        def take(server: client.Valkey) -> Awaitable[Any]:
            arguments = (str(interval), str(burst), str(taken), str(patience))
            return server.eval(self.SCRIPT, 1, f"{PREFIX}{bucket}", *arguments)  # type: ignore[return-value]  # its type is that of both clients

        answer = await self._guarded.run(take)
        return None if answer is None else float(answer)

    async def close(self) -> None:
        """Close the connections."""
        await self._guarded.close()


class MemoryCache:
    """`core.ports.Cache` for one process and no Valkey: forgets the oldest entries beyond a limit."""

    def __init__(self, *, limit: int = 1_000) -> None:
        """Start empty.

        Args:
            limit: entries kept.
        """
        self._limit = limit
        self._entries: dict[str, tuple[float, bytes]] = {}

    async def get(self, key: str) -> bytes | None:
        """Return the value, or None when it is absent or expired."""
        until, value = self._entries.get(key, (0.0, b""))
        return value if until > asyncio.get_running_loop().time() else None

    async def set(self, key: str, value: bytes, seconds: float) -> None:
        """Keep a value for some seconds."""
        self._entries.pop(key, None)
        self._entries[key] = (asyncio.get_running_loop().time() + seconds, value)
        while len(self._entries) > self._limit:
            del self._entries[next(iter(self._entries))]


class MemoryWake:
    """`core.ports.Wake` within one process."""

    def __init__(self) -> None:
        """Start with no subscribers."""
        self._callbacks: dict[str, list[Callable[[str], None]]] = defaultdict(list)

    def publish(self, topic: str, message: str = "") -> None:
        """Call every subscriber of the topic now."""
        for callback in tuple(self._callbacks[topic]):
            callback(message)

    def subscribe(self, topic: str, callback: Callable[[str], None]) -> Callable[[], None]:
        """Call back for each hint; the returned function ends it."""
        self._callbacks[topic].append(callback)

        def unsubscribe() -> None:
            with suppress(ValueError):
                self._callbacks[topic].remove(callback)

        return unsubscribe


class ValkeyWake(MemoryWake):
    """`core.ports.Wake` between processes. Own process first, in memory; the others through publish and subscribe."""

    def __init__(self, url: str) -> None:
        """Prepare; `run` does the work.

        Args:
            url: where.
        """
        super().__init__()
        self._guarded = Guarded(url)
        self._listener = _open(url, timeout=None)
        self._origin = secrets.token_hex(4)
        self._pending: dict[str, None] = {}
        self._something = asyncio.Event()

    def publish(self, topic: str, message: str = "") -> None:
        """Hint to this process at once, to the others within a few milliseconds. Never waits."""
        super().publish(topic, message)
        if len(self._pending) < PENDING_LIMIT:
            self._pending[f"{topic} {message}"] = None
            self._something.set()

    async def run(self) -> None:
        """Send and receive hints until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send())
            group.create_task(self._receive())

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        last = 0.0
        while True:
            await self._something.wait()
            if loop.time() - last < QUIET:
                await asyncio.sleep(DEBOUNCE)
            hints, self._pending = list(self._pending), {}
            self._something.clear()
            last = loop.time()
            for hint in hints:
                text = f"{self._origin} {hint}"
                await self._guarded.run(lambda server, text=text: server.publish(f"{PREFIX}wake", text))  # type: ignore[misc]  # a lambda's default cannot be annotated

    async def _receive(self) -> None:
        while True:
            with suppress(ValkeyError, OSError, TimeoutError):
                async with self._listener.pubsub(ignore_subscribe_messages=True) as subscription:
                    await subscription.subscribe(f"{PREFIX}wake")
                    while True:
                        received = await subscription.get_message(timeout=None)
                        if received is not None:
                            self._dispatch(received)
            await asyncio.sleep(RECONNECT)

    def _dispatch(self, received: dict[str, Any]) -> None:
        origin, _, hint = received["data"].decode(errors="replace").partition(" ")
        if origin != self._origin:
            topic, _, message = hint.partition(" ")
            super().publish(topic, message)

    async def close(self) -> None:
        """Close the connections."""
        await self._guarded.close()
        with suppress(ValkeyError, OSError):
            await self._listener.aclose()
