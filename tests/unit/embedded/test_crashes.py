"""When to start again, and when to give up."""

from __future__ import annotations

import signal

from hypothesis import given
from hypothesis import strategies as st

from botstead.processes.embedded.child import describe
from botstead.processes.embedded.supervisor import CRASH_LIMIT, CRASH_WINDOW, LAST_DELAY, Crashes


def test_delays_double_up_to_a_limit_and_begin_anew_after_a_good_run():
    crashes = Crashes()
    delays = [crashes.next_delay() for _ in range(8)]
    assert delays == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, LAST_DELAY, LAST_DELAY]
    crashes.forgive()
    assert crashes.next_delay() == 0.2


def test_five_within_a_minute_are_a_loop():
    crashes = Crashes()
    assert [crashes.is_loop(now) for now in (0, 15, 30, 45, 60)] == [False] * 4 + [True]
    crashes = Crashes()
    assert not any(crashes.is_loop(now) for now in (0, 15.1, 30, 45, 60.2, 76))


@given(st.lists(st.floats(0, 30), max_size=40))
def test_a_loop_is_what_the_last_five_say(gaps):
    crashes, times, now = Crashes(), [], 0.0
    for gap in gaps:
        now += gap
        times.append(now)
        recent = [time for time in times if now - time <= CRASH_WINDOW]
        assert crashes.is_loop(now) == (len(recent) >= CRASH_LIMIT)


def test_statuses_in_words():
    assert describe(3) == "exit status 3"
    assert describe(-signal.SIGSEGV) == "ended by SIGSEGV"
    assert describe(-signal.SIGKILL) == "killed by SIGKILL, perhaps for want of memory"
