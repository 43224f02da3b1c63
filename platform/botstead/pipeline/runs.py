"""One run of one message: decode, call the bot, decide what becomes of it."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping

import msgspec

from botstead.core.errors import BotsteadError, HandlerFailed, Unavailable
from botstead.core.messages import AnswerButton, Event, Kind, Send, Typing
from botstead.core.ports import Account, Effects, Handler, Incoming
from botstead.pipeline import measures
from botstead.pipeline.blame import Accountable, Blame
from botstead.pipeline.hosted import BotDied, BotResting
from botstead.pipeline.lanes import Lane
from botstead.pipeline.outbox import Done
from botstead.pipeline.quarantine import Alone, Quarantine
from botstead.pipeline.retry import CRASHES, GiveUp, after_failure
from botstead.pipeline.traces import Traces
from botstead.store.postgres import RowRefused, storable
from botstead.store.road import Failure, Pending
from botstead.telemetry import tracecontext
from botstead.telemetry.logs import event, trace_id
from botstead.telemetry.tracing import Run

APOLOGY = "Sorry, something went wrong here. Please try again a little later."
"""What a person reads when their message is given up."""
GRACE = 2.0
"""Seconds beyond a bot's own deadline after which its run is cancelled from here."""
TYPING_AFTER = 0.7
"""Seconds after which a run that still goes on shows «typing»."""
SILENT = frozenset({Kind.UNKNOWN, Kind.STATUS, Kind.MOVED})
"""Kinds that no handler is called for."""
ERROR_LIMIT = 2_000
STATE_LIMIT = 65_536
"""Bytes of a conversation's state."""

logger = logging.getLogger(__name__)
EVENT = msgspec.json.Decoder(Event)


class Runs:
    """Runs handlers and turns what comes out into an outcome or a failure."""

    def __init__(  # noqa: PLR0913  # what it is made of, each given by name
        self,
        handlers: Mapping[int, Handler],
        alone: Mapping[int, Alone],
        *,
        aside: Mapping[str, Handler],
        blame: Blame,
        gesture: Callable[[Account, str, Typing | AnswerButton], None],
        traces: Traces,
    ) -> None:
        """Prepare.

        Args:
            handlers: by bot number.
            alone: by bot number, for messages that may have taken a process down.
            aside: by kind of channel, for accounts that nobody talks on (payments): no bot sees their events.
            blame: where the running message is named.
            gesture: shows typing, answers a button press; best effort.
            traces: notes what happens.
        """
        self._traces = traces
        self._handlers = handlers
        self._alone = alone
        self._aside = aside
        self._quarantine = Quarantine()
        self._blame = blame
        self._gesture = gesture

    def can(self, bot: int) -> bool:
        """Whether a bot can run here."""
        return bot in self._handlers

    def isolates(self, bot: int) -> bool:
        """Whether a message of a bot that has a claim runs apart from others."""
        return bot in self._alone

    def limit(self, bot: int) -> int:
        """Return how many handlers of a bot may run at once."""
        return self._handlers[bot].limits.running

    async def run(self, lane: Lane, row: Pending, account: Account) -> Done | Failure:
        """Run one message."""
        began = time.time()
        trace_id.set(row.trace.hex)
        run = self._traces.begin(row, began, self._handlers[row.bot].limits)
        try:
            incoming = _read(lane, row, account, run)
        except (msgspec.MsgspecError, RecursionError) as error:
            return self._parked(lane, _unread(lane, row, account, run), row, run, ("invalid", f"It cannot be read back: {error}"))
        if row.claims >= CRASHES:
            return self._parked(lane, incoming, row, run, ("crashed", "It ended its process each time it ran."))
        try:
            effects = await self._effects(lane, row, account, incoming)
            for action in effects.actions:
                if isinstance(action, AnswerButton):
                    self._gesture(account, lane.conversation, action)
            run.ended = time.time()
            return _done(row, lane, effects, run, aside=account.kind in self._aside)
        except (BotResting, Unavailable) as error:  # a database that cannot answer is no fault of who was called
            return Failure(row.partition, row.bot, row.id, error.after or 1.0, error.message, 0, 0)
        except Exception as error:  # noqa: BLE001  # whatever a handler raises is its failure, never a run without end
            return self._failed(lane, incoming, row, run, error)

    def refused(self, lane: Lane, row: Pending, account: Account, error: RowRefused) -> Done | Failure:
        """Decide after Postgres refused the outcome of a run: that is the handler's failure."""
        run = self._traces.begin(row, time.time(), self._handlers[row.bot].limits)
        return self._failed(lane, _read(lane, row, account, run), row, run, error)

    async def _effects(self, lane: Lane, row: Pending, account: Account, incoming: Incoming) -> Effects:
        found = incoming.event
        if found.kind is Kind.SEND:
            return Effects(actions=found.actions)
        if (aside := self._aside.get(account.kind)) is not None:
            async with asyncio.timeout(aside.limits.deadline + GRACE):
                return await aside.handle(incoming)
        if found.kind in SILENT:
            return Effects()
        measures.began(row, account.kind)
        effects = await self._handle(lane, row, account, incoming)
        measures.understood(account.bot_name, effects.understood)
        return effects

    async def _handle(self, lane: Lane, row: Pending, account: Account, incoming: Incoming) -> Effects:
        handler, alone = self._handlers[row.bot], self._alone.get(row.bot)
        typing = asyncio.get_running_loop().call_later(TYPING_AFTER, self._gesture, account, lane.conversation, Typing())
        began = time.monotonic()
        try:
            if row.claims and alone is not None:
                return await self._quarantine.run(row.bot, alone, incoming, claims=row.claims)
            async with asyncio.timeout(handler.limits.deadline + GRACE):
                return await Accountable(handler.handle(incoming), self._blame, (row.id, row.partition, account.bot_name))
        finally:
            typing.cancel()
            measures.handled(account.kind, time.monotonic() - began)

    def _failed(self, lane: Lane, incoming: Incoming, row: Pending, run: Run, error: Exception) -> Done | Failure:
        self._traces.failed(run, error)
        crashed = isinstance(error, BotDied)
        text = _said(error)
        event(
            logger,
            "handler_failed",
            level=logging.ERROR,
            exception=error,
            message_id=row.id,
            bot=incoming.bot,
            attempt=incoming.attempt,
        )
        if crashed and row.claims + 1 >= CRASHES:
            return self._parked(lane, incoming, row, run, ("crashed", text))
        failing = time.monotonic() - row.since if row.since else row.failing
        attempts = row.attempts + (0 if crashed else 1)
        decision = after_failure(max(1, attempts), failing=failing, chance=random.random())  # noqa: S311  # jitter, not a secret
        if isinstance(decision, GiveUp):
            return self._parked(lane, incoming, row, run, (decision.reason, text))
        wait = error.after if isinstance(error, HandlerFailed) and error.after is not None else decision.wait
        return Failure(
            row.partition,
            row.bot,
            row.id,
            min(wait, 60.0),
            text,
            0 if crashed else 1,
            int(crashed),
        )

    def _parked(self, lane: Lane, incoming: Incoming, row: Pending, run: Run, why: tuple[str, str]) -> Done:
        """Give a message up: a dead letter for the operator, one polite sentence for the person who wrote it."""
        reason, error = why
        run.ended, run.error = run.ended or time.time(), run.error or reason
        event(logger, "message_parked", level=logging.ERROR, message_id=row.id, bot=incoming.bot, reason=reason)
        apologise = getattr(self._handlers.get(row.bot), "apology", _apology)
        aside = incoming.channel in self._aside
        effects = Effects() if aside or incoming.event.kind in (Kind.SEND, Kind.SCHEDULE) else apologise(incoming)
        parked = (reason, error[:ERROR_LIMIT], incoming.attempt)
        return msgspec.structs.replace(_done(row, lane, effects, run, aside=aside), parked=parked)


