"""What becomes of questions: live, from the cache, from old news, or not at all and why."""

from __future__ import annotations

from typing import Final

from botstead.core.errors import EgressRefused, EgressTimeout
from botstead.integrations.weather.errors import WeatherUnavailable
from botstead.telemetry.catalog import CACHE_REQUESTS, INTEGRATION_DURATION, INTEGRATION_REQUESTS, register

NAME: Final = "weather"


class Limited(Exception):  # named for what happened
    """The service takes no more questions for a while."""


_KINDS: Final = (
    (Limited, "limited"),
    ((EgressTimeout, TimeoutError), "timeout"),
    (EgressRefused, "refused"),
)


def start() -> None:
    """Show every figure at 0, so that the first failure is a rise."""
    for label in ("integration", "cache"):
        register(label, NAME)
    INTEGRATION_REQUESTS.at(NAME, "ok")
    INTEGRATION_DURATION.at(NAME)
    CACHE_REQUESTS.at(NAME, "hit")


def count(outcome: str) -> None:
    """Count a question.

    Args:
        outcome: ok, cached, stale, error, timeout, refused or limited.
    """
    INTEGRATION_REQUESTS.at(NAME, outcome).inc()


def count_failure(error: WeatherUnavailable) -> None:
    """Count a question that was not answered.

    Args:
        error: with the reason as its cause.
    """
    count(next((word for kind, word in _KINDS if isinstance(error.__cause__, kind)), "error"))


def count_cache(result: str) -> None:
    """Count a look into the cache.

    Args:
        result: hit, miss or stale.
    """
    CACHE_REQUESTS.at(NAME, result).inc()


def observe(seconds: float) -> None:
    """Note how long the service took for one request, whatever it answered.

    Args:
        seconds: from the request to the end of its answer, or to its failure.
    """
    INTEGRATION_DURATION.at(NAME).observe(seconds)
