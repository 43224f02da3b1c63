"""The horizon: nothing that commits in time is passed over, whatever moves meanwhile, and what is cheap is never spared."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from botstead.pipeline.horizon import DEAR, LAG, LONGEST, Horizon, Spared, rest
from botstead.store.road import EVERYTHING, Above, Pending

PAGE = 3
PARTITIONS = (0, 1)
BOTS = (1, 2)
SLACK = 0.01
"""Seconds that a look may begin after the latest commit that counts as in time."""


def pending(number: int, partition: int, bot: int) -> Pending:
    return Pending(
        partition=partition, bot=bot, id=number, conversation="1.c", claims=0, attempts=0, wait=0.0, failing=0.0,
        channel=1, body="", payload="{}", trace=uuid.UUID(int=number), at=0.0, direction=0,
    )  # fmt: skip


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("took", "expected"), [(0.0, 0.0), (DEAR * 0.99, 0.0), (DEAR, DEAR * 20), (0.05, 1.0), (0.2, LONGEST), (1.0, 5.0)]
)
def test_what_is_dear_rests_in_proportion_and_what_is_cheap_does_not(took, expected):
    assert rest(took) == pytest.approx(expected)


def test_what_failed_has_no_say_in_how_long_to_rest(monkeypatch):
    times = iter([0.0, 1.0, 1.0, 4.0, 4.0])
    monkeypatch.setattr("botstead.pipeline.horizon.time.monotonic", lambda: next(times))
    spared = Spared()
    with spared:
        pass
    assert spared.rest == rest(1.0)
    with pytest.raises(TimeoutError), spared:
        raise TimeoutError
    assert spared.rest == 0.0


def whole_look(horizon, clock, rows=(), *, took=1.0, partitions=frozenset({0}), bots=frozenset({1}), crowded=()):
    look = horizon.look(partitions, bots)
    clock.now += took
    horizon.looked(look, rows, crowded=crowded)
    return look


def spared(horizon, clock, *, seconds=2 * LAG, rows=()):
    """Look until there is a floor: the first looks say what it is, and the lag has to pass."""
    whole_look(horizon, clock, rows)
    clock.now += seconds
    whole_look(horizon, clock)
    return horizon.look({0}, {1})


def test_a_cheap_look_always_takes_in_everything():
    clock = Clock()
    horizon = Horizon(page=PAGE, clock=clock)
    for number in range(1, 50):
        look = whole_look(horizon, clock, [pending(number, 0, 1)], took=DEAR / 2)
        assert look.above(()) is EVERYTHING
        clock.now += 0.5


def test_after_a_dear_look_only_what_is_newer_is_looked_at_until_its_rest_is_over():
    clock = Clock()
    horizon = Horizon(page=PAGE, clock=clock)
    look = spared(horizon, clock, rows=[pending(7, 0, 1)])
    assert look.above(()) == Above(7, frozenset({1}))
    assert look.above([1]) == Above(7, frozenset()), "a crowded bot is left out"
    clock.now += rest(1.0)
    assert horizon.look({0}, {1}).above(()) is EVERYTHING


def test_an_id_is_a_floor_only_when_older_ones_have_had_time_to_commit():
    clock = Clock()
    horizon = Horizon(page=PAGE, clock=clock)
    whole_look(horizon, clock, [pending(7, 0, 1)])
    assert horizon.look({0}, {1}).floor == 0
    clock.now += LAG * 0.9
    whole_look(horizon, clock, [pending(9, 0, 1)], took=2 * DEAR)
    assert horizon.look({0}, {1}).floor == 0
    clock.now += LAG * 0.2
    whole_look(horizon, clock, took=2 * DEAR)
    assert horizon.look({0}, {1}).floor == 7


@pytest.mark.parametrize(("partitions", "bots"), [({0, 1}, {1}), ({0}, {1, 2})])
def test_what_is_new_here_is_looked_at_whole(partitions, bots):
    clock = Clock()
    horizon = Horizon(page=PAGE, clock=clock)
    assert spared(horizon, clock, rows=[pending(7, 0, 1)]).floor == 7
    assert horizon.look(partitions, bots).floor == 0
    whole_look(horizon, clock, partitions=frozenset(partitions), bots=frozenset(bots))
    assert horizon.look(partitions, bots).floor == 7


def test_a_partition_that_was_away_is_looked_at_whole():
    clock = Clock()
    horizon = Horizon(page=PAGE, clock=clock)
    assert spared(horizon, clock, rows=[pending(7, 0, 1)]).floor == 7
    horizon.forget({0})
    assert horizon.look({0}, {1}).floor == 0


@pytest.mark.parametrize("unfinished", [{"crowded": [2]}, {"rows": [pending(n, 1, 1) for n in range(10, 10 + PAGE)]}])
def test_new_partitions_stay_unseen_until_nothing_of_them_is_left_out(unfinished):
    clock = Clock()
    horizon = Horizon(page=PAGE, clock=clock)
    assert spared(horizon, clock, rows=[pending(7, 0, 1)]).floor == 7
    whole_look(horizon, clock, partitions=frozenset({0, 1}), **unfinished)
    assert horizon.look({0, 1}, {1}).floor == 0


class Queue(RuleBasedStateMachine):
    """An inbox in which transactions begin and end, seen through a horizon; looks cost time as somebody's snapshot decides."""

    @initialize()
    def begin(self) -> None:
        self.clock = Clock()
        self.horizon = Horizon(page=PAGE, clock=self.clock)
        self.last = 0
        self.open: dict[int, tuple[float, Pending]] = {}
        self.waiting: dict[int, tuple[float, Pending]] = {}
        """Committed, with when; in nobody's memory."""
        self.known: dict[int, Pending] = {}
        self.mine: set[int] = {0}
        self.bots: set[int] = {1}

    @rule(partition=st.sampled_from(PARTITIONS), bot=st.sampled_from(BOTS))
    def begin_transaction(self, partition: int, bot: int) -> None:
        self.last += 1
        self.open[self.last] = (self.clock.now, pending(self.last, partition, bot))

    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        if self.open:
            number = data.draw(st.sampled_from(sorted(self.open)))
            self.waiting[number] = (self.clock.now, self.open.pop(number)[1])

    @rule(seconds=st.sampled_from([0.01, 0.1, 0.3]))
    def pass_time(self, seconds: float) -> None:
        """Everything commits within the lag."""
        self.clock.now += seconds
        for number in [n for n, (began, _) in self.open.items() if self.clock.now - began > LAG - 0.35]:
            self.waiting[number] = (self.clock.now, self.open.pop(number)[1])
        self.look(took=0.0, crowd=False)  # as the polling does

    @rule(partition=st.sampled_from(PARTITIONS))
    def move(self, partition: int) -> None:
        if partition in self.mine:
            self.mine.discard(partition)
            self.horizon.forget({partition})
            for number in [n for n, row in self.known.items() if row.partition == partition]:
                self.waiting[number] = (self.clock.now, self.known.pop(number))
        else:
            self.mine.add(partition)

    @rule(bots=st.sets(st.sampled_from(BOTS), min_size=1))
    def load(self, bots: set[int]) -> None:
        self.bots = bots

    @rule(took=st.sampled_from([0.0, 0.001, 0.02]), crowd=st.booleans())
    def look(self, took: float, crowd: bool) -> None:
        look = self.horizon.look(self.mine, self.bots)
        crowded = [2] if crowd else []
        above = look.above(crowded)
        bots = above.bots if above.floor else self.bots.difference(crowded)
        rows = []
        for partition in self.mine:
            for bot in bots:
                group = [r for _, r in self.waiting.values() if (r.partition, r.bot) == (partition, bot) and r.id > above.floor]
                rows += sorted(group, key=lambda row: row.id)[:PAGE]
        self.clock.now += took
        self.horizon.looked(look, rows, crowded=crowded)
        for row in rows:
            self.known[row.id] = self.waiting.pop(row.id)[1]
        self._nothing_older_is_left(rows)

    def _nothing_older_is_left(self, rows: list[Pending]) -> None:
        for row in rows:
            left = [r.id for _, r in self.waiting.values() if (r.partition, r.bot) == (row.partition, row.bot) and r.id < row.id]
            assert not left, f"{row.id} was taken before {left}"

    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        if self.known:
            del self.known[data.draw(st.sampled_from(sorted(self.known)))]

    @invariant()
    def nothing_waits_below_the_floor(self) -> None:
        look = self.horizon.look(self.mine, self.bots)
        if look.floor:
            assert not [
                r.id for _, r in self.waiting.values() if r.partition in self.mine and r.bot in self.bots and r.id <= look.floor
            ]


TestQueue = Queue.TestCase
TestQueue.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)
