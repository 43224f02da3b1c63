"""When a call is tried again, and how a rate is shared: budgets hold for any order of events."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.core.errors import EgressBroken, EgressError, EgressRefused, EgressResting, EgressTimeout, EgressUnsent
from botstead.core.messages import Response
from botstead.runtime.egress.outcomes import kind_of, outcome_of, outcome_of_status
from botstead.runtime.outside import Policy
from botstead.runtime.outside.quota import USED, Quota
from botstead.runtime.outside.retries import (
    FLOOR,
    LONGEST_PAUSE,
    PER_SECOND,
    SHARE,
    Budget,
    asked_pause,
    backoff,
    improvable,
    may_repeat,
    safe_again,
)

GAPS = st.floats(0, 5)


@given(st.lists(st.tuples(GAPS, st.integers(0, 3))))
def test_retries_stay_within_the_budget(calls):
    budget, now, retried = Budget(), 100.0, 0
    for gap, wanted in calls:
        now += gap
        budget.earn(now)
        retried += sum(budget.spend(now) for _ in range(wanted))
    assert retried <= FLOOR + SHARE * len(calls) + PER_SECOND * (now - 100.0) + 1e-6


@given(st.integers(1, 10), st.floats(0.01, 10), st.floats(0, 1))
def test_waits_are_within_the_doubled_first(number, first, chance):
    assert 0 <= backoff(number, first, chance) <= first * 2 ** (number - 1)
    assert backoff(number, first, 0.0) == 0


@pytest.mark.parametrize(
    ("error", "unsafe", "safe", "kind", "outcome"),
    [
        (EgressUnsent("x"), True, True, "unsent", "error"),
        (EgressTimeout("x"), False, True, "timeout", "timeout"),
        (EgressBroken("x"), False, True, "broken", "error"),
        (EgressRefused("x"), False, False, "refused", "refused"),
        (EgressResting("x"), False, False, "limited", "limited"),
        (EgressError("x"), False, False, "broken", "error"),
    ],
)
def test_kinds_of_failure(error, unsafe, safe, kind, outcome):
    assert (safe_again(error, safe=False), safe_again(error, safe=True)) == (unsafe, safe)
    assert (kind_of(error), outcome_of(error)) == (kind, outcome)
    wrapped = ValueError("what an integration makes of it")
    wrapped.__cause__ = error
    assert outcome_of(wrapped) == outcome
    assert outcome_of(ValueError()) == "error"
    assert outcome_of(TimeoutError()) == "timeout"


@pytest.mark.parametrize(
    ("method", "repeatable", "may"),
    [
        ("GET", None, True),
        ("PUT", None, True),
        ("POST", None, False),
        ("PATCH", None, False),
        ("POST", True, True),
        ("GET", False, False),
    ],
)
def test_what_may_be_repeated(method, repeatable, may):
    assert may_repeat(method, repeatable) is may


@pytest.mark.parametrize(
    ("status", "advice", "again"),
    [
        (503, None, True),
        (404, None, False),
        (503, "false", False),
        (402, "true", True),
        (503, "perhaps", True),
        (200, None, False),
    ],
)
def test_the_service_may_advise(status, advice, again):
    headers = {} if advice is None else {"x-retry": advice}
    assert improvable(Response(status=status, headers=headers), Policy(advised_by="x-retry")) is again
    assert improvable(Response(status=503, headers=headers), Policy()) is True


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [(429, "7", 7), (503, "1.5", 1.5), (200, "7", 0), (500, "7", 0), (429, "soon", 0), (429, "999999999", LONGEST_PAUSE)],
)
def test_a_pause_that_was_asked_for(status, header, seconds):
    assert asked_pause(Response(status=status, headers={"retry-after": header}), now=0.0) == seconds


@pytest.mark.parametrize(("status", "outcome"), [(200, "ok"), (302, "ok"), (404, "ok"), (429, "limited"), (500, "error")])
def test_outcomes_of_answers(status, outcome):
    assert outcome_of_status(status) == outcome


class Shared:
    """Buckets in memory, by a clock that tests move."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.arrival: dict[str, float] = {}
        self.away = False

    async def reserve(self, bucket, interval, burst, taken, patience):
        if self.away:
            return None
        arrival = max(self.arrival.get(bucket, 0.0), self.now, self.now + taken if bucket not in self.arrival else 0.0)
        wait = arrival - burst - self.now
        if wait <= patience:
            self.arrival[bucket] = arrival + interval
        return wait


def taken(shared: Shared, quotas: list[Quota], *, seconds: float, patience: float) -> list[float]:
    """When calls go out, if every worker wants one each twentieth of a second."""

    async def story() -> list[float]:
        out, end = [], shared.now + seconds
        while shared.now < end:
            for quota in quotas:
                wait = await quota.wait(patience, now=shared.now)
                if wait <= patience:
                    out.append(shared.now + wait)
            shared.now += 0.05
        return out

    return asyncio.run(story())


@pytest.mark.parametrize("away", [False, True])
@pytest.mark.parametrize("patience", [0.0, 0.5, 3.0])
def test_a_rate_is_kept_by_all_together_and_used(away, patience):
    shared = Shared()
    shared.away = away
    quotas = [Quota("b", per_second=10, burst=3, reserve=shared.reserve, workers=lambda: 4) for _ in range(4)]
    out = taken(shared, quotas, seconds=30, patience=patience)
    allowed = 10 * USED * (30 + patience) + 3 * (4 if away else 1) + 4
    assert allowed * 0.7 < len(out) <= allowed


def test_who_gives_up_pushes_nobody_back():
    shared = Shared()
    quota = Quota("b", per_second=1, burst=1, reserve=shared.reserve, workers=lambda: 1)

    async def story() -> None:
        assert await quota.wait(0.0, now=shared.now) == 0
        for _ in range(100):
            assert 0 < await quota.wait(0.0, now=shared.now) < 2.5
        shared.now += 2.5
        assert await quota.wait(0.0, now=shared.now) == 0

    asyncio.run(story())
