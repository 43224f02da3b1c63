"""What a bot's own process and its worker tell each other besides the event: which run it is, and which calls were made."""

from __future__ import annotations

import uuid

import msgspec

from botstead.core import bodies
from botstead.core.errors import BotsteadError
from botstead.core.metering import LlmUsage
from botstead.core.ports import Effects, Handler, Incoming
from botstead.core.purse import Purse, purse
from botstead.runtime.hosting import Answer, AnswerFailed
from botstead.telemetry import tracing
from botstead.telemetry.logs import trace_id
from botstead.telemetry.tracing import CallMade, Run, kind_of


class Answered(Effects, frozen=True, kw_only=True, omit_defaults=True):
    """What a bot's process answers: the effects, which calls to other services it made meanwhile, and what its model took."""

    calls: tuple[CallMade, ...] = ()
    spent: LlmUsage = LlmUsage()


class Noted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What goes with a failure: its kind within the process, which calls were made before it, and what its model took."""

    kind: str
    calls: tuple[CallMade, ...] = ()
    spent: LlmUsage = LlmUsage()


def answering(handler: Handler) -> Answer:
    """Turn a handler into what a bot's process answers calls with: the other end of `HostedBot`.

    Args:
        handler: runs the events.
    """

    async def answer(body: bytes) -> bytes:
        incoming = msgspec.json.decode(body, type=Incoming)
        run = _run_of(incoming)
        lent = Purse(incoming.allowance or 0)
        purse.set(lent)
        try:
            effects = await handler.handle(incoming)
        except BotsteadError as error:
            noted = Noted(kind=kind_of(error), calls=tuple(run.calls or ()), spent=lent.spent)
            raise AnswerFailed(error.message, after=error.after, attached=msgspec.json.encode(noted)) from error
        fields = {name: getattr(effects, name) for name in Effects.__struct_fields__}
        return msgspec.json.encode(Answered(**fields, calls=tuple(run.calls or ()), spent=lent.spent))

    return answer


def _run_of(incoming: Incoming) -> Run:
    """Work for the same run as the worker that asks, so that calls are noted under the same ids there."""
    run = Run(
        incoming.id,
        uuid.UUID(hex=incoming.trace) if incoming.trace else uuid.UUID(int=0),
        incoming.attempt,
        incoming.received,
        incoming.began,
        0.0,
        sampled=incoming.sampled,
    )
    tracing.current.set(run)
    trace_id.set(incoming.trace)
    return run


def note(attached: bytes) -> LlmUsage | None:
    """Take over into the current run what a bot's process told of a failure.

    Args:
        attached: a `Noted`; anything else is passed over, for the process may be of another version, or lie.

    Returns:
        What its language model took; None when it told nothing.
    """
    noted = bodies.read(attached, Noted)
    if noted is None:
        return None
    run = tracing.current.get()
    if run is not None:
        run.error = noted.kind
    note_calls(noted.calls)
    return noted.spent


def note_calls(calls: tuple[CallMade, ...]) -> None:
    """Take over into the current run the calls that a bot's process made for it.

    Args:
        calls: as it told.
    """
    run = tracing.current.get()
    if run is not None and calls:
        run.calls = [*(run.calls or ()), *calls]
