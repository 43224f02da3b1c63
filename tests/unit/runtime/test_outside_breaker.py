"""The breaker: opens after so many failures in a row, lets one call through per rest, and believes no old news."""

from __future__ import annotations

import math

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from botstead.runtime.outside.breaker import Breaker, Ticket

FAILURES, REST, LONGEST = 3, 5.0, 20.0


def opened() -> Breaker:
    breaker = Breaker(failures=FAILURES, rest=REST, longest_rest=LONGEST)
    for _ in range(FAILURES):
        breaker.failed(breaker.admit(0.0), 0.0)
    return breaker


def test_it_opens_after_failures_in_a_row_only():
    breaker = Breaker(failures=FAILURES, rest=REST, longest_rest=LONGEST)
    for _ in range(5):
        for _ in range(FAILURES - 1):
            assert not breaker.failed(breaker.admit(0.0), 0.0)
        breaker.succeeded(breaker.admit(0.0))
    assert breaker.closed
    for _ in range(FAILURES - 1):
        breaker.failed(breaker.admit(0.0), 0.0)
    assert breaker.failed(breaker.admit(0.0), 0.0)
    assert not breaker.closed
    assert breaker.admit(REST - 0.01) is None
    assert breaker.wait(1.0) == REST - 1.0


def test_a_probe_that_goes_well_closes_it():
    breaker = opened()
    probe = breaker.admit(REST)
    assert probe.probe
    assert breaker.admit(REST) is None
    assert breaker.succeeded(probe)
    assert breaker.closed
    assert breaker.admit(REST) is not None


def test_rests_grow_while_probes_fail_and_begin_anew_afterwards():
    breaker, now, rests = opened(), 0.0, []
    for _ in range(4):
        now += breaker.wait(now)
        breaker.failed(breaker.admit(now), now)
        rests.append(breaker.wait(now))
    assert rests == [10.0, 20.0, 20.0, 20.0]
    now += LONGEST
    breaker.succeeded(breaker.admit(now))
    for _ in range(FAILURES):
        breaker.failed(breaker.admit(now), now)
    assert breaker.wait(now) == REST


def test_a_probe_that_is_given_up_frees_its_place_after_a_rest():
    breaker = opened()
    breaker.given_up(breaker.admit(REST))
    assert breaker.admit(REST + 1) is None
    assert breaker.admit(2 * REST).probe


def test_what_began_before_is_no_news():
    breaker = Breaker(failures=FAILURES, rest=REST, longest_rest=LONGEST)
    early = [breaker.admit(0.0) for _ in range(10)]
    for ticket in early[:FAILURES]:
        breaker.failed(ticket, 0.0)
    assert not breaker.succeeded(early[4])
    assert not breaker.closed
    probe = breaker.admit(REST)
    assert not breaker.failed(early[5], REST)
    assert breaker.succeeded(probe)
    assert not any(breaker.failed(ticket, REST) for ticket in early)
    assert breaker.closed


@pytest.mark.parametrize(("until", "waits"), [(4.0, 4.0), (1e9, LONGEST), (math.inf, LONGEST), (-5.0, 0.0)])
def test_another_process_is_believed_within_reason(until, waits):
    breaker = Breaker(failures=FAILURES, rest=REST, longest_rest=LONGEST)
    breaker.rests(until, 0.0)
    assert breaker.wait(0.0) == waits
    breaker.is_well()
    assert breaker.closed


class Any(RuleBasedStateMachine):
    """Calls in any order, with any outcome, at any time."""

    tickets = Bundle("tickets")

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.breaker = Breaker(failures=FAILURES, rest=REST, longest_rest=LONGEST)
        self.probes: list[float] = []
        self.in_a_row = 0
        self.epoch = 0
        self.probing: Ticket | None = None

    @rule(seconds=st.floats(0, 30))
    def time_passes(self, seconds):
        self.now += seconds

    @rule(target=tickets)
    def call(self):
        was_closed, wait = self.breaker.closed, self.breaker.wait(self.now)
        ticket = self.breaker.admit(self.now)
        assert (ticket is None) == (wait > 0)
        if ticket is None:
            return ()
        assert ticket.probe != was_closed
        if ticket.probe:
            assert self.probing is None, "two probes at once"
            assert not self.probes or self.now >= self.probes[-1] + REST, "two probes in one rest"
            self.probes.append(self.now)
            self.probing = ticket
        return (ticket,)

    @rule(some=consumes(tickets))
    def well(self, some):
        for ticket in some:
            closed = self.breaker.succeeded(ticket)
            if ticket is self.probing:
                assert closed
                self.probing, self.probes, self.in_a_row = None, [], 0
            elif self.breaker.closed and ticket.epoch == self.breaker.admit(self.now).epoch:
                self.in_a_row = 0

    @rule(some=consumes(tickets))
    def ill(self, some):
        for ticket in some:
            was_closed = self.breaker.closed
            current = was_closed and ticket.epoch == self.breaker.admit(self.now).epoch
            opened_now = self.breaker.failed(ticket, self.now)
            if ticket is self.probing:
                assert opened_now
                assert REST < self.breaker.wait(self.now) <= LONGEST + 1e-9  # sums of floats
                self.probing = None
            elif current:
                self.in_a_row += 1
                assert opened_now == (self.in_a_row == FAILURES)
            else:
                assert not opened_now
            if opened_now:
                self.in_a_row = 0

    @rule(some=consumes(tickets))
    def cancelled(self, some):
        for ticket in some:
            self.breaker.given_up(ticket)
            if ticket is self.probing:
                self.probing = None

    @invariant()
    def never_for_ever(self):
        assert self.breaker.wait(self.now) <= LONGEST + 1e-9  # sums of floats


TestAnyOrder = Any.TestCase
