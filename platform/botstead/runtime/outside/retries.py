"""When a call is tried again: only where that is safe, after a random wait, and out of a budget."""

from __future__ import annotations

from typing import Final

from botstead.core.errors import EgressBroken, EgressError, EgressResting, EgressTimeout, EgressUnsent
from botstead.core.messages import Response
from botstead.runtime.outside.policy import Policy
from botstead.runtime.retry_after import retry_after

SHARE: Final = 0.2
"""Retries that a call earns: with a service that fails always, what it is asked grows by a fifth and not threefold."""
FLOOR: Final = 10.0
"""Retries that may come at once after a quiet time."""
PER_SECOND: Final = 0.1
"""Retries earned by time, so that a bot that calls rarely has some."""
IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
"""Methods that can be repeated, RFC 9110 section 9.2.2, https://www.rfc-editor.org/rfc/rfc9110#name-idempotent-methods"""
PAUSED: Final = frozenset({429, 503})
"""Statuses whose `Retry-After` says how long to wait before any request, RFC 9110 section 10.2.3 and RFC 6585 section 4."""
LONGEST_PAUSE: Final = 86_400.0


class Budget:
    """Retries that are left: `FLOOR`, and so many for each call and each second."""

    def __init__(self) -> None:
        """Start full."""
        self._left = FLOOR
        self._at = 0.0

    def earn(self, now: float) -> None:
        """Count a call.

        Args:
            now: seconds that never jump.
        """
        self._pass(now)
        self._left = min(FLOOR, self._left + SHARE)

    def spend(self, now: float) -> bool:
        """Take a retry; False when none is left.

        Args:
            now: seconds that never jump.
        """
        self._pass(now)
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def _pass(self, now: float) -> None:
        if self._at:
            self._left = min(FLOOR, self._left + max(0.0, now - self._at) * PER_SECOND)
        self._at = now


def may_repeat(method: str, repeatable: bool | None) -> bool:
    """Tell whether a try that may have arrived can be repeated.

    Args:
        method: upper case.
        repeatable: what the caller says, None when nothing.
    """
    return method in IDEMPOTENT if repeatable is None else repeatable


def safe_again(problem: EgressError, *, safe: bool) -> bool:
    """Tell whether a call without an answer may be tried again.

    Args:
        problem: why there was none.
        safe: from `may_repeat`.
    """
    if isinstance(problem, EgressResting):
        return False
    return isinstance(problem, EgressUnsent) or (safe and isinstance(problem, EgressTimeout | EgressBroken))


def improvable(response: Response, policy: Policy) -> bool:
    """Tell whether another try may get a better answer.

    Args:
        response: the answer.
        policy: of the service.
    """
    advice = response.headers.get(policy.advised_by, "") if policy.advised_by else ""
    return advice == "true" or (advice != "false" and response.status in policy.retried)


def backoff(number: int, first: float, chance: float) -> float:
    """Return the seconds before the next try: full jitter, so that those who failed together do not come back together.

    Args:
        number: of the try that failed, from 1.
        first: the most before the second.
        chance: a random number from 0 to 1.
    """
    return float(first * 2 ** (number - 1) * chance)


def asked_pause(response: Response, *, now: float) -> float:
    """Return for how many seconds the service asked not to be called, 0 when it did not.

    Args:
        response: its answer.
        now: Unix seconds.
    """
    if response.status not in PAUSED:
        return 0.0
    return min(retry_after(response.headers.get("retry-after"), now=now) or 0.0, LONGEST_PAUSE)
