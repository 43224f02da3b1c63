"""The road's statements as methods, and the rows they give. Meaning lives in `pipeline/`; here is only SQL.

Each loop of the pipeline holds its own connection, so that none ever waits behind another.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec

from botstead.store.postgres import BY_KEY, Held, RowRefused
from botstead.store.queries import load

SQL = load("road")
NO_PART = "no partition of relation"


class NewMessage(NamedTuple):
    """A message to keep. `direction`: 0 from outside, 2 internal."""

    channel: int
    key: str
    partition: int
    bot: int
    conversation: str
    body: str
    payload: str
    trace: uuid.UUID
    direction: int


class Kept(NamedTuple):
    """A message that was new."""

    id: int
    channel: int
    key: str


class Pending(msgspec.Struct, kw_only=True):
    """A message waiting to be handled. Times are seconds."""

    partition: int
    bot: int
    id: int
    conversation: str
    claims: int
    attempts: int
    wait: float
    failing: float
    channel: int
    body: str | None
    payload: str
    trace: uuid.UUID
    at: float
    direction: int
    since: float = 0.0
    """In memory only: when it first failed, by the monotonic clock; 0 when it has not."""


class Above(NamedTuple):
    """Which part of the inbox to look at: what some bots have above an id, or with 0 and no bots all of it."""

    floor: int
    bots: Collection[int]


EVERYTHING = Above(0, ())


class Unsent(msgspec.Struct, kw_only=True):
    """A message waiting to be sent. Times are seconds."""

    partition: int
    id: int
    attempts: int
    unknown: bool
    wait: float
    bot: int
    channel: int
    conversation: str
    body: str | None
    payload: str
    trace: uuid.UUID
    at: float
    received: float
    """When the message was acknowledged that this answers."""


class State(NamedTuple):
    """A conversation's state and its version."""

    bot: int
    conversation: str
    version: int
    state: str


class Reply(NamedTuple):
    """A message that handling `in_id` wants to send. `began`: Unix seconds when its handler began."""

    in_id: int
    channel: int
    body: str
    payload: str
    trace: uuid.UUID
    began: float


class ForwardRow(NamedTuple):
    """Actions that handling `in_id` wants in another conversation."""

    in_id: int
    partition: int
    channel: int
    conversation: str
    payload: str
    trace: uuid.UUID


class Parked(NamedTuple):
    """A message that is given up."""

    in_id: int
    reason: str
    error: str
    attempts: int


class NewState(NamedTuple):
    """A conversation's next state; `version` is one more than the one it was computed from."""

    in_id: int
    version: int
    state: str


class OutcomeBatch(msgspec.Struct):
    """What one outcome statement carries: `done` is (partition, bot, id)."""

    done: list[tuple[int, int, int]]
    states: list[NewState]
    replies: list[Reply]
    forwards: list[ForwardRow]
    parked: list[Parked]


class Failure(NamedTuple):
    """A run that failed: try again after `wait` seconds."""

    partition: int
    bot: int
    id: int
    wait: float
    error: str
    counted: int
    crashed: int


class Mark(NamedTuple):
    """What became of a send, for good."""

    partition: int
    id: int
    outcome: str
    external_id: str
    reason: str
    detail: str
    attempts: int


class Postponed(NamedTuple):
    """A send that has to wait `wait` seconds."""

    partition: int
    id: int
    attempts: int
    wait: float
    unknown: bool


def _columns(rows: Sequence[tuple[object, ...]], width: int) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


class Ingest:
    """Writes the inbox. One connection."""

    def __init__(self, dsn: str, *, application: str) -> None:
        """Prepare; the first call connects.

        Args:
            dsn: where.
            application: shown in `pg_stat_activity`.
        """
        self._held = Held(dsn, application=f"{application} ingest")

    async def keep(self, messages: Sequence[NewMessage]) -> list[Kept]:
        """Keep what is new, durably, in one statement. At most one message a (channel, key).

        Raises:
            Unavailable: nothing may be acknowledged.
            RowRefused: the batch holds a row that Postgres refuses; nothing was kept.
        """
        columns = _columns(messages, 9)
        try:
            rows = await self._held.fetch(SQL["ingest"], *columns)
        except RowRefused as error:
            if NO_PART not in error.message:
                raise
            await self._held.fetch(SQL["extend"])
            rows = await self._held.fetch(SQL["ingest"], *columns)
        return [Kept(*row) for row in rows]

    async def known(self, channel: int, key: str) -> int | None:
        """Return the id that a dedup key got the first time."""
        rows = await self._held.fetch(SQL["known"], channel, key)
        return int(rows[0]["id"]) if rows else None

    async def waiting(self, *, limit: int) -> int:
        """Count what waits in the inbox, up to a limit."""
        return int((await self._held.fetch(SQL["waiting"], limit))[0]["waiting"])

    async def close(self) -> None:
        """Close the connection."""
        await self._held.close()


