"""From the road of a message to spans, after the fact. Pure.

One message is one tree: the message itself, and below it ack, queue, each handle with the calls it made, commit, and each send
with its attempts. Attributes follow OpenTelemetry's names where it has one; ours begin with `botstead.`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from enum import IntEnum
from typing import Final

import msgspec

from botstead.telemetry.journey import Journey, Reply, RunNoted
from botstead.telemetry.tracecontext import span_id
from botstead.telemetry.tracing import call_stage, run_stage

MESSAGE_ID: Final = "messaging.message.id"
STATUS: Final = "http.response.status_code"
METHOD: Final = "http.request.method"
SERVER: Final = "server.address"
ERROR: Final = "error.type"
"""Names of OpenTelemetry's semantic conventions: https://opentelemetry.io/docs/specs/semconv/"""

_LATER: Final = "later"


class Kind(IntEnum):
    """What a span is, with OTLP's numbers."""

    INTERNAL = 1
    SERVER = 2
    CLIENT = 3


class Span(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A piece of work.

    Args:
        trace: 32 hex digits.
        id: 16 hex digits.
        parent: 16 hex digits, empty for none.
        name: few and fixed.
        kind: what it is.
        began: Unix seconds.
        ended: Unix seconds.
        attributes: ids, numbers and words from closed lists.
        error: the kind of failure, empty when it went well.
    """

    trace: str
    id: str
    name: str
    began: float
    ended: float
    parent: str = ""
    kind: Kind = Kind.INTERNAL
    attributes: dict[str, str | int] = {}
    error: str = ""


def spans(journey: Journey) -> list[Span]:
    """Build the spans of a message, the root first.

    Args:
        journey: its road.
    """
    if journey.trace is None:
        return []
    tree = _Tree(journey, journey.trace)
    below = [*tree.handling(), *tree.sending()]
    return [tree.root(below), *below]


class _Tree:
    def __init__(self, journey: Journey, trace: uuid.UUID) -> None:
        self._journey = journey
        self._trace = trace
        self._began = journey.began
        self._id = span_id(trace, journey.message)

    def root(self, below: list[Span]) -> Span:
        """The message, from its arrival until nothing of it is left to do."""
        journey = self._journey
        ends = [span.ended for span in below]
        if journey.parked is not None:
            ends.append(journey.parked.at)
        parent = span_id(self._trace, journey.origin) if journey.origin is not None else journey.parent
        return Span(
            trace=self._trace.hex,
            id=self._id,
            parent=parent,
            name="message",
            kind=Kind.INTERNAL if journey.asked else Kind.SERVER,
            began=self._began,
            ended=max([journey.acked, *ends]),
            attributes={
                MESSAGE_ID: str(journey.message),
                "botstead.bot": journey.bot,
                "botstead.channel": journey.channel,
                "botstead.outcome": _outcome(journey),
                "botstead.attempts": max([1, *(run.attempt for run in journey.runs)]),
                "botstead.replies": len(journey.replies),
            },
            error=_fault(journey),
        )

    def handling(self) -> Iterator[Span]:
        """Everything up to the commit of the answer."""
        journey = self._journey
        if journey.arrived is not None:
            yield self._stage("ack", self._began, journey.acked)
        end = journey.acked
        for number, run in enumerate(journey.runs):
            yield self._stage("retry" if number else "queue", end, run.began, number)
            said = journey.said_after(run)
            end = journey.ended(run)
            yield from self._run(run, end)
            if said is not None and run.ended is not None:
                yield self._stage("commit", end, said, number)

    def sending(self) -> Iterator[Span]:
        """The sending of each answer."""
        for reply in self._journey.replies:
            yield from self._reply(reply)

    def _stage(self, name: str, began: float, ended: float, number: int = 0) -> Span:
        return self._span(span_id(self._trace, self._journey.message, name, number), name, began, ended)

    def _span(self, own: str, name: str, began: float, ended: float, **more: str) -> Span:
        """Make a span below the root, or below `parent`."""
        start = max(self._began, began)  # two clocks may differ, a child still lies within the whole
        parent, error = more.get("parent", self._id), more.get("error", "")
        return Span(trace=self._trace.hex, id=own, parent=parent, name=name, began=start, ended=max(start, ended), error=error)

    def _run(self, run: RunNoted, end: float) -> Iterator[Span]:
        own = span_id(self._trace, self._journey.message, run_stage(run.began))
        made = self._span(own, "handle", run.began, end, error=run.error)
        yield _with(made, Kind.INTERNAL, {"botstead.bot": self._journey.bot, "botstead.attempt": run.attempt})
        for call in run.calls:
            number = span_id(self._trace, self._journey.message, call_stage(run.began), call.number)
            error = "" if call.outcome == "ok" else str(call.status or call.outcome)
            made = self._span(number, f"call {call.service}", call.began, call.ended, parent=own, error=error)
            facts: dict[str, str | int] = {"botstead.service": call.service, "botstead.outcome": call.outcome}
            facts |= {METHOD: call.method, SERVER: call.host} | ({STATUS: call.status} if call.status else {})
            yield _with(made, Kind.CLIENT, facts)

    def _reply(self, reply: Reply) -> Iterator[Span]:
        """One span until it is settled, and below it one for each attempt when there were several."""
        tries = reply.tries
        ends = [attempt.ended for attempt in tries] or ([reply.ended] if reply.ended is not None else [])
        if not ends:
            return
        own = span_id(self._trace, reply.id)
        facts: dict[str, str | int] = {MESSAGE_ID: str(reply.id), "botstead.service": self._journey.channel}
        facts |= {"botstead.outcome": reply.outcome or _LATER, "botstead.attempts": max(reply.attempts, len(tries), 1)}
        error = "" if reply.outcome in ("", "sent") else (reply.reason or reply.outcome)
        began = tries[0].began if tries else reply.at
        yield _with(self._span(own, "send", began, max(ends), error=error), Kind.CLIENT, facts)
        for number, attempt in enumerate(tries if len(tries) > 1 else ()):
            error = "" if attempt.outcome == "sent" else (attempt.reason or attempt.outcome)
            key = span_id(self._trace, reply.id, "try", number)
            made = self._span(key, "attempt", attempt.began, attempt.ended, parent=own, error=error)
            yield _with(made, Kind.CLIENT, {"botstead.service": self._journey.channel, "botstead.outcome": attempt.outcome})


def _with(span: Span, kind: Kind, attributes: dict[str, str | int]) -> Span:
    error: dict[str, str | int] = {ERROR: span.error} if span.error else {}
    return msgspec.structs.replace(span, kind=kind, attributes=attributes | error)


def _outcome(journey: Journey) -> str:
    if journey.parked is not None and journey.parked.replayed is None:
        return "parked"
    if not journey.settled:
        return "waiting"
    outcomes = {reply.outcome for reply in journey.replies}
    return next((worst for worst in ("failed", "unknown") if worst in outcomes), "answered" if outcomes else "handled")


def _fault(journey: Journey) -> str:
    if journey.parked is not None and journey.parked.replayed is None:
        return journey.parked.reason
    return next((reply.reason or reply.outcome for reply in journey.replies if reply.outcome in ("failed", "unknown")), "")
