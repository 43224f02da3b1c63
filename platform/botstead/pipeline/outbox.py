"""The outcome: replies, state, history and «done» in one transaction, batched like ingest, behind the fence.

An outcome whose answer never came is simply tried again: either it commits now, or its inbox row is already gone
although the fence holds (a «ghost»), and then its replies are read from the outbox.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec

from botstead.core.errors import BotsteadError, Fenced, Unavailable
from botstead.core.messages import Action
from botstead.core.ports import Forward
from botstead.pipeline.batch import Batcher
from botstead.pipeline.partitions import account_of, partition_of
from botstead.store.postgres import RowRefused, VersionConflict
from botstead.store.road import Failure, ForwardRow, NewState, OutcomeBatch, Parked, Pending, Reply, Writer
from botstead.telemetry.logs import event
from botstead.telemetry.tracing import Run

AGAIN = 0.25
"""Seconds before an outcome is tried again after the database went away."""

logger = logging.getLogger(__name__)


class Ghost(BotsteadError):
    """This message was already done by an outcome whose answer never came. Its replies stand in the outbox."""

    code = "ghost"


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What handling one message did.

    Args:
        row: the message.
        actions: for its own conversation, in order.
        state: the next state, or None when it stays; `version` is its number.
        forwards: for other conversations.
        parked: (reason, error, attempts) when it is given up.
        began: Unix seconds when handling began.
        run: what was noted of it.
        aside: whether it is no message to a bot, so that no promise is about it.
    """

    row: Pending
    actions: tuple[Action, ...] = ()
    state: str | None = None
    version: int = 0
    forwards: tuple[Forward, ...] = ()
    parked: tuple[str, str, int] | None = None
    began: float = 0.0
    run: Run | None = None
    aside: bool = False


class Outbox:
    """Commits outcomes."""

    def __init__(self, writer: Writer, *, worker: Callable[[], int], fenced: Callable[[int], None]) -> None:
        """Prepare; `run` does the work.

        Args:
            writer: the statements.
            worker: my current worker id, the fence.
            fenced: told of a worker id that met it.
        """
        self._writer = writer
        self._worker = worker
        self._fenced = fenced
        self._batcher: Batcher[Done, list[int] | BotsteadError] = Batcher(self._flush)
        self._down = False

    @property
    def idle(self) -> bool:
        """Whether nothing waits for its commit."""
        return self._batcher.idle

    async def run(self) -> None:
        """Commit batches until cancelled."""
        await self._batcher.run()

    async def commit(self, done: Done) -> list[int]:
        """Commit one outcome together with others; returns the ids of its replies.

        Raises:
            Fenced: this worker was buried; nothing was committed.
            Ghost: it had been committed before.
            VersionConflict: the state was changed by somebody else; nothing was committed.
            RowRefused: the outcome holds a value that cannot be kept; nothing was committed.
        """
        result = await self._batcher.submit(done)
        if isinstance(result, BotsteadError):
            raise result
        return result

    async def _flush(self, items: list[Done]) -> list[list[int] | BotsteadError]:
        worker = self._worker()
        try:
            found = await self._insist(worker, items)
        except (RowRefused, VersionConflict, UnicodeError) as error:
            if len(items) == 1:
                return [error if isinstance(error, BotsteadError) else RowRefused(f"It is not valid UTF-8: {error}")]
            # One row spoils the batch: each goes alone, so that only that one fails.
            return [(await self._flush([item]))[0] for item in items]
        missing = [item for item in items if item.row.id not in found]
        if not missing:
            return [found[item.row.id] for item in items]
        if await self._alive(worker):
            return [found.get(item.row.id, Ghost()) for item in items]
        self._fenced(worker)
        return [found.get(item.row.id, Fenced()) for item in items]

    async def _insist(self, worker: int, items: list[Done]) -> dict[int, list[int]]:
        batch = batch_of(items)
        while True:
            try:
                found = await self._writer.outcome(worker, batch)
            except Unavailable as error:
                if not self._down:
                    self._down = True
                    event(logger, "outcomes_wait", level=logging.WARNING, error=error.message)
                await asyncio.sleep(AGAIN)
            else:
                if self._down:
                    self._down = False
                    event(logger, "outcomes_flow")
                return found

    async def _alive(self, worker: int) -> bool:
        while True:
            try:
                return await self._writer.alive(worker)
            except Unavailable:
                await asyncio.sleep(AGAIN)


def failures(writer: Writer, worker: Callable[[], int]) -> Batcher[Failure, bool]:
    """Make what counts failed runs, batched; each learns whether its message was still mine.

    Args:
        writer: the statements.
        worker: my current worker id, the fence.
    """

    async def flush(found: list[Failure]) -> list[bool]:
        while True:
            try:
                mine = await writer.failed(worker(), found)
            except Unavailable:
                await asyncio.sleep(AGAIN)
            else:
                return [failure.id in mine for failure in found]

    return Batcher(flush)


def batch_of(items: list[Done]) -> OutcomeBatch:
    """Lay out outcomes as the columns of one statement. Pure."""
    batch = OutcomeBatch(done=[], states=[], replies=[], forwards=[], parked=[])
    for item in items:
        row = item.row
        batch.done.append((row.partition, row.bot, row.id))
        if item.state is not None:
            batch.states.append(NewState(row.id, item.version, item.state))
        for action in item.actions:
            batch.replies.append(Reply(row.id, row.channel, _text(action), encoded(action), row.trace, item.began))
        for forward in item.forwards:
            payload = encoded_actions(forward.actions)
            target = forward.conversation
            batch.forwards.append(ForwardRow(row.id, partition_of(target), account_of(target), target, payload, row.trace))
        if item.parked is not None:
            batch.parked.append(Parked(row.id, *item.parked))
    return batch


def _text(action: Action) -> str:
    return getattr(action, "text", "").replace("\0", "\ufffd")


def encoded(action: Action) -> str:
    """Encode an action as it is kept in history."""
    return msgspec.json.encode(action).decode()


def encoded_actions(actions: tuple[Action, ...]) -> str:
    """Encode the event that asks for actions in another conversation."""
    return msgspec.json.encode({"kind": "send", "conversation": "", "key": "", "actions": actions}).decode()
