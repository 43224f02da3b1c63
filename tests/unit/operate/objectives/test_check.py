"""Objectives and the catalogue of metrics fit each other, and what does not fit is told."""

import pytest

from botstead.operate.objectives import document
from botstead.operate.objectives.check import problems
from botstead.operate.objectives.model import Objectives, load_objectives
from botstead.telemetry.catalog import METRICS, VITALS

HEAD = "objectives: [{name: x, service: s, promise: P., target: 99, impact: I., first_steps: [F.], board: b, "


def told(rest):
    objectives = document.parse(f"{HEAD}{rest}}}]", Objectives, name="x").objectives
    return problems(objectives, METRICS.families, VITALS.all)


def test_what_is_shipped_fits():
    assert problems(load_objectives(), METRICS.families, VITALS.all) == []


@pytest.mark.parametrize(
    ("rest", "problem"),
    [
        ("events: {metric: bot_message_total, bad: {outcome: [failed]}}", "no metric bot_message_total. Did you mean bot_messages_total?"),
        ("events: {metric: bot_messages_total, bad: {outcom: [failed]}}", "no label of bot_messages_total outcom. Did you mean outcome?"),
        ("events: {metric: bot_messages_total, bad: {outcome: [fail]}}", "no outcome of bot_messages_total fail. Did you mean failed?"),
        ("events: {metric: bot_messages_total, bad: {outcome: [failed]}}, by: [queue]", "no label of bot_messages_total queue. There are bot, channel, outcome."),
        ("events: {histogram: channel_ack_duration_seconds, within: 0.7}", "within 0.7 is no bucket of channel_ack_duration_seconds."),
        ("events: {histogram: bot_messages_total, within: 1}", "is a counter: give it as metric"),
        ("events: {metric: channel_ack_duration_seconds, bad: {channel: [x]}}", "is a histogram: give it as histogram"),
        ("events: {metric: bot_conversations_active, bad: {bot: [x]}}", "is a gauge"),
        (
            "events: {metric: bot_messages_total, bad: {outcome: [failed]}}, by: [bot], own: {target: bot_target, pages: bot_critical}",
            "no gauge bot_target. Did you mean bot_target_ratio?",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told(rest, problem):
    found = told(rest)
    assert len(found) == 1
    assert found[0].startswith("x: ")
    assert problem in found[0]


def test_each_problem_is_told_once():
    assert len(told("events: {metric: nothing_total, good: {a: [b]}}")) == 1
