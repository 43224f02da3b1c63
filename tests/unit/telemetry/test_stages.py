"""The stages of a road follow each other without a gap, whatever two clocks say, and their shares add up."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given

from botstead.telemetry.journey import Reply, RunNoted, Waiting
from botstead.telemetry.stages import stages
from botstead.telemetry.tracing import Try
from tests.unit.telemetry.roads import BEGAN, JOURNEYS, whole


def told(found) -> list[tuple[str, float, float]]:
    return [(stage.name, stage.milliseconds, stage.share) for stage in found]


def test_a_whole_road():
    found = stages(whole())
    assert told(found) == [
        ("ack", 2.0, 0.02),
        ("queue", 8.0, 0.08),
        ("handle", 50.0, 0.5),
        ("call", 40.0, 0.4),
        ("commit", 5.0, 0.05),
        ("outbox", 5.0, 0.05),
        ("send", 30.0, 0.3),
    ]
    assert [stage.offset for stage in found] == [0.0, 2.0, 10.0, 15.0, 60.0, 65.0, 70.0]
    assert (found[3].service, found[3].status) == ("open-meteo (api.example.org)", 200)
    assert (found[6].outcome, found[6].message) == ("sent", 2)


def test_what_was_not_noted_is_told_coarsely():
    reply = Reply(id=2, at=BEGAN + 0.065, outcome="sent", attempts=1, ended=BEGAN + 0.1)
    coarse = whole(arrived=None, runs=(RunNoted(attempt=1, began=BEGAN + 0.012),), replies=(reply,))
    assert [(name, took) for name, took, _ in told(stages(coarse))] == [("queue", 10.0), ("handle", 53.0), ("send", 35.0)]


def test_failures_and_retries_each_have_their_place():
    runs = tuple(RunNoted(attempt=n + 1, began=BEGAN + n, ended=BEGAN + n + 0.1, error="ValueError") for n in range(2))
    waiting = whole(runs=runs, replies=(), waiting=Waiting(failures=2), seen=BEGAN + 3)
    found = stages(waiting)
    assert [stage.name for stage in found] == ["ack", "queue", "handle", "retry", "handle", "retry"]
    assert [stage.outcome for stage in found if stage.name == "handle"] == ["ValueError", "ValueError"]
    assert found[-1].open
    assert found[-1].offset + found[-1].milliseconds == 3_000


def test_one_that_waits_for_its_bot_or_for_its_provider_still_waits():
    (_, queue) = stages(whole(runs=(), replies=(), waiting=Waiting()))
    assert (queue.name, queue.open, queue.milliseconds) == ("queue", True, 59_998.0)
    put_off = Try(2, 0, BEGAN + 0.07, BEGAN + 0.1, "later", "throttled")
    *_, send, outbox = stages(whole(replies=(Reply(id=2, at=BEGAN + 0.065, tries=(put_off,), waits=True),)))
    assert (send.name, send.outcome) == ("send", "throttled")
    assert (outbox.name, outbox.open, outbox.milliseconds) == ("outbox", True, 59_900.0)


def test_one_answer_of_several_is_told_without_the_others():
    first = whole().replies[0]
    second = msgspec.structs.replace(first, id=3, tries=(Try(3, 1, BEGAN + 0.2, BEGAN + 0.3, "sent"),))
    both = whole(replies=(first, second))
    assert [stage.message for stage in stages(both) if stage.name == "send"] == [2, 3]
    assert [stage.message for stage in stages(both, reply=3) if stage.name == "send"] == [3]


@given(JOURNEYS)
def test_stages_lie_end_to_end_and_their_shares_are_the_whole(journey):
    found = [stage for stage in stages(journey) if stage.name != "call"]
    place = 0.0
    for stage in found:
        assert stage.offset == pytest.approx(place, abs=0.002)
        assert stage.milliseconds >= 0
        place = stage.offset + stage.milliseconds
    assert all(not stage.open for stage in found[:-1] if stage.name in {"queue", "retry"})
    if place > 0:
        assert sum(stage.share for stage in found) == pytest.approx(1.0, abs=0.001 * (len(found) + 1))
    assert all(stage.share == 0 for stage in stages(journey)) or place > 0


def test_after_a_replay_there_are_runs_behind_an_answer():
    runs = (
        RunNoted(attempt=1, began=BEGAN + 0.01, ended=BEGAN + 0.02, error="ValueError"),
        RunNoted(attempt=1, began=BEGAN + 9, ended=BEGAN + 9.1),
    )
    apology = Reply(id=2, at=BEGAN + 0.03, outcome="sent", ended=BEGAN + 0.04)
    answer = Reply(id=3, at=BEGAN + 9.2, outcome="sent", ended=BEGAN + 9.3)
    replayed = whole(runs=runs, replies=(apology, answer))
    road = ["ack", "queue", "handle", "commit", "send", "retry", "handle", "commit", "send"]
    assert [stage.name for stage in stages(replayed)] == road
    assert [stage.name for stage in stages(replayed, reply=2)] == road[:5]
