"""Plays stories and cases through promtool."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import yaml

from botstead.operate.alerting.conditions import Condition, load_conditions
from botstead.operate.objectives.model import Objective, load_objectives, load_tiers
from tests.alerts.cases import CASES, Case
from tests.alerts.stories import LEDGER, LIVE, Own, all_rules, ledger_stories, live_rules, live_stories, told_as
from tests.alerts.tools import failures

GENERATED = Path(__file__).parents[2] / "alerts" / "generated"
TIERS = load_tiers()
OBJECTIVES = {objective.name: objective for objective in load_objectives()}
CONDITIONS = {condition.name: condition for condition in load_conditions()}
OWN = Own(0.97, pages=True)
"""What the victim of an objective with targets of their own says for itself."""


def rules(name: str) -> str:
    """A rule file that is shipped."""
    return (GENERATED / f"{name}.rules.yml").read_text("utf-8")


def told(objective: Objective, own: Own | None) -> Objective:
    """The objective with what the victim says for itself in its place, so that stories have the right numbers."""
    return msgspec.structs.replace(objective, target=round(own.target * 100, 6)) if own else objective


@cache
def live_tests(name: str) -> dict[str, Any] | None:
    """The test file of an objective at the live pace; None when nothing pages."""
    objective = OBJECTIVES[name]
    own = OWN if objective.own else None
    stories = list(live_stories(told(objective, own), TIERS))
    return told_as(objective, TIERS, stories, pace=LIVE, watched=("fast",), own=own) if stories else None


@cache
def ledger_tests(name: str) -> dict[str, Any]:
    """The test file of an objective at the ledger's pace."""
    objective = OBJECTIVES[name]
    own = OWN if objective.own else None
    stories = list(ledger_stories(told(objective, own), TIERS))
    return told_as(objective, TIERS, stories, pace=LEDGER, watched=[tier.name for tier in TIERS.tiers], own=own)


def play_live(promtool: str, name: str, text: str) -> str:
    """What is wrong with an objective's rules at the live pace."""
    tests = live_tests(name)
    return failures(promtool, {"r.rules.yml": live_rules(text)}, tests) if tests else ""


def play_ledger(promtool: str, name: str, text: str) -> str:
    """What is wrong with an objective's rules at the ledger's pace."""
    return failures(promtool, {"r.rules.yml": all_rules(text)}, ledger_tests(name))


def case_rules(text: str, alerts: Iterable[str]) -> str:
    """Rules of some conditions, with the summary as their only annotation: the others say the same each time."""
    wanted = set(alerts)
    document = yaml.safe_load(text)
    for group in document["groups"]:
        group["rules"] = [rule for rule in group["rules"] if rule["alert"] in wanted]
        for rule in group["rules"]:
            rule["annotations"] = {"summary": rule["annotations"]["summary"]}
    document["groups"] = [group for group in document["groups"] if group["rules"]]
    return yaml.safe_dump(document, sort_keys=False, width=10_000, allow_unicode=True)


def case_tests(cases: Sequence[Case]) -> dict[str, Any]:
    """The test file of some cases."""
    return {"evaluation_interval": cases[0].pace, "tests": [_case(case, CONDITIONS[case.alert]) for case in cases]}


def play_cases(promtool: str, alert: str, text: str) -> str:
    """What is wrong with the rules of one condition."""
    mine = [case for case in CASES if case.alert == alert]
    chosen = {"r.rules.yml": case_rules(text, [alert])}
    paces = dict.fromkeys(case.pace for case in mine)
    said = (failures(promtool, chosen, case_tests([case for case in mine if case.pace == pace])) for pace in paces)
    return next((each for each in said if each), "")


def _case(case: Case, condition: Condition) -> dict[str, Any]:
    fixed = {"severity": condition.severity, "area": condition.area}
    return {
        "name": f"{case.alert}: {case.name}",
        "interval": case.interval,
        "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
        "alert_rule_test": [
            {
                "eval_time": moment,
                "alertname": case.alert,
                "exp_alerts": [
                    {"exp_labels": fixed | alert.labels, "exp_annotations": {"summary": alert.summary}} for alert in fires
                ],
            }
            for moment, fires in case.seen.items()
        ],
    }