def _apology(_incoming: Incoming) -> Effects:
    return Effects(actions=(Send(text=APOLOGY, plain=True),))


def homeless(row: Pending) -> Done | Failure:
    """Decide about a message whose channel is unknown: it may be very new, or it was removed."""
    decision = after_failure(row.attempts + 1, failing=0.0, chance=random.random())  # noqa: S311  # jitter, not a secret
    if isinstance(decision, GiveUp):
        return Done(row=row, parked=("gone", "Its channel was removed.", row.attempts + 1), began=time.time())
    return Failure(row.partition, row.bot, row.id, decision.wait, "Its channel is unknown.", 1, 0)


def _said(error: Exception) -> str:
    """Tell an error to the operator, in characters that Postgres keeps."""
    if isinstance(error, TimeoutError):
        text = str(error) or "It did not end within its deadline."
    elif isinstance(error, BotsteadError):
        text = f"{error}\n{error.__cause__!r}" if error.__cause__ else str(error)
    else:
        text = repr(error)
    return storable(text, limit=ERROR_LIMIT)


def _read(lane: Lane, row: Pending, account: Account, run: Run) -> Incoming:
    found = msgspec.structs.replace(EVENT.decode(row.payload), text=row.body or "", conversation=lane.conversation)
    if found.traceparent and (caller := tracecontext.parse(found.traceparent)) is not None and caller.sampled:
        run.sampled = True
    return _incoming(lane, row, account, found, run)


def _unread(lane: Lane, row: Pending, account: Account, run: Run) -> Incoming:
    kind = Kind.SEND if row.direction else Kind.UNKNOWN
    return _incoming(lane, row, account, Event(kind=kind, conversation=lane.conversation, key=""), run)


def _incoming(lane: Lane, row: Pending, account: Account, found: Event, run: Run) -> Incoming:
    return Incoming(
        id=row.id,
        bot=account.bot_name,
        channel=account.kind,
        account=account.id,
        conversation=lane.conversation,
        event=found,
        state=(lane.state or "{}").encode(),
        attempt=row.attempts + 1,
        received=row.at,
        trace=row.trace.hex,
        began=run.began,
        sampled=run.sampled,
    )


def _done(row: Pending, lane: Lane, effects: Effects, run: Run, *, aside: bool) -> Done:
    state = None if effects.state is None else effects.state.decode()
    if state is not None and len(state) > STATE_LIMIT:
        raise HandlerFailed(f"The state of the conversation is larger than {STATE_LIMIT} bytes. Keep less in it.")
    durable = tuple(action for action in effects.actions if not isinstance(action, Typing | AnswerButton))
    return Done(
        row=row,
        actions=durable,
        state=state,
        version=lane.version + 1,
        forwards=effects.forwards,
        began=run.began,
        run=run,
        aside=aside,
    )
