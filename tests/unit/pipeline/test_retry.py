"""Retries end, wait within bounds, and obey the provider to the letter."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from botstead.pipeline.retry import (
    BLOCK_LIMIT,
    HANDLER_BASE,
    HANDLER_TRIES,
    SEND_AGE,
    SEND_BASE,
    SEND_LIMIT,
    SEND_TRIES,
    GiveUp,
    Retry,
    after_failure,
    after_send,
)

CHANCE = st.floats(0, 1, exclude_max=True)


@given(st.integers(1, HANDLER_TRIES - 1), CHANCE)
def test_a_handler_runs_again_after_a_doubling_jittered_wait(attempts, chance):
    decision = after_failure(attempts, failing=0, chance=chance)
    full = HANDLER_BASE * 2 ** (attempts - 1)
    assert isinstance(decision, Retry)
    assert full / 2 <= decision.wait <= full


@given(st.integers(1, 100), st.floats(0, 1e9), CHANCE)
def test_a_handler_never_holds_its_conversation_up_for_longer_than_the_limit(attempts, failing, chance):
    decision = after_failure(attempts, failing=failing, chance=chance)
    if isinstance(decision, Retry):
        assert attempts < HANDLER_TRIES
        assert failing + decision.wait <= BLOCK_LIMIT
    else:
        assert decision.reason in ("failed", "blocked")


def test_the_fifth_failure_gives_up_and_says_which_limit():
    assert after_failure(HANDLER_TRIES, failing=0, chance=0) == GiveUp("failed")
    assert after_failure(1, failing=BLOCK_LIMIT, chance=0) == GiveUp("blocked")


@given(st.integers(0, SEND_TRIES - 1), st.floats(0, SEND_AGE / 2), st.floats(0, SEND_AGE / 2), CHANCE)
def test_retry_after_is_exact(attempts, age, after, chance):
    assert after_send(attempts, age=age, after=after, chance=chance) == Retry(after)


@given(st.integers(0, SEND_TRIES - 1), CHANCE)
def test_a_send_waits_within_a_doubling_ceiling(attempts, chance):
    decision = after_send(attempts, age=0, after=None, chance=chance)
    ceiling = min(SEND_LIMIT, SEND_BASE * 2 ** max(0, attempts - 1))
    assert isinstance(decision, Retry)
    assert 0.1 * ceiling <= decision.wait <= ceiling


@given(st.integers(0, 10**6), st.floats(0, math.inf), st.one_of(st.none(), st.floats(0, math.inf)), CHANCE)
def test_sends_end(attempts, age, after, chance):
    decision = after_send(attempts, age=age, after=after, chance=chance)
    if attempts >= SEND_TRIES or age + (after or 0) > SEND_AGE:
        assert decision == GiveUp("exhausted")
    else:
        assert isinstance(decision, Retry)


def test_a_wait_that_is_no_number_gives_up():
    assert after_send(1, age=0, after=math.nan, chance=0) == GiveUp("exhausted")
