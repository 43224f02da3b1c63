"""The rule files that are shipped: valid for every Prometheus here, about series that exist, and with all that a person needs."""

from __future__ import annotations

import json
import re
from fractions import Fraction

import pytest
import yaml

from botstead.operate.alerting.files import rule_files
from botstead.operate.alerting.rules import Time
from botstead.operate.panels import panel_id
from tests.alerts.play import CONDITIONS, GENERATED, OBJECTIVES
from tests.alerts.tools import need, run
from tests.dashboards.promql import problems

FILES = sorted(GENERATED.glob("*.rules.yml"))
TREE = GENERATED.parents[1]
RULES = [rule for file in FILES for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]
TEXTS = ("summary", "impact", "action", "runbook_url", "dashboard_url", "query_url")


def test_prometheus_takes_them():
    for promtool in need("promtool"):
        done = run(promtool, "check", "rules", "--lint-fatal", *map(str, FILES))
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("scale", ["1/60", "1/12"])
def test_prometheus_takes_them_at_another_scale_too(scale, tmp_path):
    made = rule_files(Time(Fraction(scale)))
    for name, text in made.items():
        (tmp_path / name).write_text(text)
    for promtool in need("promtool"):
        done = run(promtool, "check", "rules", *map(str, tmp_path.iterdir()))
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_window_wait_and_limit_in_time_follows_the_scale():
    fast, real = (rule_files(Time(scale)) for scale in (Fraction(1, 60), Fraction(1)))
    queue = next(text for name, text in fast.items() if name.startswith("conditions"))
    stuck = next(rule for group in yaml.safe_load(queue)["groups"] for rule in group["rules"] if rule["alert"] == "QueueStuck")
    assert (stuck["for"], stuck["expr"].rsplit(" ", 1)[1]) == ("2s", "5")
    ranges = {name: re.findall(r"\[([^\]]+)\]", text) for name, text in fast.items()}
    assert all(len(ranges[name]) == len(re.findall(r"\[([^\]]+)\]", real[name])) for name in fast)
    assert not {"d", "h"} & {window[-1] for windows in ranges.values() for window in windows if not re.search(r"[ms]$", window)}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_they_are_about_series_that_exist(file):
    document = yaml.safe_load(file.read_text())
    wrong = {
        rule["expr"]: found for group in document["groups"] for rule in group["rules"] if (found := list(problems(rule["expr"])))
    }
    assert wrong == {}


@pytest.mark.parametrize("condition", CONDITIONS.values(), ids=lambda condition: condition.name)
def test_what_a_condition_draws_is_about_series_that_exist(condition):
    assert list(problems(condition.query.replace("${slo}", "delivery"))) == []


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: "-".join([alert["alert"], *alert["labels"].values()]))
def test_an_alert_has_all_that_a_person_needs(alert):
    assert set(alert["annotations"]) == set(TEXTS)
    assert {"severity", "area"} <= set(alert["labels"])
    summary, impact, action = (alert["annotations"][name] for name in TEXTS[:3])
    assert re.search(r"\d|\bvalue\b", summary), "a summary has numbers"
    assert all(text == text.strip() and text[-1] in ".?)»" for text in (summary, impact, action)), "they are sentences"
    assert (TREE / alert["annotations"]["runbook_url"]).exists()


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: "-".join([alert["alert"], *alert["labels"].values()]))
def test_an_alert_links_to_a_panel_that_exists(alert):
    found = re.search(r"/d/([^/]+)/\?viewPanel=(\d+)", alert["annotations"]["dashboard_url"])
    assert found
    board, panel = found[1], int(found[2])
    file = TREE / "dashboards" / "generated" / f"{board}.json"
    assert file.exists(), f"there is no board {board}"
    assert panel in _panels(json.loads(file.read_text())), f"{board} has no such panel: {_named(alert['alert'], board)}"


def _panels(board: dict) -> set[int]:
    return {inner["id"] for panel in board["panels"] for inner in [panel, *panel.get("panels", [])]}


def _named(alert: str, board: str) -> str:
    known = CONDITIONS.get(alert) or next(each for each in OBJECTIVES.values() if each.alert == alert)
    assert panel_id(board, known.panel)
    return known.panel


def test_no_two_alerts_are_told_apart_by_nothing():
    labelled = [(alert["alert"], *sorted(alert["labels"].items())) for alert in ALERTS]
    assert len(set(labelled)) == len(labelled)


def test_the_generated_files_are_as_generated():
    import promql_parser

    made = rule_files(pretty=lambda expression: promql_parser.parse(expression).prettify())
    assert {file.name: file.read_text() for file in FILES} == made
