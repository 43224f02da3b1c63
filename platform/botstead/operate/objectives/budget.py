"""Error budgets: how much of a promise was kept, how much may still go wrong, and when that is used up. Pure, in exact counts.

The same three rules as in the Prometheus rules (`rules.py`): counts and not ratios, a floor of bad events, and an alert that
stays until there is evidence of recovery.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

from botstead.operate.objectives.model import Tier, Tiers, seconds


class Count(NamedTuple):
    """Events of a window."""

    bad: int = 0
    total: int = 0

    @property
    def ratio(self) -> Fraction:
        """The share of bad ones; 0 without events."""
        return Fraction(self.bad, self.total) if self.total else Fraction(0)


class Burn(NamedTuple):
    """One tier at one moment.

    Args:
        tier: which.
        long: what happened in its long window.
        short: and in its short one.
        rate: how many times faster than evenly the budget burnt in the long window.
        limit: the share of bad events above which the tier fires.
        enough: whether there were enough bad events for anybody to be told.
        recovered: whether the short window shows good traffic again.
    """

    tier: Tier
    long: Count
    short: Count
    rate: Fraction
    limit: Fraction
    enough: bool
    recovered: bool

    @property
    def burns(self) -> bool:
        """Whether the long window is too bad."""
        return self.long.ratio > self.limit

    @property
    def fires(self) -> bool:
        """Whether somebody is told."""
        return self.burns and self.enough and not self.recovered


class Budget(NamedTuple):
    """A promise and what became of it.

    Args:
        budget: the ratio of events that may be bad.
        period: seconds that the promise is about.
        whole: what happened in that time.
        allowed: how many of these may be bad.
        burns: its tiers, most urgent first.
        exhausted_in: seconds until nothing is left at the present rate; 0 when nothing is left; None when it never comes to that.
        rate_over: seconds of the window that says what the present rate is.
    """

    budget: Fraction
    period: int
    whole: Count
    allowed: int
    burns: tuple[Burn, ...]
    exhausted_in: float | None
    rate_over: int

    @property
    def left(self) -> int:
        """How many more may be bad; below 0 when the promise is broken."""
        return self.allowed - self.whole.bad

    @property
    def left_ratio(self) -> Fraction:
        """The share of the budget that is left; 1 before the first event."""
        return 1 - self.whole.ratio / self.budget

    @property
    def good_ratio(self) -> Fraction | None:
        """The share of good events; None without events."""
        return 1 - self.whole.ratio if self.whole.total else None

    @property
    def firing(self) -> Burn | None:
        """The most urgent tier that fires."""
        return next((burn for burn in self.burns if burn.fires), None)


def budget_of(ratio: Fraction, counts: Mapping[int, Count], *, tiers: Tiers, watching: tuple[Tier, ...], age: float) -> Budget:
    """Work out a budget.

    Args:
        ratio: of events that may be bad.
        counts: what happened in each window, by its seconds; one that is not there was empty.
        tiers: the table of tiers.
        watching: those that watch this promise, most urgent first.
        age: seconds since the first event; below the period, the budget still grows with every event.
    """
    period = seconds(tiers.period)
    whole = counts.get(period, Count())
    allowed = int(ratio * whole.total)
    burns = tuple(_burn(tier, ratio, counts, tiers) for tier in watching)
    firing = next((burn for burn in burns if burn.fires), None)
    over = seconds(firing.tier.long if firing else tiers.tiers[-1].long)
    recent = counts.get(over, Count())
    exhausted = _exhausted_in(ratio, whole, recent, over=min(over, max(age, 1.0)), grows=age < period)
    return Budget(ratio, period, whole, allowed, burns, exhausted, over)


def _burn(tier: Tier, ratio: Fraction, counts: Mapping[int, Count], tiers: Tiers) -> Burn:
    long, short = (counts.get(seconds(window), Count()) for window in (tier.long, tier.short))
    limit = tier.limit(ratio, tiers.period)
    return Burn(
        tier,
        long,
        short,
        rate=long.ratio / ratio,
        limit=limit,
        enough=long.bad >= tiers.min_bad,
        recovered=short.total > 0 and short.ratio <= limit,
    )


def _exhausted_in(ratio: Fraction, whole: Count, recent: Count, *, over: float, grows: bool) -> float | None:
    """Return the seconds until nothing is left if all goes on as in the last `over` seconds.

    In a young installation every new event adds to the budget. Later, as many leave the period as enter it.
    """
    left = ratio * whole.total - whole.bad
    if left <= 0:
        return 0.0 if whole.bad else None
    if recent.ratio <= ratio:
        return None
    loss = recent.bad - (ratio * recent.total if grows else 0)
    return float(left / loss) * over
