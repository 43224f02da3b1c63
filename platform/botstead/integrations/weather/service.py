"""One request to Open-Meteo and what its answer means, the pause that its limits ask for among it."""

from __future__ import annotations

from typing import Final, TypeVar
from urllib.parse import urlencode

from botstead.core import bodies
from botstead.core.errors import EgressError, EgressResting
from botstead.core.messages import Call, Response
from botstead.integrations.weather.errors import WeatherUnavailable
from botstead.integrations.weather.models import Problem
from botstead.runtime.outside import Outside, Policy, Service

T = TypeVar("T")

NAME: Final = "weather"
TRIES: Final = 3
LONGEST_TRY: Final = 4.0
"""Seconds that one try may take of the deadline."""
PUBLIC_PER_SECOND: Final = 10.0
"""What the public server takes: 600 calls a minute, https://open-meteo.com/en/terms"""
_ANSWER_LIMIT: Final = 262_144
_TOO_MANY: Final = 429
_WINDOWS: Final = {"minutely": 60.0, "hourly": 3_600.0, "daily": 86_400.0}
"""The limits of the free service by the word in its reason, in seconds."""


class OpenMeteo:
    """Asks an Open-Meteo server."""

    def __init__(self, outside: Outside, *, public: bool) -> None:
        """Build it.

        Args:
            outside: the way to services.
            public: whether it is the public server, which has limits.
        """
        policy = Policy(
            tries=TRIES,
            longest_try=LONGEST_TRY,
            retried=frozenset({500, 502, 503, 504}),
            per_second=PUBLIC_PER_SECOND if public else 0.0,
            burst=20,
            together=True,  # it has no key, and counts by address
        )
        self.service: Service = outside.service(NAME, policy)

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
        call = Call(method="GET", url=f"{url}?{urlencode(parameters)}", limit=_ANSWER_LIMIT)
        try:
            response = await self.service.ask(
                call, seconds=seconds, usable=lambda given: bodies.read(given.body, answer) is not None
            )
        except EgressError as error:
            raise WeatherUnavailable from error
        if response.status == _TOO_MANY:
            self.service.pause(_window(response))
            raise WeatherUnavailable from EgressResting("Open-Meteo says that a limit is reached.")
        found = bodies.read(response.body, answer) if response.status == 200 else None
        if found is None:
            raise WeatherUnavailable from EgressError(f"Open-Meteo answered {response.status}, or not what it documents.")
        return found


def _window(response: Response) -> float:
    """Say how long a limit lasts, from «Minutely API request limit exceeded. …», or Hourly, or Daily."""
    problem = bodies.read(response.body, Problem)
    reason = problem.reason.casefold() if problem is not None else ""
    return next((seconds for word, seconds in _WINDOWS.items() if word in reason), _WINDOWS["minutely"])
