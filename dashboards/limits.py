"""Limits that boards draw, from where alerts have theirs: `alerts/objectives.yml`, `tiers.yml` and `conditions.yml`."""

from __future__ import annotations

from typing import Final

from botstead.operate.alerting.conditions import load_conditions
from botstead.operate.objectives.model import Objective, load_objectives, load_tiers, seconds
from dashboards.design import Limits

OBJECTIVES: Final = {objective.name: objective for objective in load_objectives()}
TIERS: Final = load_tiers()
CONDITIONS: Final = {condition.name: condition for condition in load_conditions()}

BUDGET: Final = Limits(warn=0.25, bad=0.0, falling=True)
"""Of what is left of a budget: the last quarter is worth a look, and nothing is wrong."""


def objective(name: str) -> Objective:
    """Return an objective.

    Args:
        name: as in `alerts/objectives.yml`.
    """
    return OBJECTIVES[name]


def failing(name: str) -> Limits:
    """Return the limits for a share of bad events: the budget spent evenly, and as fast as the first page says.

    Args:
        name: of an objective.
    """
    budget = float(objective(name).budget)
    return Limits(warn=budget, bad=min(1.0, budget * float(TIERS.tiers[0].factor(TIERS.period))))


def good(name: str) -> Limits:
    """Return the limits for a share of good events.

    Args:
        name: of an objective.
    """
    bad = failing(name)
    assert bad.warn is not None
    assert bad.bad is not None
    return Limits(warn=1 - bad.warn, bad=1 - bad.bad, falling=True)


def within(name: str) -> float:
    """Return how many seconds an objective allows.

    Args:
        name: of an objective on a histogram.
    """
    return max(term.within for term in objective(name).bad)


def limit(condition: str, name: str) -> float:
    """Return a limit of a condition, durations in seconds.

    Args:
        condition: name of an alert in `alerts/conditions.yml`.
        name: of the limit there.
    """
    found = CONDITIONS[condition].limits[name]
    return float(seconds(found) if isinstance(found, str) else found)
