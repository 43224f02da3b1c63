"""What operators see of calls: each counted once, by service and by what came of it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

from botstead.runtime.egress.outcomes import outcome_of
from botstead.telemetry.catalog import CACHE_REQUESTS, INTEGRATION_DURATION, INTEGRATION_REQUESTS, register

within: Final[ContextVar[bool]] = ContextVar("within", default=False)
"""Whether the running code fetches for a question to the cache, which is what is counted then."""


def start(service: str) -> None:
    """Show every figure at 0, so that the first failure is a rise.

    Args:
        service: its name, from a closed set.
    """
    for label in ("integration", "cache"):
        register(label, service)
    INTEGRATION_REQUESTS.at(service, "ok")
    INTEGRATION_DURATION.at(service)
    CACHE_REQUESTS.at(service, "hit")


def count(service: str, outcome: str) -> None:
    """Count a call or question.

    Args:
        service: its name.
        outcome: ok, cached, stale, error, timeout, refused or limited.
    """
    INTEGRATION_REQUESTS.at(service, outcome).inc()


def count_failure(service: str, error: BaseException) -> None:
    """Count what was not answered.

    Args:
        service: its name.
        error: why, or what was raised from that.
    """
    count(service, outcome_of(error))


def count_cache(service: str, result: str) -> None:
    """Count a look into the cache.

    Args:
        service: its name.
        result: hit, miss or stale.
    """
    CACHE_REQUESTS.at(service, result).inc()


def observe(service: str, seconds: float) -> None:
    """Note how long one try took, whatever came of it.

    Args:
        service: its name.
        seconds: from the request to the end of its answer, or to its failure.
    """
    INTEGRATION_DURATION.at(service).observe(seconds)
