"""Roads of messages, as they may be found: whole, halfway, failed, with clocks that differ."""

from __future__ import annotations

import uuid

from hypothesis import strategies as st

from botstead.core.messages import Reason
from botstead.telemetry.journey import Journey, Parked, Reply, RunNoted, Waiting
from botstead.telemetry.tracing import CallMade, Try

TRACE = uuid.UUID(hex="01a20e37f8517aff83d31d8f9b7e4bc8")
BEGAN = 1_790_000_000.0
MOMENTS = st.floats(BEGAN - 5, BEGAN + 500)
REASONS = st.sampled_from([*Reason, "exhausted", "something new"])


def whole(**more) -> Journey:
    """A message that took 100 ms: kept in 2, 8 in the queue, 50 handled with a call of 40, 5 to commit, 5 to be sent, 30 to arrive."""
    call = CallMade("open-meteo", "api.example.org", "GET", BEGAN + 0.015, BEGAN + 0.055, "ok", 200, 0)
    run = RunNoted(attempt=1, began=BEGAN + 0.01, ended=BEGAN + 0.06, calls=(call,))
    sent = Try(2, 1, BEGAN + 0.07, BEGAN + 0.1, "sent")
    reply = Reply(id=2, at=BEGAN + 0.065, tries=(sent,), outcome="sent", attempts=1, ended=BEGAN + 0.101)
    given = {"arrived": BEGAN, "acked": BEGAN + 0.002, "runs": (run,), "replies": (reply,), "seen": BEGAN + 60, "trace": TRACE}
    return Journey(message=1, bot="weather", channel="telegram", **(given | more))


CALLS = st.builds(
    CallMade,
    st.sampled_from(["open-meteo", "bot-x", ""]),
    st.sampled_from(["api.example.org", ""]),
    st.just("GET"),
    MOMENTS,
    MOMENTS,
    st.sampled_from(["ok", "error", "timeout", "cancelled"]),
    st.sampled_from([0, 200, 503]),
    st.integers(0, 99),
)
RUNS = st.lists(
    st.builds(
        RunNoted,
        attempt=st.integers(1, 5),
        began=MOMENTS,
        ended=st.none() | MOMENTS,
        error=st.sampled_from(["", "ValueError"]),
        calls=st.lists(CALLS, max_size=3).map(tuple),
    ),
    max_size=4,
    unique_by=lambda run: run.began,
).map(lambda runs: tuple(sorted(runs, key=lambda run: run.began)))


@st.composite
def replies(draw) -> tuple[Reply, ...]:
    found = []
    for number in range(draw(st.integers(0, 3))):
        tries = st.builds(
            Try, st.just(number + 2), st.integers(0, 12), MOMENTS, MOMENTS, st.sampled_from(["sent", "later", "unknown"]), REASONS
        )
        outcome = draw(st.sampled_from(["", "sent", "failed", "unknown"]))
        found.append(
            Reply(
                id=number + 2,
                at=draw(MOMENTS),
                tries=tuple(draw(st.lists(tries, max_size=3))),
                outcome=outcome,
                reason=draw(REASONS),
                attempts=draw(st.integers(0, 12)),
                ended=draw(MOMENTS) if outcome else None,
                waits=not outcome and draw(st.booleans()),
                due=draw(st.none() | MOMENTS),
            )
        )
    return tuple(found)


JOURNEYS = st.builds(
    Journey,
    message=st.just(1),
    trace=st.none() | st.just(TRACE),
    acked=MOMENTS,
    bot=st.just("weather"),
    channel=st.just("telegram"),
    arrived=st.none() | MOMENTS,
    parent=st.sampled_from(["", "00f067aa0ba902b7"]),
    origin=st.none() | st.just(7),
    asked=st.booleans(),
    runs=RUNS,
    replies=replies(),
    waiting=st.none() | st.builds(Waiting, failures=st.integers(0, 4), crashes=st.integers(0, 2), due=st.none() | MOMENTS),
    parked=st.none()
    | st.builds(
        Parked,
        reason=st.sampled_from(["failed", "crashed", "blocked", "deadline", "invalid", "gone", "new"]),
        attempts=st.integers(0, 5),
        at=MOMENTS,
        replayed=st.none() | MOMENTS,
    ),
    seen=MOMENTS,
)
