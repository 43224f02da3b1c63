"""Conditions: limits in texts, in time, and what is refused."""

from __future__ import annotations

from fractions import Fraction

import pytest

from botstead.core.errors import ConfigurationError
from botstead.operate.alerting.conditions import condition_groups, load_conditions
from botstead.operate.alerting.rules import Links, Time
from botstead.operate.objectives.model import load_objectives

ONE = """conditions:
  - name: Stuck
    severity: page
    area: road
    for: 2m
    limits: {{waiting: 5m, share: 0.5}}
    expr: {expr}
    query: x
    summary: "It waits {{{{ $value }}}}; ${{waiting}} is the limit."
    impact: People.
    action: Look.
    board: home
    panel: Canary
"""
USING = "x[10m] > ${waiting} and y > ${share}"


def written(tmp_path, text):
    path = tmp_path / "conditions.yml"
    path.write_text(text)
    return path


def test_a_limit_is_a_number_in_promql_and_words_in_a_sentence(tmp_path):
    (condition,) = load_conditions(written(tmp_path, ONE.format(expr=USING)))
    rule = condition.rule(Time(), Links())
    assert rule.expr == "x[10m] > 300 and y > 0.5"
    assert rule.annotations["summary"] == "It waits {{ $value }}; 5 minutes is the limit."
    assert (rule.wait, dict(rule.labels)) == ("2m", {"severity": "page", "area": "road"})


def test_only_what_is_time_follows_the_scale(tmp_path):
    (condition,) = load_conditions(written(tmp_path, ONE.format(expr=USING)))
    rule = condition.rule(Time(Fraction(1, 60)), Links())
    assert (rule.expr, rule.wait) == ("x[10s] > 5 and y > 0.5", "2s")


@pytest.mark.parametrize(
    ("expr", "said"),
    [("x > ${waiting} + ${share} + ${other}", "there is no limit other"), ("x > ${waiting}", "nothing uses the limit share")],
)
def test_limits_that_are_not_there_or_not_used_are_refused(tmp_path, expr, said):
    with pytest.raises(ConfigurationError, match=said):
        load_conditions(written(tmp_path, ONE.format(expr=expr)))


def test_each_required_text_is_required(tmp_path):
    for name in ("query", "summary", "impact", "action", "board", "panel"):
        lines = [line for line in ONE.format(expr=USING).splitlines() if not line.startswith(f"    {name}:")]
        with pytest.raises(ConfigurationError, match=name if name != "summary" else "summary"):
            load_conditions(written(tmp_path, "\n".join(lines)))


def test_a_name_stands_once(tmp_path):
    text = ONE.format(expr=USING)
    with pytest.raises(ConfigurationError, match="Stuck is there twice"):
        load_conditions(written(tmp_path, text + text.removeprefix("conditions:\n")))


def test_a_condition_of_each_paging_objective_becomes_one_alert_each():
    objectives = load_objectives()
    groups = condition_groups(load_conditions(), objectives, Time(), Links())
    blind = [rule for group in groups for rule in group.rules if rule.alert == "SloBlind"]
    assert [rule.labels["slo"] for rule in blind] == [each.name for each in objectives if "page" in each.alerts]
    assert all(f'slo="{rule.labels["slo"]}"' in rule.expr for rule in blind)
