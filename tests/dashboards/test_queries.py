"""Every question that a board asks: it parses, and is about series that somebody emits."""

from __future__ import annotations

import re
from collections.abc import Iterator

import promql_parser as parser
import pytest
from dashboards.boards import BOARDS
from dashboards.design import asked

from botstead.telemetry.catalog import METRICS, VITALS
from tests.dashboards.promql import filled, problems, uses

each_board = pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)


def questions(board) -> Iterator[tuple[str, str]]:
    """Every question of a board, with the title of its panel."""
    for panel in board.panels():
        yield from ((panel.title, query.expr) for query in asked(panel))


@each_board
@pytest.mark.parametrize("value", [".+", "weather"])
def test_every_query_is_about_series_that_exist(board, value):
    chosen = {variable.name: value for variable in board.variables}
    assert [(title, list(found)) for title, text in questions(board) if (found := [*problems(filled(text, chosen))])] == []


@each_board
def test_rates_follow_the_zoom(board):
    """A window that is fixed shows stairs when you zoom in, and misses what happened between points when you zoom out."""
    fixed = re.compile(r"(?:rate|increase)\([^\[]*\[(?!\$__rate_interval|\$__range)[^\]]+\]")
    assert [(title, text) for title, text in questions(board) if fixed.search(text)] == []


@each_board
def test_a_chosen_variable_is_heeded(board):
    """A panel that ignores what a reader chose shows something else than it says, if its series have that label."""
    for variable in board.variables:
        for title, text in questions(board):
            if f"${variable.name}" not in text:
                assert [use.name for use in uses(parser.parse(filled(text, {}))) if _has(use.name, variable.label)] == [], title


def _has(series: str, label: str) -> bool:
    """Whether a series of ours has a label; the canary's are about no channel that a reader may choose."""
    family = METRICS.families.get(re.sub("_(bucket|sum|count)$", "", series)) or VITALS.all.get(series)
    return family is not None and label in family.labels and not series.startswith("canary_")


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
