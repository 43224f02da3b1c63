"""Where a message is, why, and what next: in words that fit every state it can be in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.core.messages import Reason
from botstead.telemetry.explain import UNSENT, explain
from botstead.telemetry.journey import Parked, Reply, Waiting
from botstead.telemetry.tracing import Try
from tests.unit.telemetry.roads import BEGAN, JOURNEYS, whole


def lost(outcome="failed", reason="gone", **more) -> Reply:
    return Reply(id=2, at=BEGAN, outcome=outcome, reason=reason, attempts=3, ended=BEGAN + 1, **more)


@pytest.mark.parametrize(
    ("journey", "where", "why", "advice"),
    [
        (whole(), "Answered, and the provider has it.", "", ""),
        (whole(replies=()), "Handled. The bot had nothing to say.", "", ""),
        (whole(replies=(), runs=(), waiting=Waiting(), seen=BEGAN + 2), "It waits for its turn with the bot.", "", ""),
        (whole(replies=(), runs=(), waiting=Waiting()), "for 1 min", "No worker takes it", "botstead doctor"),
        (
            whole(replies=(), waiting=Waiting(failures=2, due=BEGAN + 64)),
            "failed 2 times; it runs again in 4 s.",
            "weather: forecast() raised ValueError at bot.py line 7.",
            "tried again by itself",
        ),
        (whole(replies=(), waiting=Waiting(crashes=1)), "ended its process once; it runs again at once.", "weather:", "mend it"),
        (whole(parked=Parked(reason="failed", attempts=5, at=BEGAN)), "dead letter", "failed 5 times. weather:", "`botstead dead-letters replay 1`"),
        (whole(parked=Parked(reason="never seen", attempts=5, at=BEGAN)), "dead letter", "could not be handled", "replay 1"),
        (whole(parked=Parked(reason="failed", attempts=5, at=BEGAN, replayed=BEGAN + 1)), "the provider has it", "", ""),
        (whole(replies=(lost(),)), "was not sent (3 attempts)", "has blocked the bot. weather:", "they do not want it"),
        (whole(replies=(lost(reason="revoked"),)), "was not sent", "credentials", "rotate`, then `botstead dead-letters replay 2`."),
        (whole(replies=(lost(reason="moved"),)), "was not sent", "moved", "Replay it: `botstead dead-letters replay 2`."),
        (whole(replies=(lost("unknown", "timeout"),)), "not known whether", "may have arrived", "channels health"),
        (whole(replies=(Reply(id=2, at=BEGAN, waits=True),)), "The answer waits to be sent.", "", ""),
        (
            whole(replies=(Reply(id=2, at=BEGAN, waits=True, due=BEGAN + 7_260, tries=(Try(2, 0, BEGAN, BEGAN, "later", "throttled"),)),)),
            "not sent after 1 attempt; it is tried again in 2.0 h.",
            "limits how fast",
            "as soon as the provider allows",
        ),
    ],
)  # fmt: skip
def test_states(journey, where, why, advice):
    told = explain(journey, words="weather: forecast() raised ValueError at bot.py line 7.\nValueError('x')")
    assert where in told.where
    assert why in told.why
    assert advice in told.advice
    assert bool(why) == bool(told.why)
    assert bool(advice) == bool(told.advice)


def test_of_an_answer_only_its_own_fate_is_told():
    journey = whole(replies=(*whole().replies, lost()))
    assert "not sent" in explain(journey).where
    assert explain(whole(replies=(whole().replies[0],)), reply=2).where == "Said, and the provider has it."


def test_every_reason_has_its_words():
    assert {str(reason) for reason in Reason if reason} <= set(UNSENT)


@given(JOURNEYS, st.text(max_size=50), st.none() | st.integers(1, 5))
def test_there_are_always_words(journey, words, reply):
    told = explain(journey, words=words, reply=reply)
    assert told.where.endswith(".")
    assert "{" not in told.advice
    assert "\n" not in told.why
