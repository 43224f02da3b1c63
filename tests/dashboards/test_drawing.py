"""The plain plots: every board can be drawn, with data and without, and values are written as Grafana writes them."""

from __future__ import annotations

import re

import pytest
from dashboards.boards import BOARDS
from dashboards.grafana import board_json

from tests.dashboards.drawing import DRAW, _every, page, shown
from tests.dashboards.live import Answer

NOTHING = Answer(0, 0, (), ())


def some(panel, at: float) -> Answer:
    """Two series with every label that may be asked for."""
    labels = {"le": "0.5", "bot": "weather", "slo": "delivery", "outcome": "failed", "channel": "telegram", "instance": "api-a"}
    values = tuple((at + second, float(second % 3)) for second in range(10))
    return Answer(2, 2, (labels, {**labels, "outcome": "delivered", "le": "+Inf"}), (values, values))


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
@pytest.mark.parametrize("data", [False, True])
def test_a_board_can_be_drawn(board, data):
    import time

    raw = board_json(board)
    answers = {
        (panel["id"], target["refId"]): some(panel, time.time() - 10) if data else NOTHING
        for panel in _every(raw)
        for target in panel.get("targets", ())
    }
    drawn = page(raw, answers)
    for panel in board.panels():
        assert panel.title in drawn
    assert ("<polyline" in drawn) == data
    assert "nan" not in drawn.casefold()


def test_every_kind_of_panel_can_be_drawn():
    kinds = {panel["type"] for board in BOARDS for panel in _every(board_json(board))} - {"row"}
    assert kinds <= set(DRAW)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.1234, "percentunit", "12.3 %"),
        (0.004, "s", "4 ms"),
        (5400, "s", "1.5 hour"),
        (1536, "bytes", "1.5 KiB"),
        (12345, "short", "12.3 K"),
        (45.4, "count:msg/s", "45.4 msg/s"),
        (0, "s", "0 s"),
    ],
)
def test_units(value, unit, text):
    assert re.sub(r"\s+", " ", shown(value, unit)) == text
