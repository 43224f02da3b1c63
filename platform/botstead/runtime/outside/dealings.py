"""`Dealings`: what is remembered of one bot's calls to one service."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

from botstead.core.errors import EgressResting, EgressUnsent
from botstead.runtime.egress.bulkhead import Places
from botstead.runtime.outside.breaker import Breaker, Ticket
from botstead.runtime.outside.policy import Policy
from botstead.runtime.outside.quota import Quota, Reserve
from botstead.runtime.outside.rests import PAUSE, REST, WELL, Rests
from botstead.runtime.outside.retries import LONGEST_PAUSE, Budget
from botstead.telemetry.logs import event

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0
"""How old news of other processes may be."""

Spawn: TypeAlias = Callable[[Coroutine[Any, Any, None]], None]
"""Lets something happen meanwhile."""


class Shared:
    """What a service has that dealings stand on: the bucket store, the news, the owner of tasks."""

    def __init__(self, rests: Rests, *, reserve: Reserve | None, workers: Callable[[], int], spawn: Spawn) -> None:
        """Build it; `Outside` does.

        Args:
            rests: news of other processes.
            reserve: shared buckets, or None.
            workers: how many share a rate while those are away.
            spawn: owner of what happens meanwhile.
        """
        self.rests = rests
        self.reserve = reserve
        self.workers = workers
        self.spawn = spawn


class Dealings:
    """Breaker, pause, rate, places and budget of one bot with one service. Times are monotonic seconds."""

    def __init__(self, name: str, policy: Policy, shared: Shared) -> None:
        """Start well.

        Args:
            name: of service and bot, the same in all processes.
            policy: of the service.
            shared: see there.
        """
        self.name = name
        self.places = Places(name, policy.places)
        self.budget = Budget()
        self._breaker = Breaker(failures=policy.failures, rest=policy.rest, longest_rest=policy.longest_rest)
        self._quota = None
        if policy.per_second > 0:
            self._quota = Quota(
                f"outside:{name}",
                per_second=policy.per_second,
                burst=policy.burst,
                reserve=shared.reserve,
                workers=shared.workers,
            )
        self._policy = policy
        self._shared = shared
        self._paused = 0.0
        self._looked = 0.0
        self._ill_since: float | None = None

    async def enter(self, until: float, now: float) -> None:
        """Wait for the service's rate; the caller asks for a place next, then for a ticket.

        Args:
            until: when the caller stops waiting.
            now: the time.

        Raises:
            EgressResting: the service rests, or its rate leaves no room before `until`; `after` says when to come back.
        """
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            if self._breaker.closed:
                self._shared.spawn(self._look(now))
            else:  # whoever would probe asks the others first
                await self._look(now)
        self._require_open(now)
        if self._quota is not None:
            wait = await self._quota.wait(until - now, now=now)
            if wait > until - now:
                raise EgressResting(f"The rate of {self._called} is used up; nothing was sent.", after=wait)
            if wait > 0:
                await asyncio.sleep(wait)

    @asynccontextmanager
    async def place(self, seconds: float) -> AsyncIterator[None]:
        """Hold one of the bot's places with the service.

        Args:
            seconds: to wait for one.

        Raises:
            EgressResting: none came free; nothing was sent.
        """
        if seconds <= 0:
            raise EgressUnsent(f"No time was left to call {self._called}; nothing was sent.")
        try:
            async with asyncio.timeout(seconds):
                await self.places.__aenter__()
        except (TimeoutError, EgressUnsent) as error:
            raise EgressResting(f"All places for calls to {self._called} stayed taken; nothing was sent.", after=1.0) from error
        try:
            yield
        finally:
            await self.places.__aexit__(None, None, None)

    def admit(self, now: float) -> Ticket:
        """Let a call pass the breaker.

        Args:
            now: the time.

        Raises:
            EgressResting: the service rests.
        """
        self._require_open(now)
        ticket = self._breaker.admit(now)
        if ticket is None:
            raise self._resting(self._breaker.wait(now))
        if ticket.probe:
            self._shared.spawn(self._shared.rests.tell(self.name, REST, self._breaker.wait(now)))
        return ticket

    def went_well(self, ticket: Ticket, now: float) -> None:
        """Take note of an answer.

        Args:
            ticket: of the call.
            now: the time.
        """
        if self._breaker.succeeded(ticket):
            self._log("service_well", seconds=round(now - (self._ill_since or now), 1))
            self._ill_since = None
            self._shared.spawn(self._shared.rests.tell(self.name, WELL))

    def failed(self, ticket: Ticket, now: float) -> None:
        """Take note of a failure that is the service's.

        Args:
            ticket: of the call.
            now: the time.
        """
        if self._breaker.failed(ticket, now):
            if self._ill_since is None:
                self._ill_since = now
                self._log("service_rests", level=logging.WARNING, seconds=self._breaker.wait(now))
            self._shared.spawn(self._shared.rests.tell(self.name, REST, self._breaker.wait(now)))

    def given_up(self, ticket: Ticket) -> None:
        """Take note of a call that says nothing about the service.

        Args:
            ticket: of the call.
        """
        self._breaker.given_up(ticket)

    def pause(self, seconds: float, now: float) -> None:
        """Call no more for a while: the service asked for that.

        Args:
            seconds: how long.
            now: the time.
        """
        self._paused = max(self._paused, now + seconds)
        self._shared.spawn(self._shared.rests.tell(self.name, PAUSE, seconds))

    def _require_open(self, now: float) -> None:
        left = max(self._paused - now, self._breaker.wait(now))
        if left > 0:
            raise self._resting(left)

    def _resting(self, after: float) -> EgressResting:
        why = "failed too often, or asked for a pause"
        return EgressResting(f"{self._called} {why}; nothing was sent. Try again in {after:.1f} s.", after=after)

    async def _look(self, now: float) -> None:
        news = await self._shared.rests.hear(self.name)
        if news is None:
            return
        if news.kind == WELL:
            self._breaker.is_well()
        elif news.kind == REST:
            self._breaker.rests(now + news.seconds, now)
        elif news.seconds > 0:
            self._paused = max(self._paused, now + min(news.seconds, LONGEST_PAUSE))

    def _log(self, what: str, *, level: int = logging.INFO, seconds: float) -> None:
        service, bot, at = self.name.split(":", 2)
        event(logger, what, level=level, service=service, bot=bot, at=at, seconds=seconds)

    @property
    def _called(self) -> str:
        return self.name.partition(":")[0]
