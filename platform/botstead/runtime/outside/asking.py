"""`Asking`: one call with all its tries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias

import msgspec

from botstead.core.clock import Clock
from botstead.core.errors import EgressError, EgressRefused, EgressResting
from botstead.core.messages import Call, Response
from botstead.core.ports import Egress
from botstead.core.secret import Secret
from botstead.runtime.egress.outcomes import outcome_of_status
from botstead.runtime.egress.recorded import note_unmade
from botstead.runtime.outside import measures
from botstead.runtime.outside.breaker import Ticket
from botstead.runtime.outside.dealings import Dealings
from botstead.runtime.outside.policy import Policy
from botstead.runtime.outside.retries import asked_pause, backoff, improvable, safe_again

SHORTEST_TRY: Final = 0.05
"""Seconds; with less no further try is begun."""

Usable: TypeAlias = Callable[[Response], bool]


class Way(NamedTuple):
    """What calls are made with.

    Args:
        egress: the way out.
        clock: of deadlines, and of dates in `Retry-After`.
        chance: a random number from 0 to 1, for jitter.
    """

    egress: Egress
    clock: Clock
    chance: Callable[[], float]


class Asking:
    """One question of one bot to one service."""

    def __init__(  # noqa: PLR0913  a call, and all that decides about its tries
        self,
        way: Way,
        dealings: Dealings,
        policy: Policy,
        call: Call,
        *,
        secrets: Mapping[str, Secret],
        over: float,
        fair: float,
        safe: bool,
        usable: Usable | None,
    ) -> None:
        """Build it; `Service.ask` does.

        Args:
            way: what calls are made with.
            dealings: of bot and service.
            policy: of the service.
            call: the request.
            secrets: values for its placeholders.
            over: monotonic seconds at which all of it ends.
            fair: seconds; a try that had less and failed says nothing about the service.
            safe: whether a try that may have arrived can be repeated.
            usable: see `Service.ask`.
        """
        self._way = way
        self._dealings = dealings
        self._policy = policy
        self._call = call
        self._secrets = secrets
        self._over = over
        self._fair = fair
        self._safe = safe
        self._usable = usable

    async def answer(self) -> Response:
        """Try, and count what came of it.

        Raises:
            EgressError: see `Service.ask`.
        """
        service = self._call.service
        counts = not measures.within.get()
        try:
            response, good = await self._tries()
        except EgressError as error:
            if isinstance(error, EgressResting):
                note_unmade(self._call)
            if counts:
                measures.count_failure(service, error)
            raise
        if counts:
            outcome = outcome_of_status(response.status)
            measures.count(service, outcome if good or outcome != "ok" else "error")
        return response

    async def _tries(self) -> tuple[Response, bool]:
        self._dealings.budget.earn(self._way.clock.monotonic())
        number = 0
        while True:
            number += 1
            problem: EgressError | None = None
            response: Response | None = None
            good = True
            try:
                response = await self._once()
                good = self._is_good(response)
            except EgressError as error:
                problem = error
            wait = self._wait(number, problem, response, good=good)
            if wait is not None:
                await asyncio.sleep(wait)
            elif response is not None:
                return response, good
            elif problem is not None:
                raise problem

    def _wait(self, number: int, problem: EgressError | None, response: Response | None, *, good: bool) -> float | None:
        """Return the seconds until another try, or None when there is none."""
        if number >= self._policy.tries or not self._may_again(problem, response, good=good):
            return None
        wait = backoff(number, self._policy.first_wait, self._way.chance())
        if response is not None:
            wait = max(wait, asked_pause(response, now=self._way.clock.now()))
        now = self._way.clock.monotonic()
        if wait + SHORTEST_TRY > self._over - now or not self._dealings.budget.spend(now):
            return None
        return wait

    def _may_again(self, problem: EgressError | None, response: Response | None, *, good: bool) -> bool:
        if problem is not None:
            return safe_again(problem, safe=self._safe)
        return self._safe and response is not None and (not good or improvable(response, self._policy))

    def _is_good(self, response: Response) -> bool:
        return self._usable is None or not 200 <= response.status < 300 or self._usable(response)

    async def _once(self) -> Response:
        clock, dealings = self._way.clock, self._dealings
        await dealings.enter(self._over, clock.monotonic())
        async with dealings.place(self._over - clock.monotonic()):
            began = clock.monotonic()
            ticket = dealings.admit(began)
            left = max(self._over - began, 0.0)
            seconds = min(left, self._policy.longest_try) if self._safe else left
            try:
                response = await self._way.egress.call(msgspec.structs.replace(self._call, timeout=seconds), self._secrets)
            except EgressError as error:
                self._judge_failure(error, ticket, seconds)
                raise
            except BaseException:
                dealings.given_up(ticket)
                raise
            finally:
                measures.observe(self._call.service, clock.monotonic() - began)
            self._judge(response, ticket)
            return response

    def _judge_failure(self, error: EgressError, ticket: Ticket, seconds: float) -> None:
        if isinstance(error, EgressRefused) or seconds < self._fair:
            self._dealings.given_up(ticket)
        else:
            self._dealings.failed(ticket, self._way.clock.monotonic())

    def _judge(self, response: Response, ticket: Ticket) -> None:
        now = self._way.clock.monotonic()
        if pause := asked_pause(response, now=self._way.clock.now()):
            self._dealings.pause(pause, now)
        if response.status >= 500 or not self._is_good(response):
            self._dealings.failed(ticket, now)
        else:
            self._dealings.went_well(ticket, now)
