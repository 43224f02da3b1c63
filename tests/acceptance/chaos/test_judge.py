"""The judge is fair: it sees each kind of fault, and none where there is none."""

from __future__ import annotations

import pytest

from tests.acceptance.chaos.judge import _chain, judge, unanswered

ACKED = {5: [11, 12, 13], 6: [14]}
FIRST, SECOND, THIRD = _chain(ACKED[5])
OTHER = _chain(ACKED[6])[0]


def _sent(*texts, chat=5):
    return [{"at": float(n), "fields": {"chat_id": chat, "text": text}} for n, text in enumerate(texts)]


def _verdict(*texts):
    return judge(ACKED, [*_sent(*texts), *_sent(OTHER, chat=6)])


def test_all_is_well():
    verdict = _verdict(FIRST, SECOND, THIRD)
    assert verdict.clean
    assert (verdict.acked, verdict.duplicate_sends) == (4, 0)


def test_a_reply_sent_again_is_counted_and_no_fault_however_late():
    verdict = _verdict(FIRST, SECOND, SECOND, THIRD, FIRST)
    assert verdict.clean
    assert verdict.duplicate_sends == 2


@pytest.mark.parametrize(
    ("texts", "fault"),
    [
        ((FIRST, SECOND), "lost"),
        ((FIRST, THIRD, SECOND), "disordered"),
        ((FIRST, SECOND, THIRD, f"4 {'0' * 16} u13"), "doubled"),
        ((FIRST, f"1 {'0' * 16} u12", THIRD), "doubled"),
        ((FIRST, f"2 {'0' * 16} u12", THIRD), "disordered"),
        ((FIRST, SECOND, THIRD, "Sorry, something went wrong here."), "strange"),
    ],
)
def test_each_fault_is_seen(texts, fault):
    verdict = _verdict(*texts)
    assert getattr(verdict, fault)
    assert not verdict.clean


def test_what_is_unanswered_is_counted():
    assert unanswered(ACKED, _sent(FIRST, THIRD)) == 2
