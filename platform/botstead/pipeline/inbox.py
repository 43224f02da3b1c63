"""The durable door: nothing is acknowledged before its transaction has committed.

One loop takes whatever is queued, with no timer, so that a lone message waits for nothing and a burst shares one
fsync. Duplicates are found by a unique key in the same statement. Beyond its bounds the door answers «unavailable»,
and the provider delivers again.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from hashlib import sha256

import msgspec

from botstead.core.errors import Unavailable, Unreadable
from botstead.core.messages import Event, Kind
from botstead.core.ports import Account, Wake
from botstead.pipeline.batch import Batcher
from botstead.pipeline.horizon import Spared
from botstead.pipeline.partitions import conversation_key, partition_of
from botstead.runtime.tasks import within
from botstead.store.postgres import RowRefused
from botstead.store.road import Ingest, NewMessage
from botstead.telemetry import tracecontext
from botstead.telemetry.catalog import DUPLICATES
from botstead.telemetry.exemplars import kept

QUEUE_LIMIT = 5_000
"""Messages waiting for their commit in this process."""
QUEUE_BYTES = 64 * 1024 * 1024
"""Bytes waiting for their commit in this process."""
KEY_LIMIT = 200
"""Longer dedup keys are replaced by their hash."""
BACKLOG_EVERY = 0.5
"""Seconds between two looks at how much waits in the database …"""
AHEAD_EVERY = 0.05
"""… and while ingest is ahead of the workers."""
AHEAD = 1_000
"""Waiting messages from which on ingest waits for the workers: replies then come in time, at the same throughput."""
AHEAD_WAIT = 1.0
"""Longest such wait in seconds; a third of the shortest deadline of any provider."""
ANSWER_WAIT = 2.0
"""Longest wait for a commit, in seconds. A database that hangs (locks, a disk that stalls) is one that cannot answer now."""
INTERNAL = 2
"""`message.direction` of what is asked for from inside, and of what a provider notifies us of."""
NOT_SAID = frozenset({Kind.SEND, Kind.SCHEDULE, Kind.PAYMENT, Kind.STATUS})
"""Kinds that are nobody's message: they stand in no list of conversations and in no history."""


