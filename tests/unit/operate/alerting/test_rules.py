"""Durations, words and YAML of rules."""

from __future__ import annotations

import json
from fractions import Fraction
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from botstead.operate.alerting.rules import Group, Links, Rule, Time, document, number, spoken, written
from botstead.operate.objectives.model import seconds

UNITS = {"d": 86_400, "h": 3600, "m": 60, "s": 1}


def parsed(text: str) -> Fraction:
    """A duration of Prometheus in seconds."""
    if text.endswith("ms"):
        return Fraction(int(text[:-2]), 1000)
    return Fraction(int(text[:-1]) * UNITS[text[-1]])


@given(st.integers(1, 10**10))
def test_a_duration_is_written_exactly(thousandths):
    assert parsed(written(Fraction(thousandths, 1000))) == Fraction(thousandths, 1000)


@pytest.mark.parametrize("length", [Fraction(0), Fraction(-1), Fraction(1, 3000)])
def test_what_is_no_duration_is_refused(length):
    with pytest.raises(ValueError, match="cannot be written"):
        written(length)


@given(st.integers(1, 999), st.sampled_from("smhd"), st.sampled_from([Fraction(1), Fraction(1, 60), Fraction(1, 10)]))
def test_a_scale_divides_every_range_and_offset_alike(count, unit, scale):
    text = f"{count}{unit}"
    time = Time(scale)
    if (seconds(text) * scale * 1000).denominator != 1:
        return
    found = time.ranges(f'rate(x{{a="5m"}}[{text}] offset {text}) > 5')
    inner = found.split("[")[1].split("]")[0]
    assert parsed(inner) == seconds(text) * scale
    assert found.endswith(f"offset {inner}) > 5")
    assert '"5m"' in found


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (60, "1 minute"),
        (300, "5 minutes"),
        (3600, "1 hour"),
        (90, "90 seconds"),
        (Fraction(1, 2), "0.5 seconds"),
        (86_400, "1 day"),
    ],
)
def test_a_duration_is_said_in_words(length, words):
    assert spoken(Fraction(length)) == words


def test_numbers_have_no_noise():
    assert number(Fraction(144, 10) * Fraction(5, 1000)) == "0.072"
    assert number(0.1 + 0.2) == "0.3"


@given(st.text(min_size=1), st.text())
def test_whatever_a_text_holds_yaml_gives_it_back(summary, impact):
    rule = Rule(
        alert="A", expr="vector(1)", wait="1m", labels={"severity": "page"}, annotations={"summary": summary, "impact": impact}
    )
    found = yaml.safe_load(document((Group("g", "30s", (rule,)),), head="Made."))
    assert found["groups"][0]["rules"] == [
        {
            "alert": "A",
            "expr": "vector(1)",
            "for": "1m",
            "labels": {"severity": "page"},
            "annotations": {"summary": summary, "impact": impact},
        }
    ]


def test_links_lead_to_board_runbook_and_query():
    links = Links(dashboards="https://g.example.org", runbooks="https://r.example.org/", prometheus="https://p.example.org")
    found = links.of("QueueStuck", query='max(\n  x{a="b"})', board="road", panel="Oldest", carried=("queue",))
    assert found["runbook_url"] == "https://r.example.org/QueueStuck.md"
    assert found["dashboard_url"].startswith("https://g.example.org/d/road/?viewPanel=")
    assert found["dashboard_url"].endswith("&var-queue={{ $labels.queue | urlquery }}")
    assert found["query_url"] == "https://p.example.org/graph?g0.expr=max%28%20x%7Ba%3D%22b%22%7D%29&g0.tab=0"


@given(st.text(min_size=1))
def test_where_prometheus_is_not_reached_grafana_draws_the_query(query):
    links = Links(dashboards="https://g.example.org/grafana", prometheus="")
    found = links.of("QueueStuck", query=query, board="road", panel="Oldest", carried=())["query_url"]
    parts = urlsplit(found)
    assert (parts.netloc, parts.path) == ("g.example.org", "/grafana/explore")
    pane = json.loads(parse_qs(parts.query)["panes"][0])["a"]
    assert pane["datasource"] == pane["queries"][0]["datasource"]["uid"] == "prometheus"
    assert pane["queries"][0]["expr"] == " ".join(query.split())
    assert "{{" not in found  # Prometheus would take it for a template
