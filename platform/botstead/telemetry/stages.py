"""Where the time of a message went: its road cut into stages that follow each other, with the share of each. Pure.

ack (arrived, until it is kept) · queue (until a handler begins) · handle, with the calls inside · retry (until it runs again) ·
commit (until the answer is kept) · outbox (until it is sent) · send (until the provider has it).
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter
from typing import Literal

import msgspec

from botstead.telemetry.journey import Journey, Reply, RunNoted
from botstead.telemetry.tracing import CallMade

Name = Literal["ack", "queue", "handle", "call", "retry", "commit", "outbox", "send"]


class Stage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A part of a message's road.

    Args:
        name: which part. A `call` lies within the `handle` before it; all others follow each other without a gap.
        offset: milliseconds from the beginning of the road.
        milliseconds: how long it took, so far when it is `open`.
        share: of the whole, 0 to 1. All but those of calls add up to 1.
        outcome: how it ended, when that is worth a word: the kind of a failure, sent, failed, unknown.
        service: what was called.
        status: of its answer, an HTTP status.
        attempt: of a handle or send, from 1.
        message: the answer that a send is about.
        open: whether it still goes on.
    """

    name: Name
    offset: float
    milliseconds: float
    share: float
    outcome: str = ""
    service: str = ""
    status: int = 0
    attempt: int = 0
    message: int | None = None
    open: bool = False


class _Part(msgspec.Struct, kw_only=True):
    name: Name
    began: float
    ended: float
    outcome: str = ""
    service: str = ""
    status: int = 0
    attempt: int = 0
    message: int | None = None
    open: bool = False


def stages(journey: Journey, *, reply: int | None = None) -> list[Stage]:
    """Cut a road into its stages.

    Args:
        journey: the road. What still goes on ends when it was read.
        reply: only up to the sending of this answer, without that of others.
    """
    road = _Road(journey.began)
    if journey.arrived is not None:
        road.until(journey.acked, name="ack")
    for number, part in _in_order(journey):
        if isinstance(part, RunNoted):
            road.until(part.began, name="retry" if number else "queue")
            _handled(road, part, journey)
        elif reply in (None, part.id):
            _sent(road, part, journey.seen)
            if reply is not None:
                return list(_measured(road))
    if journey.waiting is not None:
        road.until(journey.seen, name="retry" if journey.runs or journey.waiting.failures else "queue", open=True)
    return list(_measured(road))


def _in_order(journey: Journey) -> list[tuple[int, RunNoted | Reply]]:
    """Runs and answers as they came: after a replay there are runs again behind an answer."""
    runs = [(run.began, number, run) for number, run in enumerate(journey.runs)]
    found: list[tuple[float, int, RunNoted | Reply]] = [*runs, *((reply.at, len(runs), reply) for reply in journey.replies)]
    return [(number, part) for _, number, part in sorted(found, key=itemgetter(0, 1))]


class _Road:
    """Lays parts end to end: each begins where the one before has ended, whatever two clocks say."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.end = began
        self.parts: list[_Part] = []

    def until(self, moment: float, **what: object) -> None:
        """Add a part from the end of the last one."""
        ended = max(self.end, moment)
        self.parts.append(_Part(began=self.end, ended=ended, **what))  # type: ignore[arg-type]  # the fields of _Part
        self.end = ended


def _handled(road: _Road, run: RunNoted, journey: Journey) -> None:
    said = journey.said_after(run)
    road.until(journey.ended(run), name="handle", attempt=run.attempt, outcome=run.error)
    road.parts += _calls(run)
    if run.ended is not None and said is not None:
        road.until(said, name="commit")


def _calls(run: RunNoted) -> Iterator[_Part]:
    for call in sorted(run.calls, key=lambda made: made.began):
        yield _Part(
            name="call", began=call.began, ended=call.ended, service=_called(call), outcome=call.outcome, status=call.status
        )


def _called(call: CallMade) -> str:
    return call.service if call.host in call.service else f"{call.service} ({call.host})"


def _sent(road: _Road, reply: Reply, now: float) -> None:
    for attempt in reply.tries:
        road.until(attempt.began, name="outbox", message=reply.id)
        outcome = attempt.reason or attempt.outcome
        road.until(attempt.ended, name="send", message=reply.id, attempt=attempt.attempt, outcome=outcome)
    if reply.waits and not reply.outcome:
        road.until(now, name="outbox", message=reply.id, open=True)
    elif not reply.tries and reply.ended is not None:
        road.until(reply.ended, name="send", message=reply.id, outcome=reply.reason or reply.outcome)


def _measured(road: _Road) -> Iterator[Stage]:
    whole = road.end - road.began
    for part in road.parts:
        took = max(0.0, part.ended - part.began)
        yield Stage(
            name=part.name,
            offset=round((part.began - road.began) * 1000, 3),
            milliseconds=round(took * 1000, 3),
            share=round(took / whole, 4) if whole > 0 else 0.0,
            outcome=part.outcome,
            service=part.service,
            status=part.status,
            attempt=part.attempt,
            message=part.message,
            open=part.open,
        )
