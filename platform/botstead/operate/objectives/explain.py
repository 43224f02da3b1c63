"""Budgets in plain words: «62 of 840 went wrong in the last hour; 3 of 1,940 failures are left, gone in 2 d 3 h». Pure."""

from __future__ import annotations

from fractions import Fraction

from botstead.operate.objectives.budget import Budget, Burn
from botstead.operate.objectives.model import seconds

_WORDS = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def span(length: float) -> str:
    """Return how long something takes, in the two largest units: `2 d 3 h`, `45 s`.

    Args:
        length: seconds.
    """
    rest = max(0, int(length))
    for number, (size, unit) in enumerate(_UNITS):
        if rest >= size or size == 1:
            following = _UNITS[number + 1 : number + 2]
            smaller = [(rest % size // small, name) for small, name in following]
            parts = [f"{rest // size} {unit}", *(f"{count} {name}" for count, name in smaller if count)]
            return " ".join(parts)
    raise AssertionError("a second is the smallest unit")


def window(length: int) -> str:
    """Return a window in words: `30 days`, `hour`, `6 hours`.

    Args:
        length: seconds.
    """
    size, word = next(pair for pair in _WORDS if length % pair[0] == 0)
    return word if length == size else f"{length // size} {word}s"


def percent(ratio: Fraction) -> str:
    """Return a share as percent without the noise of floats: `99.95 %`. A share that is not whole is never shown as whole.

    Args:
        ratio: 0 to 1.
    """
    for digits in (2, 4, 6):
        text = f"{float(ratio * 100):.{digits}f}"
        if ratio in (0, 1) or float(text) not in (0.0, 100.0):
            break
    return f"{text.rstrip('0').rstrip('.')} %" if "." in text else f"{text} %"


def explain(budget: Budget) -> str:
    """Say how a promise stands.

    Args:
        budget: the promise's.
    """
    over = window(budget.period)
    if not budget.whole.total:
        return f"Nothing happened in the last {over}."
    sentences = [_burning(budget.firing, budget) if budget.firing else "", _left(budget)]
    return " ".join(sentence for sentence in sentences if sentence)


def _burning(burn: Burn, budget: Budget) -> str:
    over, promised = window(seconds(burn.tier.long)), percent(budget.budget)
    bad, total = f"{burn.long.bad:,}", f"{burn.long.total:,}"
    return f"{bad} of {total} went wrong in the last {over}, {float(burn.rate):.3g} times the {promised} that may."


def _left(budget: Budget) -> str:
    allowed, over = f"{budget.allowed:,}", window(budget.period)
    if budget.left < 0 or budget.exhausted_in == 0:
        bad, total = f"{budget.whole.bad:,}", f"{budget.whole.total:,}"
        return f"The budget of {over} is gone: {bad} of {total} went wrong, and {allowed} may."
    left = f"{budget.left:,} of {allowed} {'failure' if budget.allowed == 1 else 'failures'} left for {over}"
    if budget.exhausted_in is None:
        return f"{left}."
    return f"{left}; at this rate gone in {span(budget.exhausted_in)}."