class Inbox:
    """Keeps events. One for each ingest process."""

    def __init__(
        self,
        ingest: Ingest,
        wake: Wake,
        *,
        resolve: Callable[[int, str], str | None],
        backlog_limit: int,
    ) -> None:
        """Prepare; `run` does the work.

        Args:
            ingest: the statements.
            wake: told after each commit.
            resolve: (channel, external id) to a conversation that has moved there, or None.
            backlog_limit: waiting messages above which nothing is taken.
        """
        self._ingest = ingest
        self._wake = wake
        self._resolve = resolve
        self._backlog_limit = backlog_limit
        self._room: Callable[[], Awaitable[None]] | None = None
        self._batcher: Batcher[list[NewMessage], list[int]] = Batcher(self._flush, patience=ANSWER_WAIT)
        self._queued = 0
        self._bytes = 0
        self._full = False
        self._level = asyncio.Event()
        self._level.set()
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        """Commit batches, and watch the backlog, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._batcher.run(), name="inbox-commit")
            group.create_task(self._watch(), name="inbox-backlog")

    def pace(self, room: Callable[[], Awaitable[None]]) -> None:
        """Wait before each commit, in a process that also handles.

        Args:
            room: returns once not too much is unanswered.
        """
        self._room = room

    async def accept(self, account: Account, events: Sequence[Event]) -> int:
        """Keep events; returns how many were new, after the commit.

        Raises:
            Unavailable: they were not kept; the provider should deliver again.
            Unreadable: an event cannot be kept at all.
        """
        new = sum(1 for message in await self._keep(account, events) if message)
        if new < len(events):
            DUPLICATES.at(account.kind).inc(len(events) - new)
        return new

    async def accept_one(self, account: Account, event: Event) -> int:
        """Keep one event; returns the message id, that of the first one when it is a duplicate.

        Raises:
            Unavailable: see `accept`.
        """
        (message,) = await self._keep(account, (event,))
        if message:
            return message
        async with self._turn:
            return await self._ingest.known(account.id, _dedup_key(event.key)) or 0

    async def _keep(self, account: Account, events: Sequence[Event]) -> list[int]:
        if not events:
            return []
        rows = [self._row(account, event) for event in events]
        size = sum(len(row.payload) + len(row.body) for row in rows)
        if self._full:
            raise Unavailable("Too many messages wait to be handled.", after=5)
        if self._queued + len(rows) > QUEUE_LIMIT or self._bytes + size > QUEUE_BYTES:
            raise Unavailable("Too many messages arrive at once.", after=1)
        self._queued += len(rows)
        self._bytes += size
        kept.set(rows[0].trace)
        try:
            if self._room is not None:
                await self._room()
            elif not self._level.is_set():
                await within(AHEAD_WAIT, self._level)
            return await self._commit(rows)
        except TimeoutError as error:
            raise Unavailable("The database does not answer in time.", after=1) from error
        finally:
            self._queued -= len(rows)
            self._bytes -= size

    async def _commit(self, rows: list[NewMessage]) -> list[int]:
        """Commit with others; when one of the batch is refused, each tries alone, so that none pays for another."""
        try:
            return await self._batcher.submit(rows)
        except RowRefused:
            try:
                return (await self._flush([rows]))[0]
            except RowRefused as error:
                raise Unreadable("The event holds a value that cannot be kept.") from error

    def _row(self, account: Account, event: Event) -> NewMessage:
        conversation = self._resolve(account.id, event.conversation) or conversation_key(account.id, event.conversation)
        return NewMessage(
            account.id,
            _dedup_key(event.key),
            partition_of(conversation),
            account.bot,
            conversation,
            event.text.replace("\0", "\ufffd"),
            _payload(event),
            _trace(event),
            INTERNAL if event.kind in NOT_SAID else 0,
        )

    async def _flush(self, batch: list[list[NewMessage]]) -> list[list[int]]:
        first: dict[tuple[int, str], NewMessage] = {}
        for rows in batch:
            for row in rows:
                first.setdefault((row.channel, row.key), row)
        async with self._turn:
            kept = {(row.channel, row.key): row.id for row in await self._ingest.keep(list(first.values()))}
        if kept:
            self._wake.publish("inbox")
        # A key that came twice in one batch is new once.
        return [[kept.pop((row.channel, row.key), 0) for row in rows] for rows in batch]

    async def _watch(self) -> None:
        look = Spared()
        while True:
            with suppress(Unavailable):  # the commit loop meets the same outage and answers for it
                async with self._turn:
                    with look:
                        waiting = await self._ingest.waiting(limit=self._backlog_limit + 1)
                self._full = waiting > self._backlog_limit
                if waiting > AHEAD:
                    self._level.clear()
                else:
                    self._level.set()
            await asyncio.sleep(max(BACKLOG_EVERY if self._level.is_set() else AHEAD_EVERY, look.rest))


def _trace(event: Event) -> uuid.UUID:
    """The caller's trace, or one of our own that says when it began."""
    caller = tracecontext.parse(event.traceparent) if event.traceparent else None
    return caller.trace if caller is not None else tracecontext.new_trace(time.time_ns())


def _dedup_key(key: str) -> str:
    return key if len(key) <= KEY_LIMIT and "\0" not in key else sha256(key.encode(errors="surrogatepass")).hexdigest()


def _payload(event: Event) -> str:
    """Encode what is not kept in columns of its own."""
    lean = msgspec.structs.replace(event, text="", key="", conversation="")
    try:
        return msgspec.json.encode(lean).decode().replace("\0", "")
    except UnicodeError as error:
        raise Unreadable("The body is not valid UTF-8.") from error
