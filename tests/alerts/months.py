"""What the ledger adds up over months. The ledger itself is given, a figure for each hour, so promtool need not work it out: evaluated
once a day, a hundred days take no longer than an hour that is told event by event.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botstead.operate.objectives.model import Objective, Tiers, seconds
from tests.alerts.happened import VICTIM
from tests.alerts.series import selector

DAY = "1d"
"""The pace."""
HOUR = 3600
DAYS = 100
EACH = {"bad": 3, "total": 40}
"""Events in each hour."""


def months(objective: Objective, tiers: Tiers) -> dict[str, Any]:
    """A promtool test file about an objective's sums over the ledger."""
    mine = {"slo": objective.name, "service": objective.service, **dict.fromkeys(objective.by, VICTIM)}
    told = {
        "name": f"{objective.name}: as much each hour for {DAYS} days",
        "interval": "1h",
        "input_series": [
            {"series": selector(f"slo:{what}:ledger5m", mine), "values": f"{each}x{DAYS * 24}"} for what, each in EACH.items()
        ],
        "promql_expr_test": [
            {
                "expr": f"slo:{what}:count{window} + 0",
                "eval_time": f"{DAYS * 24}h",
                "exp_samples": [
                    {"labels": selector("", mine), "value": each * seconds(window) / HOUR},
                ],
            }
            for what, each in EACH.items()
            for window in sorted(_windows(objective, tiers))
        ],
    }
    return {"evaluation_interval": DAY, "tests": [told]}


def sums(document: Mapping[str, Any]) -> dict[str, Any]:
    """The rules that add up the ledger, without those that keep it: a fault in these would only be a ledger that is not there."""
    kept = [{**group, "rules": [rule for rule in group["rules"] if _adds(rule)]} for group in document["groups"]]
    return {"groups": [group for group in kept if group["rules"]]}


def _adds(rule: Mapping[str, Any]) -> bool:
    return "record" in rule and ":ledger5m" in rule["expr"]


def _windows(objective: Objective, tiers: Tiers) -> set[str]:
    """Windows that are sums over the ledger: all above an hour."""
    watching = tiers.of(objective, pages=objective.own is not None)
    windows = {tiers.period, *(window for tier in watching for window in (tier.long, tier.short))}
    return {window for window in windows if seconds(window) > HOUR}