class Reader:
    """Reads what a worker has to do. One connection."""

    def __init__(self, dsn: str, *, application: str) -> None:
        """Prepare; the first call connects."""
        self._held = Held(dsn, application=f"{application} read")

    async def read(
        self,
        partitions: Collection[int],
        *,
        known: Collection[int],
        page: int,
        full: Collection[int],
        above: Above = EVERYTHING,
    ) -> list[Pending]:
        """Read pending messages.

        Args:
            partitions: mine.
            known: ids already in memory.
            page: rows for each partition and bot.
            full: bots that may take no more.
            above: where to begin. With a floor, its bots count, and `full` does not.
        """
        rows = await self._held.fetch(SQL["read"], list(partitions), list(known), page, list(full), above.floor, list(above.bots))
        return [Pending(**row) for row in rows]

    async def states(self, conversations: Collection[tuple[int, str]]) -> list[State]:
        """Read the state of conversations, given as (bot, key); those without any are absent."""
        rows = await self._held.fetch(SQL["states"], *_columns(list(conversations), 2))
        return [State(*row) for row in rows]

    async def unsent(self, partitions: Collection[int]) -> list[Unsent]:
        """Read everything still to be sent in some partitions."""
        return [Unsent(**row) for row in await self._held.fetch(SQL["unsent"], list(partitions))]

    async def overlooked(self, partitions: Collection[int], *, known: Collection[int], limit: int) -> list[Unsent]:
        """Read sends that are not in memory."""
        return [Unsent(**row) for row in await self._held.fetch(SQL["overlooked"], list(partitions), list(known), limit)]

    async def ghost(self, partition: int, conversation: str) -> list[Unsent]:
        """Read the sends of one conversation."""
        return [Unsent(**row) for row in await self._held.fetch(SQL["ghost"], partition, conversation)]

    async def close(self) -> None:
        """Close the connection."""
        await self._held.close()


class Writer:
    """Writes outcomes, behind the fence. One connection."""

    def __init__(self, dsn: str, *, application: str) -> None:
        """Prepare; the first call connects."""
        self._held = Held(dsn, application=f"{application} outcome", overrides=BY_KEY)

    async def outcome(self, worker: int, batch: OutcomeBatch) -> dict[int, list[int]]:
        """Commit a batch.

        Returns:
            For each message that is done now, the ids of its replies in order. A message that is absent was fenced,
            or already done by an outcome whose answer never came.

        Raises:
            Unavailable: it may or may not have committed.
            VersionConflict: a state version did not fit; nothing was committed.
            RowRefused: a row that Postgres refuses; nothing was committed.
        """
        arguments = (
            *_columns(batch.done, 3),
            *_columns(batch.states, 3),
            *_columns(batch.replies, 6),
            *_columns(batch.forwards, 6),
            *_columns(batch.parked, 4),
        )
        try:
            rows = await self._held.fetch(SQL["outcome"], worker, *arguments)
        except RowRefused as error:
            if NO_PART not in error.message:
                raise
            await self._held.fetch(SQL["extend"])
            rows = await self._held.fetch(SQL["outcome"], worker, *arguments)
        done: dict[int, list[int]] = {}
        for in_id, out_id, _ in rows:
            replies = done.setdefault(in_id, [])
            if out_id is not None:
                replies.append(out_id)
        return done

    async def failed(self, worker: int, failures: Sequence[Failure]) -> set[int]:
        """Count failures; returns the ids that were still mine."""
        rows = await self._held.fetch(SQL["failed"], worker, *_columns(failures, 7))
        return {row["id"] for row in rows}

    async def suspect(self, worker: int, rows: Sequence[Pending]) -> None:
        """Count a claim on each row."""
        await self._held.fetch(SQL["suspect"], worker, *_columns([(row.partition, row.bot, row.id) for row in rows], 3))

    async def alive(self, worker: int) -> bool:
        """Whether my worker row still exists."""
        return any(row["id"] == worker for row in await self._held.fetch(SQL["workers"]))

    async def close(self) -> None:
        """Close the connection."""
        await self._held.close()


class Marker:
    """Writes what became of sends, without waiting for the disk. One connection."""

    def __init__(self, dsn: str, *, application: str) -> None:
        """Prepare; the first call connects."""
        self._held = Held(dsn, application=f"{application} marks", overrides={**BY_KEY, "synchronous_commit": "off"})

    async def marks(self, marks: Sequence[Mark]) -> None:
        """Write final marks."""
        await self._held.fetch(SQL["marks"], *_columns(marks, 7))

    async def postpone(self, postponed: Sequence[Postponed]) -> None:
        """Write what has to wait."""
        await self._held.fetch(SQL["postpone"], *_columns(postponed, 5))

    async def close(self) -> None:
        """Close the connection."""
        await self._held.close()
