"""The governor: what a provider allows is never exceeded, and nothing is dropped."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.core.ports import Account
from botstead.pipeline.governor import Governor, Rate, reserve

ACCOUNT = Account(id=7, public_id="ch_x", kind="telegram", bot=1, bot_name="echo")


@given(st.lists(st.floats(0, 5), max_size=60), st.sampled_from([0.03, 0.2, 1.0]), st.sampled_from([0.0, 1.0, 3.0]))
def test_no_window_holds_more_than_the_rate_and_the_burst(gaps, interval, burst):
    now, arrival, sent = 100.0, 0.0, []
    for gap in gaps:
        now += gap
        arrival, wait = reserve(arrival, now=now, interval=interval, burst=burst)
        sent.append(now + wait)
    for first in range(len(sent)):
        for last in range(first, len(sent)):
            allowed = (sent[last] - sent[first] + burst) / interval + 1
            assert last - first + 1 <= allowed + 1e-6


def waits(governor, count, conversation="7.a"):
    async def story():
        return [await governor.wait(ACCOUNT, conversation, now=50.0) for _ in range(count)]

    return asyncio.run(story())


def test_without_a_rate_nothing_waits():
    assert waits(Governor(lambda _: Rate(), None, workers=lambda: 1), 500) == [0.0] * 500


def test_a_conversation_has_its_burst_and_then_its_rate():
    governor = Governor(lambda _: Rate(conversation_per_second=1, conversation_burst=3), None, workers=lambda: 1)
    assert waits(governor, 5) == pytest.approx([0, 0, 0, 1, 2])
    assert waits(governor, 1, "7.b") == [0.0]


def test_workers_share_the_rate_when_the_shared_buckets_are_away():
    async def away(_bucket, _interval, _burst, _taken):
        return None

    alone = waits(Governor(lambda _: Rate(bot_per_second=10), None, workers=lambda: 1), 40)
    shared = waits(Governor(lambda _: Rate(bot_per_second=10), away, workers=lambda: 2), 40)
    assert shared[-1] > 1.9 * alone[-1]


def test_the_shared_buckets_decide_when_they_are_there():
    async def three(bucket, interval, burst, taken):
        assert (bucket, interval, burst, taken) == ("rate:7", 0.1, 1.0, 0.0)
        return 3.0

    assert waits(Governor(lambda _: Rate(bot_per_second=10), three, workers=lambda: 1), 1) == [3.0]


def test_what_was_given_out_stays_taken_when_the_shared_buckets_go_away():
    answers = iter([3.0, None, None])

    async def sometimes(_bucket, _interval, _burst, _taken):
        return next(answers)

    assert waits(Governor(lambda _: Rate(bot_per_second=10), sometimes, workers=lambda: 1), 3) == pytest.approx([3.0, 3.1, 3.2])


def test_the_shared_buckets_are_told_what_is_taken():
    told = []

    async def shared(_bucket, _interval, _burst, taken):
        told.append(taken)
        return -0.9

    assert waits(Governor(lambda _: Rate(bot_per_second=10), shared, workers=lambda: 1), 2) == [0.0, 0.0]
    assert told == pytest.approx([0.0, 0.2])
