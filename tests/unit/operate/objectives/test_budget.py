"""Budgets by hand-worked examples, and by what must hold for all of them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.operate.objectives import model, rules
from botstead.operate.objectives.budget import Count, budget_of
from botstead.operate.objectives.explain import explain, percent, span, window
from botstead.operate.objectives.model import load_tiers

TIERS = load_tiers()
MINUTE, HOUR, DAY = 60, 3600, 86_400
MONTH = 30 * DAY
WINDOWS = [5 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 6 * HOUR, DAY, 3 * DAY, MONTH]


def worked(target, *, age=float(MONTH), **counts):
    """A budget of counts such as `h1=(62, 840)`."""
    lengths = {"m5": 300, "m30": 1800, "h1": HOUR, "h2": 2 * HOUR, "h6": 6 * HOUR, "d1": DAY, "d3": 3 * DAY, "d30": MONTH}
    found = {lengths[name]: Count(*count) for name, count in counts.items()}
    return budget_of(1 - Fraction(str(target)) / 100, found, tiers=TIERS, watching=TIERS.tiers, age=age)


def firing(budget):
    return [burn.tier.name for burn in budget.burns if burn.fires]


def test_a_broken_night_hour_weighs_what_it_served():
    """600 messages an hour for 23 hours, one in a thousand bad, and 5 in one night hour, all bad: 0.136 % and not 4.26 %."""
    total = 23 * 600 + 5
    bad = Fraction(23 * 600, 1000) + 5
    assert float(bad / total) * 100 == pytest.approx(0.136, abs=0.0005)
    mean_of_ratios = (23 * 0.001 + 1) / 24
    assert mean_of_ratios * 100 == pytest.approx(4.26, abs=0.005)
    day = worked(99.5, d1=(19, total), d3=(19, total), d30=(19, total))
    assert float(day.whole.ratio) * 100 == pytest.approx(0.138, abs=0.0005)
    assert (day.allowed, day.left) == (69, 50)
    assert firing(day) == []


def test_what_is_left_and_when_it_is_gone():
    """388,000 events of a month at 99.5 %: 1,940 may fail. 1,937 did; 3 an hour go on failing."""
    budget = worked(99.5, d30=(1937, 388_000), d3=(216, 38_800), d1=(72, 12_960), h6=(18, 3_240), h1=(3, 540), m5=(0, 45))
    assert (budget.allowed, budget.left) == (1940, 3)
    assert budget.left_ratio == Fraction(3, 1940)
    assert budget.exhausted_in == pytest.approx(HOUR)
    assert firing(budget) == ["creep"]
    assert explain(budget) == (
        "216 of 38,800 went wrong in the last 3 days, 1.11 times the 0.5 % that may. "
        "3 of 1,940 failures left for 30 days; at this rate gone in 1 h."
    )


def test_an_outage_by_day():
    """62 of 840 in an hour at 99.5 %: 7.4 % is more than 14.4 x 0.5 % = 7.2 %, and the short window is as bad."""
    budget = worked(
        99.5, d30=(62, 388_000), d3=(62, 38_800), d1=(62, 12_000), h6=(62, 4000), h1=(62, 840), m30=(40, 420), m5=(6, 70)
    )
    assert firing(budget) == ["fast"]
    assert budget.firing.rate == Fraction(62, 840) / Fraction(1, 200)
    assert budget.exhausted_in == pytest.approx((1940 - 62) / 62 * HOUR)
    assert explain(budget) == (
        "62 of 840 went wrong in the last hour, 14.8 times the 0.5 % that may. "
        "1,878 of 1,940 failures left for 30 days; at this rate gone in 1 d 6 h."
    )


@pytest.mark.parametrize(("bad", "fires"), [(4, []), (5, ["fast", "medium", "slow", "creep"])])
def test_four_failures_at_night_wake_nobody_and_the_fifth_does(bad, fires):
    outage = (bad, bad)
    assert firing(worked(99.5, d30=outage, d3=outage, d1=outage, h6=outage, h1=outage, m5=outage)) == fires


def test_it_stays_until_there_is_evidence_of_recovery():
    before = {"d30": (9, 9), "d3": (9, 9), "d1": (9, 9), "h6": (9, 9), "h1": (9, 9)}
    assert "fast" in firing(worked(99.5, **before))  # silence is no evidence
    assert "fast" in firing(worked(99.5, **before, m5=(1, 1)))
    assert "fast" not in firing(worked(99.5, **before, m5=(0, 1)))
    assert "medium" in firing(worked(99.5, **before, m5=(0, 1)))
    assert "medium" not in firing(worked(99.5, **before, m5=(0, 1), m30=(0, 1)))
    busy = dict.fromkeys(before, (900, 1000))
    assert "fast" in firing(worked(99.5, **busy, m5=(73, 1000)))  # 7.3 % is above 7.2 %
    assert "fast" not in firing(worked(99.5, **busy, m5=(72, 1000)))


def test_a_limit_is_crossed_not_reached():
    assert firing(worked(99.5, h1=(72, 1000))) == []
    assert firing(worked(99.5, h1=(73, 1000))) == ["fast"]
    assert firing(worked(99.5, h1=(73, 1000), m5=(73, 1000))) == ["fast"]
    lax = worked(50, h1=(95, 100), m5=(95, 100))
    assert lax.burns[0].limit == Fraction(9, 10)
    assert firing(lax) == ["fast"]
    assert rules.MOST == model.MOST


def test_nothing_happened():
    budget = worked(99.9)
    assert (budget.left_ratio, budget.good_ratio, budget.exhausted_in, budget.left) == (1, None, None, 0)
    assert explain(budget) == "Nothing happened in the last 30 days."


def test_a_budget_that_is_gone():
    budget = worked(99, d30=(30, 1000), d3=(0, 100))
    assert (budget.left, budget.exhausted_in, budget.left_ratio) == (-20, 0.0, -2)
    assert explain(budget) == "The budget of 30 days is gone: 30 of 1,000 went wrong, and 10 may."
    last = worked(99, d30=(10, 1000), d3=(0, 100))
    assert (last.left, last.exhausted_in) == (0, 0.0)
    assert "is gone: 10 of 1,000 went wrong, and 10 may." in explain(last)
    young = worked(99.9, age=600.0, d30=(1, 20), d3=(1, 20))
    assert young.exhausted_in == 0
    assert "1 of 20 went wrong, and 0 may." in explain(young)


def test_a_young_budget_grows_with_every_event():
    """An hour old: 1,000 events, 5 bad of 10 that may be; 5 an hour are bad and 10 an hour come to the budget."""
    assert worked(99, age=float(HOUR), d30=(5, 1000), d3=(5, 1000)).exhausted_in is None
    old = worked(99, d30=(5, 100_000), d3=(20, 1000))
    assert old.exhausted_in == pytest.approx((1000 - 5) / 20 * 3 * DAY)
    young = worked(99, age=float(10 * DAY), d30=(5, 100_000), d3=(20, 1000))
    assert young.exhausted_in == pytest.approx((1000 - 5) / (20 - 10) * 3 * DAY)


counts = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=len(WINDOWS), max_size=len(WINDOWS)).map(
    lambda pairs: {length: Count(min(pair), max(pair)) for length, pair in zip(WINDOWS, pairs, strict=True)}
)
targets = st.decimals("0.1", "99.99", places=2).map(lambda target: 1 - Fraction(target) / 100)
ages = st.floats(1, 2 * MONTH)


@given(targets, counts, ages)
def test_what_holds_for_every_budget(ratio, found, age):
    budget = budget_of(ratio, found, tiers=TIERS, watching=TIERS.tiers, age=age)
    assert budget.allowed <= budget.whole.total
    assert (budget.left_ratio > 0) == (budget.whole.bad < ratio * budget.whole.total or not budget.whole.bad)
    assert budget.exhausted_in is None or budget.exhausted_in >= 0
    if budget.firing:
        assert budget.firing.long.bad >= TIERS.min_bad
        assert budget.burns[0].fires or not budget.burns[0].burns or budget.burns[0].recovered or not budget.burns[0].enough
    assert explain(budget)


@given(targets, counts, ages)
def test_one_more_failure_never_makes_it_better(ratio, found, age):
    worse = {length: Count(min(count.total, count.bad + 1), count.total) for length, count in found.items()}
    before, after = (budget_of(ratio, one, tiers=TIERS, watching=TIERS.tiers, age=age) for one in (found, worse))
    assert after.left <= before.left
    assert all(not was.fires or now.fires for was, now in zip(before.burns, after.burns, strict=True))


@given(st.integers(0, 10**9))
def test_spans_are_short_and_whole(length):
    text = span(length)
    assert len(text.split()) in (2, 4)
    assert "  " not in text


def test_words():
    assert [span(length) for length in (0, 59.9, 60, 3725, 183_600)] == ["0 s", "59 s", "1 min", "1 h 2 min", "2 d 3 h"]
    assert [window(length) for length in (HOUR, 6 * HOUR, MONTH, 90)] == ["hour", "6 hours", "30 days", "90 seconds"]
    assert percent(Fraction(1, 200)) == "0.5 %"
    assert percent(Fraction(999_999, 1_000_000)) == "99.9999 %"
    assert [percent(Fraction(0)), percent(Fraction(1)), percent(Fraction(1, 2))] == ["0 %", "100 %", "50 %"]
