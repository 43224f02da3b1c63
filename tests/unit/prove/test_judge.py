"""The judge is fair: it sees each kind of fault, and none where there is none."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from botstead.processes.prove.judge import chain, compare, reply_seconds, unanswered
from botstead.processes.prove.provider import Entry
from botstead.processes.prove.stage import Stage

ACKED = {("1:x", "5"): [11, 12, 13], ("2:y", "5"): [14]}
FIRST, SECOND, THIRD = chain([11, 12, 13])
OTHER = chain([14])[0]


def _sent(*texts, token="1:x"):
    return [Entry(n=n, at=float(n), token=token, method="sendMessage", chat="5", text=text) for n, text in enumerate(texts)]


def _verdict(*texts):
    return compare(ACKED, [*_sent(*texts), *_sent(OTHER, token="2:y")])


def test_all_is_well():
    verdict = _verdict(FIRST, SECOND, THIRD)
    assert verdict.clean
    assert (verdict.acked, verdict.again) == (4, [])


def test_a_reply_sent_again_is_counted_and_no_fault_however_late():
    verdict = _verdict(FIRST, SECOND, SECOND, THIRD, FIRST)
    assert verdict.clean
    assert verdict.again == [1.0, 0.0], "what counts is when the first one was under way"


@pytest.mark.parametrize(
    ("texts", "fault"),
    [
        ((FIRST, SECOND), "lost"),
        ((FIRST, THIRD, SECOND), "disordered"),
        ((FIRST, SECOND, THIRD, f"4 {'0' * 16} u13"), "doubled"),
        ((FIRST, f"1 {'0' * 16} u12", THIRD), "doubled"),
        ((FIRST, f"2 {'0' * 16} u12", THIRD), "disordered"),
        ((FIRST, SECOND, THIRD, "Sorry, something went wrong here."), "strange"),
        ((FIRST, SECOND, THIRD, OTHER), "doubled"),
    ],
)
def test_each_fault_is_seen_and_breaks_a_promise(tmp_path, texts, fault):
    verdict = _verdict(*texts)
    assert getattr(verdict, fault)
    assert not verdict.clean
    stage = Stage(tmp_path, seed=1, scale="small")
    verdict.check(stage)
    assert not all(figure.holds for figure in stage.figures)


@pytest.mark.parametrize(("faults", "held"), [([(0.5, 1.5)], True), ([(1.5, 9.0)], False), ([], False)])
def test_what_was_sent_twice_must_have_been_under_way_at_a_fault(tmp_path, faults, held):
    stage = Stage(tmp_path, seed=1, scale="small")
    _verdict(FIRST, SECOND, SECOND, THIRD).check(stage, allowed_again=1, faults=faults)
    assert all(figure.holds for figure in stage.figures) is held


def test_what_is_unanswered_is_counted():
    assert unanswered(ACKED, _sent(FIRST, THIRD)) == 2


def test_how_long_replies_took_is_told_of_what_was_acknowledged_in_a_span():
    load = SimpleNamespace(
        acked={("1:x", "5"): [11, 12, 13], ("2:y", "5"): [14]},
        delivered={
            ("1:x", "5", "u11"): 0.0,
            ("1:x", "5", "u12"): -1.0,  # before
            ("1:x", "5", "u13"): 1.75,
            ("1:x", "5", "u15"): 1.0,  # refused, so nobody owes a reply
            ("2:y", "5", "u14"): 1.0,
        },
    )
    sent = [*_sent("3 x u11"), *_sent("4 x u11", "1 x u12", "5 x u13")]
    assert sorted(reply_seconds(load, sent, 0.0, 2.0)) == [0.0, 0.25, math.inf], "first replies; u14 has none"
