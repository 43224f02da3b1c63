"""Every question that a board asks: it parses, and is about series that somebody emits."""

from __future__ import annotations

import re

import promql_parser as parser
import pytest
from dashboards.boards import BOARDS
from dashboards.design import asked

from botstead.telemetry.catalog import METRICS, VITALS
from tests.dashboards.promql import filled, problems, uses

QUERIES = [
    pytest.param(board, panel, query, id=f"{board.uid}/{panel.title}/{number}")
    for board in BOARDS
    for panel in board.panels()
    for number, query in enumerate(asked(panel))
]


def chosen(board, value: str = ".+") -> dict[str, str]:
    return {variable.name: value for variable in board.variables}


@pytest.mark.parametrize(("board", "panel", "query"), QUERIES)
@pytest.mark.parametrize("value", [".+", "weather"])
def test_a_query_is_about_series_that_exist(board, panel, query, value):
    assert list(problems(filled(query.expr, chosen(board, value)))) == []


@pytest.mark.parametrize(("board", "panel", "query"), QUERIES)
def test_rates_follow_the_zoom(board, panel, query):
    """A window that is fixed shows stairs when you zoom in, and misses what happened between points when you zoom out."""
    fixed = re.findall(r"(?:rate|increase)\([^\[]*\[(?!\$__rate_interval|\$__range)([^\]]+)\]", query.expr)
    assert fixed == []


@pytest.mark.parametrize(("board", "panel", "query"), QUERIES)
def test_a_chosen_variable_is_heeded(board, panel, query):
    """A panel that ignores what a reader chose shows something else than it says, if its series have that label."""
    for variable in board.variables:
        if f"${variable.name}" in query.expr:
            continue
        for use in uses(parser.parse(filled(query.expr, {}))):
            family = METRICS.families.get(re.sub("_(bucket|sum|count)$", "", use.name)) or VITALS.all.get(use.name)
            ours = family is not None and variable.label in family.labels
            assert not ours or use.name.startswith("canary_"), f"{use.name} has {variable.label} and no ${variable.name}"


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("rate(no_such_metric_total[5m])", "nobody emits"),
        ('rate(bot_messages_total{colour="red"}[5m])', "has no label colour"),
        ('rate(bot_messages_total{outcome="lost"}[5m])', "is never lost"),
        ('rate(bot_messages_total{outcome=~"failed|lost"}[5m])', "is never lost"),
        ("sum by (job_name) (rate(bot_messages_total[5m]))", "summed by job_name"),
        ("sum(bot_messages_total)", "without rate"),
        ("rate(job_queue_depth[5m])", "of a gauge"),
        ('rate(channel_ack_duration_seconds_bucket{le="0.7"}[5m])', "is no bucket"),
        ("histogram_quantile(0.5, sum(rate(channel_ack_duration_seconds_bucket[5m])))", "added up"),
    ],
)
def test_the_check_sees(expression, says):
    assert any(says in problem for problem in problems(expression))
