"""Silence is measured against the hours of a day."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.operate.rhythm import HOUR, HOURS, Rhythm, hours_between, missing, observed

DAY = HOURS * HOUR
MONDAY = 1_700_438_400.0  # 00:00 UTC
moments = st.floats(0, 4e9)
stretches = st.floats(0, 40 * DAY)


def learnt(rates: dict[int, int], *, days: int = 7) -> Rhythm:
    """A channel that brings so many messages in these hours, every day."""
    rhythm = Rhythm()
    for hour in range(days * HOURS):
        began = MONDAY + hour * HOUR
        rhythm = observed(rhythm, began=began, ended=began + HOUR, events={hour % HOURS: rates.get(hour % HOURS, 0)})
    return rhythm


@given(moments, stretches)
def test_the_parts_of_a_stretch_are_the_stretch(began, length):
    parts = hours_between(began, began + length)
    assert sum(parts.values()) == pytest.approx((began + length) - began, abs=1e-3)
    assert all(0 <= hour < HOURS and seconds > 0 for hour, seconds in parts.items())


def test_silence_by_day_is_missed_and_silence_by_night_is_not():
    rhythm = learnt(dict.fromkeys(range(8, 20), 30))
    assert missing(rhythm, last=MONDAY + 9 * HOUR, now=MONDAY + 10 * HOUR) == pytest.approx(30, rel=0.01)
    assert missing(rhythm, last=MONDAY + 20 * HOUR, now=MONDAY + 31 * HOUR) == pytest.approx(0, abs=0.01)


def test_an_even_rhythm_misses_ten_after_ten_gaps():
    rhythm = learnt(dict.fromkeys(range(HOURS), 12))
    assert missing(rhythm, last=MONDAY, now=MONDAY + 10 * HOUR / 12) == pytest.approx(10, rel=0.01)


def test_nothing_is_missed_before_there_is_a_rhythm():
    assert missing(learnt({12: 2}, days=3), last=MONDAY, now=MONDAY + 20 * DAY) == 0
    few = observed(Rhythm(), began=MONDAY, ended=MONDAY + 600, events={0: 1000})
    assert missing(few, last=MONDAY + 600, now=MONDAY + HOUR) == 0  # ten minutes are no hour


def test_a_new_rhythm_takes_the_place_of_an_old_one():
    rhythm = learnt(dict.fromkeys(range(HOURS), 600), days=10)
    for hour in range(60 * HOURS):
        began = MONDAY + (10 * HOURS + hour) * HOUR
        rhythm = observed(rhythm, began=began, ended=began + HOUR, events={hour % HOURS: 6})
    assert 6 <= missing(rhythm, last=MONDAY, now=MONDAY + HOUR) < 30


@given(moments, stretches, stretches)
def test_longer_silence_never_misses_less(last, one, more):
    rhythm = learnt({3: 40, 15: 70}, days=2)
    assert missing(rhythm, last=last, now=last + one) <= missing(rhythm, last=last, now=last + one + more) * 1.000001 + 1e-6


@given(moments, moments)
def test_a_clock_that_was_set_back_takes_nothing_away(began, ended):
    rhythm = observed(learnt({3: 40}, days=2), began=began, ended=ended, events={})
    assert all(seconds >= 0 for seconds in rhythm.seconds)
    assert missing(rhythm, last=max(began, ended), now=min(began, ended)) == 0
