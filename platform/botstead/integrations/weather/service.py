"""One request to Open-Meteo and what its answer means: tries, deadline, and the pause that its limits ask for."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlencode

import msgspec

from botstead.core.clock import Clock
from botstead.core.errors import EgressBroken, EgressError, EgressTimeout, EgressUnsent
from botstead.core.messages import Call, Response
from botstead.core.ports import Egress
from botstead.integrations.weather.errors import WeatherUnavailable
from botstead.integrations.weather.measures import Limited, observe
from botstead.integrations.weather.models import Problem

T = TypeVar("T")

TRIES = 3
LONGEST_TRY = 4.0
"""Seconds that one try may take of the deadline."""
FIRST_WAIT = 0.3
"""Seconds before the second try, doubled before the third, each times a random number from 0.5 to 1."""
_SHORTEST_TRY = 0.1
_ANSWER_LIMIT = 262_144
_WINDOWS = {"minutely": 60.0, "hourly": 3_600.0, "daily": 86_400.0}
"""The limits of the free service by the word in its reason, in seconds."""
_AGAIN = (EgressUnsent, EgressTimeout, EgressBroken)


class OpenMeteo:
    """Asks an Open-Meteo server."""

    def __init__(self, egress: Egress, *, clock: Clock, chance: Callable[[], float] = random.random) -> None:
        """Build it.

        Args:
            egress: the way out.
            clock: for deadlines and for the end of a limit's window.
            chance: a random number from 0 to 1, for jitter.
        """
        self._egress = egress
        self._clock = clock
        self._chance = chance
        self._closed_until = 0.0

    async def ask(self, url: str, parameters: dict[str, str], answer: type[T], *, seconds: float) -> T:
        """Fetch and decode, trying up to `TRIES` times.

        Args:
            url: the address without its query.
            parameters: the query.
            answer: what the body is decoded as.
            seconds: all tries and waits together.

        Raises:
            WeatherUnavailable: no usable answer came; the cause is chained.
        """
        call = Call(method="GET", url=f"{url}?{urlencode(parameters)}", limit=_ANSWER_LIMIT, service="open-meteo")
        over = self._clock.monotonic() + seconds
        problem: Exception | None = None
        for number in range(TRIES):
            wait = FIRST_WAIT * 2 ** (number - 1) * (0.5 + self._chance() / 2) if number else 0.0
            left = over - self._clock.monotonic() - wait
            if left < _SHORTEST_TRY:
                break
            await asyncio.sleep(wait)
            try:
                return await self._once(msgspec.structs.replace(call, timeout=min(left, LONGEST_TRY)), answer)
            except (*_AGAIN, _Useless) as error:
                problem = error
            except EgressError as error:
                raise WeatherUnavailable from error
        raise WeatherUnavailable from problem

    async def _once(self, call: Call, answer: type[T]) -> T:
        began = self._clock.monotonic()
        if began < self._closed_until:
            raise WeatherUnavailable from Limited("a limit was reached before")
        try:
            response = await self._egress.call(call)
        finally:
            observe(self._clock.monotonic() - began)
        if response.status == 200:
            try:
                return msgspec.json.decode(response.body, type=answer)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise _Useless("the body is not what the service documents") from error
        if response.status >= 500:
            raise _Useless(f"status {response.status}")
        if response.status == 429:
            self._closed_until = self._clock.monotonic() + _window(response)
            raise WeatherUnavailable from Limited("status 429")
        raise WeatherUnavailable from _Useless(f"status {response.status}")


class _Useless(Exception):
    """An answer that another try may better."""


def _window(response: Response) -> float:
    """Say how long a limit lasts, from «Minutely API request limit exceeded. …», or Hourly, or Daily."""
    try:
        reason = msgspec.json.decode(response.body, type=Problem).reason.casefold()
    except (msgspec.DecodeError, UnicodeDecodeError):
        reason = ""
    return next((seconds for word, seconds in _WINDOWS.items() if word in reason), _WINDOWS["minutely"])
