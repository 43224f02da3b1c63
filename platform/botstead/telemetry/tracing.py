"""What is noted of one run of one message while it runs: no span, a handful of numbers.

Spans are built afterwards (`telemetry/spans.py`) and only for messages that were slow, failed, or chosen; so all others pay
for two readings of a clock. `current` is what the running code works for; whoever calls other services notes it there.
"""

from __future__ import annotations

import uuid
from contextvars import ContextVar
from typing import Final, NamedTuple

import msgspec

from botstead.telemetry import tracecontext

NAME_LIMIT: Final = 100
"""Characters of a kind of failure."""


class CallMade(NamedTuple):
    """A call to an outside service. There is no place in it for a path, a header or a body.

    Args:
        service: its short name.
        host: name or address, without port, path and query.
        method: GET, POST, …
        began: Unix seconds.
        ended: Unix seconds.
        outcome: ok, error (it answered 400 or above), or the kind of failure: timeout, refused, unsent, broken, cancelled,
            limited (it was not made: the service rests, or a limit is used up).
        status: of the answer, 0 without one.
        number: of the calls of one run, from 0.
    """

    service: str
    host: str
    method: str
    began: float
    ended: float
    outcome: str
    status: int = 0
    number: int = 0


class Try(NamedTuple):
    """One attempt to send a reply.

    Args:
        message: the reply's id.
        attempt: from 1.
        began: Unix seconds.
        ended: Unix seconds.
        outcome: sent, later, failed, unknown.
        reason: why not, from the closed list of `core.messages.Reason`.
    """

    message: int
    attempt: int
    began: float
    ended: float
    outcome: str
    reason: str = ""


class Run(msgspec.Struct, gc=False):
    """One run of one message, and the sends that came of it. Times are Unix seconds.

    Args:
        message: what ran; of a send that was found in the outbox, the reply itself.
        trace: its trace id.
        attempt: from 1.
        received: when the message was acknowledged.
        began: when the handler began.
        promise: seconds within which the bot promises to answer.
        sampled: it is kept, whatever happens.
        ended: when the handler ended.
        error: the kind of failure, empty when there was none.
        calls: to outside services, in the order in which they ended.
        made: how many were begun.
        sends: attempts to send what it said.
        left: replies that are not settled.
        noted: whether it is kept by now.
    """

    message: int
    trace: uuid.UUID
    attempt: int
    received: float
    began: float
    promise: float
    sampled: bool = False
    ended: float = 0.0
    error: str = ""
    calls: list[CallMade] | None = None
    made: int = 0
    sends: list[Try] | None = None
    left: int = 0
    noted: bool = False

    def begin_call(self) -> int:
        """Count a call that begins; returns its number."""
        self.made += 1
        return self.made - 1

    def end_call(self, call: CallMade) -> None:
        """Note a call that has ended.

        Args:
            call: with the number that it got when it began.
        """
        if self.calls is None:
            self.calls = []
        self.calls.append(call)


current: Final[ContextVar[Run | None]] = ContextVar("run", default=None)
"""The run that the running code works for."""


def traceparent() -> str:
    """Return the header value for the call that is about to be made, or "" when the running code works for no message."""
    run = current.get()
    if run is None:
        return ""
    span = tracecontext.span_id(run.trace, run.message, call_stage(run.began), run.made)
    return tracecontext.write(run.trace, span, sampled=run.sampled)


def kind_of(error: BaseException) -> str:
    """Name what kind of failure it was. Its words stay out: they may quote what people wrote.

    Args:
        error: what was raised; of one that was wrapped, what lies within.
    """
    return type(error.__cause__ or error).__name__[:NAME_LIMIT]


def run_stage(began: float) -> str:
    """Name one run, for `tracecontext.span_id`. Attempts are counted anew after a replay, so its time tells it from others.

    Args:
        began: Unix seconds, exactly as noted.
    """
    return f"run {began!r}"


def call_stage(began: float) -> str:
    """Name the calls of one run, for `tracecontext.span_id`.

    Args:
        began: when the run began.
    """
    return f"call {began!r}"
