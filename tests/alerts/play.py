"""Plays stories and cases through promtool."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from botstead.operate.alerting.conditions import Condition, load_conditions
from botstead.operate.objectives.model import Objective, load_objectives, load_tiers
from tests.alerts.cases import CASES, Case
from tests.alerts.months import months, sums
from tests.alerts.stories import LEDGER, LIVE, Own, ledger_stories, live_rules, live_stories, told_as
from tests.alerts.tools import failures, read

GENERATED = Path(__file__).parents[2] / "alerts" / "generated"
TIERS = load_tiers()
OBJECTIVES = {objective.name: objective for objective in load_objectives()}
CONDITIONS = {condition.name: condition for condition in load_conditions()}
OWN = Own(0.97, pages=True)
"""What the victim of an objective with targets of their own says for itself."""


@cache
def rules(name: str) -> dict[str, Any]:
    """A rule file that is shipped. Annotations are left out, but for a condition's summary: promtool would want all of them spelt
    out in every expectation."""
    document: dict[str, Any] = read((GENERATED / f"{name}.rules.yml").read_text("utf-8"))
    for group in document["groups"]:
        for rule in group["rules"]:
            said = rule.pop("annotations", {})
            if name == "conditions":
                rule["annotations"] = {"summary": said["summary"]}
    return document


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


@cache
def month_tests(name: str) -> dict[str, Any]:
    """The test file of an objective at a pace of days."""
    return months(OBJECTIVES[name], TIERS)


def play_live(promtool: str, name: str, document: dict[str, Any]) -> str:
    """What is wrong with an objective's rules at the live pace."""
    tests = live_tests(name)
    return failures(promtool, live_rules(document), tests) if tests else ""


def play_ledger(promtool: str, name: str, document: dict[str, Any]) -> str:
    """What is wrong with an objective's rules at the ledger's pace."""
    return failures(promtool, document, ledger_tests(name))


def play_months(promtool: str, name: str, document: dict[str, Any]) -> str:
    """What is wrong with an objective's sums over its ledger."""
    return failures(promtool, sums(document), month_tests(name))


def case_rules(document: dict[str, Any], alert: str) -> dict[str, Any]:
    """The rules of one condition."""
    groups = [{**group, "rules": [rule for rule in group["rules"] if rule["alert"] == alert]} for group in document["groups"]]
    return {"groups": [group for group in groups if group["rules"]]}


def case_tests(alert: str) -> list[dict[str, Any]]:
    """The test files of a condition's cases, one for each pace."""
    mine = [case for case in CASES if case.alert == alert]
    by_pace = {pace: [case for case in mine if case.pace == pace] for pace in dict.fromkeys(case.pace for case in mine)}
    return [
        {"evaluation_interval": pace, "tests": [_case(case, CONDITIONS[alert]) for case in cases]}
        for pace, cases in by_pace.items()
    ]


def play_cases(promtool: str, alert: str, document: dict[str, Any]) -> str:
    """What is wrong with the rules of one condition."""
    said = (failures(promtool, case_rules(document, alert), tests) for tests in case_tests(alert))
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
