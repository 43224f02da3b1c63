"""The limiter against the plainest model of it: count what passed in the window."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from botstead.web.chat.limiter import Limiter


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 5)), max_size=60))
def test_no_window_ever_holds_more_than_allowed(steps):
    limiter, now, passed = Limiter(most=3, seconds=10), 0, {"a": [], "b": []}
    for visitor, gap in steps:
        now += gap
        wait = limiter.take(visitor, now)
        recent = [time for time in passed[visitor] if now - time < 10]
        assert (wait > 0) == (len(recent) >= 3)
        if wait:
            assert wait == 10 - (now - recent[0])
        else:
            passed[visitor].append(now)


def test_visitors_remembered_are_bounded():
    limiter = Limiter(most=1, seconds=10, visitors=2)
    assert [limiter.take(visitor, 0) for visitor in "abc"] == [0, 0, 0]
    assert limiter.take("c", 1) == 9
    assert limiter.take("a", 1) == 0  # forgotten
