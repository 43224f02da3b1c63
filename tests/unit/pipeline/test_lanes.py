"""Lanes: each conversation in order, one at a time; bots side by side; what is given away is forgotten."""

from __future__ import annotations

import uuid

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from botstead.pipeline import lanes as lanes_module
from botstead.pipeline.lanes import Lane, Lanes
from botstead.store.road import Pending, State


def row(number: int, conversation: str = "1.c", *, bot: int = 1, partition: int = 0) -> Pending:
    return Pending(
        partition=partition, bot=bot, id=number, conversation=conversation, claims=0, attempts=0, wait=0.0, failing=0.0,
        channel=1, body="", payload="{}", trace=uuid.UUID(int=number), at=0.0, direction=0,
    )  # fmt: skip


def test_a_conversation_runs_one_at_a_time_and_in_order():
    lanes = Lanes()
    for number in (1, 2, 3):
        lanes.add(row(number))
    done = []
    while (lane := lanes.take(1)) is not None:
        assert lanes.take(1) is None, "the lane is running"
        done.append(lane.waiting[0].id)
        lanes.finished(lane, lane.waiting[0])
    assert done == [1, 2, 3]
    assert lanes.unanswered == 0
    assert lanes.ready_bots() == []


def test_a_run_that_was_taken_still_finds_the_state_when_its_partition_is_given_away():
    lanes = Lanes()
    lane = lanes.add(row(1))
    lane.learn(State(1, lane.conversation, 23, '{"seq": 23}'))
    assert lanes.take(1) is lane
    lanes.drop({0})  # before the run has begun: it was only scheduled
    assert (lane.state, lane.version) == ('{"seq": 23}', 23), "a run without it would overwrite it with an empty one"
    lanes.finished(lane, lane.waiting[0])
    lanes.drop({0})
    assert lanes.lane(0, 1, lane.conversation).state is None, "the next owner may have changed it"


def test_a_failed_head_stays_the_head():
    lanes = Lanes()
    lanes.add(row(1))
    lanes.add(row(2))
    lane = lanes.take(1)
    lanes.rest(lane)
    assert lanes.take(1) is lane
    assert lane.waiting[0].id == 1


def test_a_paused_lane_is_not_ready_until_resumed_and_counts_as_no_run():
    lanes = Lanes()
    lanes.add(row(1))
    lane = lanes.take(1)
    lanes.pause(lane)
    assert lanes.running[1] == 0
    assert not lanes.busy({0})
    lanes.add(row(2))
    assert lanes.take(1) is None
    lanes.resume(lane)
    assert lanes.take(1) is lane
    lanes.resume(lane)
    assert lanes.take(1) is None, "resuming a running lane does nothing"


def test_a_bot_is_full_by_its_own_count(monkeypatch):
    monkeypatch.setattr(lanes_module, "MEMORY_LIMIT", 3)
    lanes = Lanes()
    for number in range(3):
        lanes.add(row(number, f"1.{number}", bot=1))
    lanes.add(row(9, "2.x", bot=2))
    assert lanes.full() == [1]
    lane = lanes.take(1)
    lanes.finished(lane, lane.waiting[0])
    assert lanes.full() == []


def test_dropping_forgets_what_waits_and_keeps_what_runs():
    lanes = Lanes()
    for number, conversation, partition in ((1, "1.a", 0), (2, "1.a", 0), (3, "1.b", 1)):
        lanes.add(row(number, conversation, partition=partition))
    lane = lanes.take(1)
    assert lane.conversation == "1.a"
    lanes.drop({0})
    assert lanes.known == {1, 3}
    assert lanes.busy({0})
    lanes.finished(lane, lane.waiting[0])
    lanes.drop({0})
    assert lanes.known == {3}
    assert not lanes.busy({0})
    assert lanes.take(1).conversation == "1.b"


def test_empty_lanes_are_kept_up_to_a_number_and_busy_ones_always():
    lanes = Lanes(keep=10)
    busy = lanes.add(row(1, "1.busy"))
    for number in range(50):
        lanes.lane(0, 1, f"1.{number}")
    assert lanes.lane(0, 1, "1.busy") is busy
    assert len(list(lanes.of({0}))) <= 12


class Machine(RuleBasedStateMachine):
    """Whatever happens in whatever order: in order, never two at once, and the books are right."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes = Lanes()
        self.next = 0
        self.running: list[Lane] = []
        self.paused: list[Lane] = []
        self.expected: dict[str, list[int]] = {}

    @rule(conversation=st.integers(0, 4))
    def arrive(self, conversation):
        self.next += 1
        key = f"1.{conversation}"
        self.lanes.add(row(self.next, key, bot=conversation % 2, partition=conversation))
        self.expected.setdefault(key, []).append(self.next)

    @rule(bot=st.integers(0, 1))
    def take(self, bot):
        lane = self.lanes.take(bot)
        if lane is not None:
            assert lane not in self.running
            assert lane.waiting[0].id == self.expected[lane.conversation][0]
            self.running.append(lane)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), how=st.sampled_from(["finish", "fail", "pause"]))
    def end(self, data, how):
        lane = data.draw(st.sampled_from(self.running))
        self.running.remove(lane)
        if how == "finish":
            self.expected[lane.conversation].pop(0)
            self.lanes.finished(lane, lane.waiting[0])
        elif how == "fail":
            self.lanes.rest(lane)
        else:
            self.lanes.pause(lane)
            self.paused.append(lane)

    @precondition(lambda self: self.paused)
    @rule()
    def resume(self):
        self.lanes.resume(self.paused.pop())

    @rule(partition=st.integers(0, 4))
    def drop(self, partition):
        self.lanes.drop({partition})
        key = f"1.{partition}"
        held = any(lane.conversation == key for lane in self.running)
        self.expected[key] = self.expected.get(key, [])[: int(held)]

    @invariant()
    def books_are_right(self):
        assert self.lanes.known == {number for numbers in self.expected.values() for number in numbers}
        for bot in (0, 1):
            assert self.lanes.running[bot] == sum(lane.bot == bot for lane in self.running)
        for conversation in range(5):
            assert self.lanes.busy({conversation}) == any(lane.partition == conversation for lane in self.running)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
