"""What a process adds to the ledger: every difference once, in its time, also after an outage."""

from __future__ import annotations

import asyncio
import time
from collections import Counter as Sums

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from botstead.core.errors import Unavailable
from botstead.operate.objectives import ledger as module
from botstead.operate.objectives.ledger import SLOT, SLOTS, Ledger, Reader, Tally, tally
from botstead.operate.objectives.model import load_objectives
from botstead.store.ledger import Series
from botstead.telemetry.metrics import OPEN, Metrics

OUTCOMES = ("delivered", "failed", "expired", "ignored")
BY_NAME = {objective.name: objective for objective in load_objectives()}


def world(*bots):
    metrics = Metrics()
    messages = metrics.counter("bot_messages_total", "-", max_sets=1000, bot=OPEN, channel=OPEN, outcome=OUTCOMES)
    late = metrics.counter("bot_messages_late_total", "-", max_sets=100, bot=OPEN)
    ack = metrics.histogram("channel_ack_duration_seconds", "-", buckets=(0.5, 1.0, 2.0), max_sets=20, channel=OPEN)
    for bot in bots:
        metrics.register("bot", bot)
    metrics.register("channel", "telegram")
    return metrics, messages, late, ack


class Kept:
    """A ledger that is sometimes away; it may have added a batch and still say that it is."""

    def __init__(self):
        self.fails = []
        self.batches = {}
        self.added = asyncio.Event()

    async def add(self, writer, batch, counted):
        fate = self.fails.pop(0) if self.fails else "fine"
        if fate != "away":
            self.batches.setdefault((writer, batch), counted)
            self.added.set()
        if fate != "fine":
            raise Unavailable("Away.")

    @property
    def sums(self):
        found = Sums()
        for counted in self.batches.values():
            for series, _, bad, total in counted:
                found[series, "bad"] += bad
                found[series, "total"] += total
        return found


def test_each_form_counts_as_its_objective_says():
    metrics, messages, late, ack = world("weather", "canary")
    reader = Reader(
        [tally(BY_NAME[name]) for name in ("delivery", "delivery_bot", "promptness", "ingress_ack")], metrics.families
    )
    for outcome, times in (("delivered", 10), ("failed", 2), ("expired", 1), ("ignored", 50)):
        messages.at("weather", "telegram", outcome).inc(times)
        messages.at("canary", "telegram", outcome).inc(1000)
    late.at("weather").inc(4)
    for seconds in (0.1, 0.7, 1.0, 1.5, 9.0):
        ack.at("telegram").observe(seconds)
    assert reader.read() == {
        Series("delivery"): (3, 13),
        Series("delivery_bot", (("bot", "weather"),)): (3, 13),
        Series("promptness", (("bot", "weather"),)): (4, 10),
        Series("ingress_ack", (("channel", "telegram"),)): (2, 5),
    }
    assert reader.read() == {}
    messages.at("weather", "telegram", "failed").inc()
    assert reader.read()[Series("delivery")] == (1, 1)


def test_what_was_there_before_is_not_counted_but_what_begins_later_is():
    metrics, messages, *_ = world("a", "b")
    messages.at("a", "telegram", "failed").inc(100)
    reader = Reader([tally(BY_NAME["delivery_bot"])], metrics.families)
    messages.at("b", "telegram", "failed").inc(3)
    assert reader.read() == {Series("delivery_bot", (("bot", "b"),)): (3, 3)}


def test_metrics_that_this_process_lacks_are_left_out():
    metrics, *_ = world()
    assert Reader([tally(objective) for objective in BY_NAME.values()], metrics.families).read() == {}


def runs(story):
    return asyncio.run(story())


def make(kept, *, clock=time.monotonic, tallies=("delivery",)):
    metrics, messages, *_ = world("weather")
    made = Ledger(kept, [tally(BY_NAME[name]) for name in tallies], metrics.families, every=0.01, monotonic=clock)
    return made, messages


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.sampled_from(["fine", "away", "answer lost"])), max_size=20))
def test_nothing_is_lost_and_nothing_counted_twice(steps):
    async def story():
        kept = Kept()
        made, messages = make(kept, tallies=("delivery", "delivery_bot"))
        for good, bad, fate in steps:
            messages.at("weather", "telegram", "delivered").inc(good)
            messages.at("weather", "telegram", "failed").inc(bad)
            kept.fails = [fate]
            await made.add()
        kept.fails = []
        await made.stop()
        bad = sum(step[1] for step in steps)
        total = bad + sum(step[0] for step in steps)
        for series in (Series("delivery"), Series("delivery_bot", (("bot", "weather"),))):
            assert (kept.sums[series, "bad"], kept.sums[series, "total"]) == (bad, total)

    runs(story)


