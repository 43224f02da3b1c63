"""When to try again, and when to give up. Pure: randomness comes in as an argument in [0, 1)."""

from __future__ import annotations

from typing import NamedTuple

HANDLER_TRIES = 5
"""Runs that may fail before a message is parked."""
CRASHES = 3
"""Times a message may take its process down before it is parked unrun."""
BLOCK_LIMIT = 60.0
"""Seconds for which a failing message may hold up its conversation."""
HANDLER_BASE = 0.5
"""Seconds before the second run; doubles each time: 0.5, 1, 2, 4."""
SEND_BASE = 1.0
SEND_LIMIT = 300.0
"""Longest wait between two attempts to send, unless the provider names a longer one."""
SEND_TRIES = 12
"""Counted attempts before a send is given up; with doubling waits that is about half an hour."""
SEND_AGE = 86_400.0
"""Seconds after which a message is too old to be worth sending."""


class Retry(NamedTuple):
    """Try again after `wait` seconds."""

    wait: float


class GiveUp(NamedTuple):
    """Park it, for this reason."""

    reason: str


def after_failure(attempts: int, *, failing: float, chance: float) -> Retry | GiveUp:
    """Decide after a handler failed.

    Args:
        attempts: failed runs, this one included.
        failing: seconds since the first failure.
        chance: for jitter.
    """
    if attempts >= HANDLER_TRIES:
        return GiveUp("failed")
    wait = HANDLER_BASE * 2 ** (attempts - 1) * (0.5 + chance / 2)
    if failing + wait > BLOCK_LIMIT:
        return GiveUp("blocked")
    return Retry(wait)


def after_send(attempts: int, *, age: float, after: float | None, chance: float) -> Retry | GiveUp:
    """Decide after a send did not succeed.

    Args:
        attempts: counted attempts, this one included if it counts.
        age: seconds since the reply was written.
        after: seconds that the provider asked for; obeyed exactly.
        chance: for full jitter.
    """
    in_time = age + (after or 0.0) <= SEND_AGE  # never true of a NaN
    if attempts >= SEND_TRIES or not in_time:
        return GiveUp("exhausted")
    if after is not None:
        return Retry(after)
    ceiling = min(SEND_LIMIT, SEND_BASE * 2 ** max(0, attempts - 1))
    return Retry(ceiling * (0.1 + 0.9 * chance))