def test_what_was_kept_is_added_in_the_time_when_it_happened():
    async def story():
        kept, now = Kept(), [1000.0]
        made, messages = make(kept, clock=lambda: now[0])
        for _ in range(3):
            messages.at("weather", "telegram", "failed").inc()
            kept.fails = ["away"]
            assert not await made.add()
            now[0] += 600
        assert await made.add()
        ages = sorted(age for counted in kept.batches.values() for _, age, _, _ in counted)
        assert ages == [600, 1200, 1800]

    runs(story)


def test_a_long_outage_keeps_a_bounded_number_of_moments_and_every_event():
    async def story():
        kept, now = Kept(), [1000.0]
        made, messages = make(kept, clock=lambda: now[0])
        for _ in range(3 * SLOTS):
            messages.at("weather", "telegram", "failed").inc()
            kept.fails = ["away"]
            await made.add()
            now[0] += SLOT
        assert len(made._open) <= SLOTS
        assert await made.add()
        assert kept.sums[Series("delivery"), "bad"] == 3 * SLOTS

    runs(story)


def test_an_outage_is_said_once_when_it_begins_and_once_when_it_ends(caplog):
    async def story():
        kept = Kept()
        made, messages = make(kept)
        messages.at("weather", "telegram", "failed").inc()
        kept.fails = ["away"] * 3
        for _ in range(5):
            await made.add()

    with caplog.at_level("INFO", logger=module.__name__):
        runs(story)
    assert [record.message for record in caplog.records] == ["objectives_not_added", "objectives_added_again"]


def test_it_adds_by_itself_and_a_last_time_at_the_end():
    async def story():
        kept = Kept()
        made, messages = make(kept)
        running = asyncio.create_task(made.run())
        messages.at("weather", "telegram", "failed").inc()
        async with asyncio.timeout(5):
            await kept.added.wait()
        messages.at("weather", "telegram", "failed").inc()
        await made.stop()
        await running
        assert kept.sums[Series("delivery"), "bad"] == 2

    runs(story)


def test_a_ledger_that_hangs_does_not_hold_up_the_end(monkeypatch):
    class Hangs:
        async def add(self, *_):
            await asyncio.Event().wait()

    async def story():
        made, messages = make(Hangs())
        messages.at("weather", "telegram", "failed").inc()
        await made.stop()

    monkeypatch.setattr(module, "LAST", 0.05)
    runs(story)


def test_reading_two_hundred_bots_takes_little(capsys):
    metrics, messages, late, _ack = world(*(f"bot{number}" for number in range(200)))
    for number in range(200):
        messages.at(f"bot{number}", "telegram", "delivered").inc()
        late.at(f"bot{number}").inc()
    tallies = [tally(objective) for objective in BY_NAME.values()]
    reader = Reader(tallies, metrics.families)
    took = []
    for _ in range(20):
        for number in range(200):
            messages.at(f"bot{number}", "telegram", "delivered").inc()
        began = time.perf_counter()
        assert len(reader.read()) > 400
        took.append(time.perf_counter() - began)
    with capsys.disabled():
        print(f"\nreading 200 busy bots: {min(took) * 1000:.2f} ms")
    assert min(took) < 0.010


def test_a_tally_can_be_something_else_than_an_objective():
    objective = BY_NAME["promptness"]
    fact = Tally("late", objective.bad, objective.bad)
    metrics, _messages, late, _ack = world("weather")
    reader = Reader([fact], metrics.families)
    late.at("weather").inc(2)
    assert reader.read() == {Series("late"): (2, 2)}


@pytest.mark.parametrize("name", BY_NAME)
def test_every_objective_is_counted(name):
    from botstead.telemetry.catalog import METRICS

    reader = Reader([tally(BY_NAME[name])], METRICS.families)
    wanted = {term.metric for term in (*BY_NAME[name].bad, *BY_NAME[name].total)}
    assert set(reader._wanted) == wanted
