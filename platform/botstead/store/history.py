"""What was said: conversations, messages with their timeline, search. Read-only, and every list is a keyset page.

Message ids are given out in order and densely, so a range of ids is a bound on work. Closed parts of `message` have an
index on their words; the open part and the newest rows are read instead, within that bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import asyncpg
import msgspec

from botstead.core.errors import Invalid, NotFound
from botstead.store import queries
from botstead.store.postgres import Postgres
from botstead.store.timeline import Step, inbound, outbound

PART_ROWS = 500_000
"""Ids in one part of `message`, as `extend_message` cuts them."""
CLOSED_AFTER = 10_000
"""Ids that must have been given out beyond a part before it counts as closed: late commits have landed by then."""
SPANS = (2_000, 10_000, 40_000, 150_000)
"""Ids looked at, span after span, for the conversations of one page."""
PROBES = (500, 5_000)
"""Newest ids read one by one before any index is asked: a common word fills its page from these alone."""
READ_SPAN = 50_000
"""Ids read one by one in a single statement, where no index covers them."""
READ_AT_MOST = 600_000
"""Ids read one by one for one page: a whole open part. A page cut short here still names the next one."""
INDEX_SECONDS = 900.0
"""How long the index of one part may take to build."""
ANSWERS_WITHIN = 2_000
"""Rows of a conversation looked at to find the answers to a message."""
DIRECTIONS = ("in", "out", "internal")
_SQL = queries.load("history")

Direction = Literal["in", "out", "internal"]


class ConversationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation with its newest message."""

    id: str
    bot: str
    channel: str
    kind: str
    last_message: int
    last_direction: Direction
    last_text: str
    last_at: datetime


class MessageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A message as lists show it. `status`: received; or waiting, sent, failed, unknown; empty in search results."""

    id: int
    direction: Direction
    bot: str
    channel: str
    conversation: str
    text: str
    at: datetime
    reply_to: int | None = None
    status: str = ""


class Tale(msgspec.Struct, frozen=True, kw_only=True):
    """One message and its timeline: «where is my message?» in one answer. `payload` is JSON as it was kept."""

    message: MessageRecord
    kind: str
    trace: str
    external_id: str
    payload: msgspec.Raw
    timeline: tuple[Step, ...]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A page of messages; `next` is the `before` of the next page, None at the end."""

    items: tuple[MessageRecord, ...]
    next: int | None = None


class Talks(msgspec.Struct, frozen=True, kw_only=True):
    """A page of conversations; `next` as in `Found`."""

    items: tuple[ConversationRecord, ...]
    next: int | None = None


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Which messages a list is about: of one bot, of one channel, or all. Both are internal numbers."""

    bot: int | None = None
    channel: int | None = None


EVERYTHING = Scope()


class History:
    """Reads what was said."""

    def __init__(self, postgres: Postgres) -> None:
        """Prepare; nothing is read yet.

        Args:
            postgres: where the messages are.
        """
        self._postgres = postgres

    async def conversations(self, *, limit: int, before: int | None = None, scope: Scope = EVERYTHING) -> Talks:
        """Return conversations by falling last activity.

        A page may hold fewer than `limit` and still have a next one: work is bounded, not only rows.

        Args:
            limit: at most so many.
            before: only conversations whose newest message id is below this.
            scope: of which bot or channel.
        """
        found: list[ConversationRecord] = []
        async with self._postgres.connection() as connection:
            upper = await _upper(connection, before)
            for span in SPANS:
                lower = max(upper - span, 0)
                rows = await connection.fetch(_SQL["conversations"], lower, upper, scope.bot, scope.channel, limit - len(found))
                found.extend(map(_conversation, rows))
                if len(found) == limit:
                    return Talks(items=tuple(found), next=found[-1].last_message)
                upper = lower
                if upper == 0:
                    return Talks(items=tuple(found))
        return Talks(items=tuple(found), next=upper)

    async def messages(self, conversation: str, *, limit: int, before: int | None = None) -> Found:
        """Return the messages of one conversation, newest first.

        Args:
            conversation: its key.
            limit: at most so many.
            before: only ids below this.
        """
        async with self._postgres.connection() as connection:
            upper = await _upper(connection, before)
            rows = await connection.fetch(_SQL["messages"], conversation, upper, limit + 1)
        return _page([_message(row) for row in rows], limit)

    async def search(self, words: str, *, limit: int, before: int | None = None, scope: Scope = EVERYTHING) -> Found:
        """Return messages that hold every word, newest first; without words, the newest messages.

        Args:
            words: what to look for, in any order and case; whole words.
            limit: at most so many.
            before: only ids below this.
            scope: of which bot or channel.

        Raises:
            Invalid: the text holds no word.
        """
        async with self._postgres.connection() as connection:
            search = _Search(connection, words, scope=scope, limit=limit)
            await search.prepare()
            return await search.run(await _upper(connection, before))

    async def one(self, message: int) -> Tale:
        """Return one message and everything that happened to it.

        Args:
            message: its id.

        Raises:
            NotFound: there is none.
        """
        async with self._postgres.connection() as connection:
            row = await connection.fetchrow(_SQL["one"], message)
            if row is None:
                raise NotFound("There is no message by that id.")
            answers = await connection.fetch(_SQL["answers"], row["conversation"], message, ANSWERS_WITHIN)
        steps = inbound(row, answers) if row["direction"] != 1 else outbound(row)
        return Tale(
            message=_message({**row, "status": steps[-1].what}),
            kind=row["kind"],
            trace=row["trace"].hex if row["trace"] else "",
            external_id=row["external_id"] or "",
            payload=msgspec.Raw((row["payload"] or "null").encode()),
            timeline=tuple(steps),
        )

    async def index_closed_parts(self) -> list[int]:
        """Index the words of parts that take no more messages. For the scheduler; safe to repeat.

        Returns:
            The numbers of the parts that were indexed now.
        """
        done = []
        async with self._postgres.connection() as connection:
            newest = await connection.fetchval(_SQL["newest"])
            parts = await connection.fetch(_SQL["parts"])
        for row in parts:
            if not row["indexed"] and newest >= (row["part"] + 1) * PART_ROWS + CLOSED_AFTER:
                await self._index(row["part"])
                done.append(row["part"])
        return done

    async def _index(self, part: int) -> None:
        async with self._postgres.unit() as connection:
            await connection.execute("SET LOCAL statement_timeout = 0")
            await connection.execute("SET LOCAL maintenance_work_mem = '64MB'")
            await connection.execute(_SQL["index_part"].replace("{part}", str(int(part))), timeout=INDEX_SECONDS)


class _Search:
    """One search on one connection: probe the newest rows, then go back part by part until the page is full."""

    def __init__(self, connection: asyncpg.Connection, words: str, *, scope: Scope, limit: int) -> None:
        self._connection = connection
        self._words = words.strip() or None
        self._scope = scope
        self._limit = limit
        self._patterns: list[str] = []
        self._budget = READ_AT_MOST
        self._found: list[MessageRecord] = []

    async def prepare(self) -> None:
        if self._words is None:
            return
        lexemes = await self._connection.fetchval(_SQL["words"], self._words)
        if not lexemes:
            raise Invalid("There is no word to search for.")
        self._patterns = [f"%{_literal(lexeme)}%" for lexeme in lexemes]

    async def run(self, upper: int) -> Found:
        for span in PROBES:
            upper = await self._read(max(upper - span, 0), upper)
        for row in await self._connection.fetch(_SQL["parts"]):
            first = row["part"] * PART_ROWS
            if first < upper and self._goes_on:
                upper = await self._part(first, upper, indexed=row["indexed"])
        if self._left < 0:
            return Found(items=tuple(self._found[: self._limit]), next=self._found[self._limit - 1].id)
        return Found(items=tuple(self._found), next=upper if upper > 0 and self._budget <= 0 else None)

    @property
    def _left(self) -> int:
        return self._limit - len(self._found)

    @property
    def _goes_on(self) -> bool:
        return self._left >= 0 and self._budget > 0

    async def _part(self, first: int, upper: int, *, indexed: bool) -> int:
        if indexed and self._words is not None:
            await self._keep("indexed", first, upper, self._words)
            return first
        while upper > first and self._goes_on:
            upper = await self._read(max(upper - READ_SPAN, first), upper)
        return upper

    async def _read(self, lower: int, upper: int) -> int:
        if self._goes_on and lower < upper:
            await self._keep("recent", lower, upper, self._words, self._patterns)
            self._budget -= upper - lower
        return lower

    async def _keep(self, statement: str, lower: int, upper: int, *what: Any) -> None:
        """Keep what a statement finds: one more than asked for tells that there is a next page."""
        arguments = (lower, upper, self._scope.bot, self._scope.channel, *what, self._left + 1)
        self._found.extend(map(_message, await self._connection.fetch(_SQL[statement], *arguments)))


async def _upper(connection: asyncpg.Connection, before: int | None) -> int:
    newest = int(await connection.fetchval(_SQL["newest"]))
    return newest if before is None else min(before, newest)


def _literal(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _page(items: list[MessageRecord], limit: int) -> Found:
    more = len(items) > limit
    return Found(items=tuple(items[:limit]), next=items[limit - 1].id if more else None)


def _conversation(row: Mapping[str, Any]) -> ConversationRecord:
    return ConversationRecord(
        id=row["conversation"],
        bot=row["bot"],
        channel=row["channel"],
        kind=row["kind"],
        last_message=row["id"],
        last_direction=DIRECTIONS[row["direction"]],  # type: ignore[arg-type]  # the column holds 0, 1 or 2
        last_text=row["body"] or "",
        last_at=row["at"],
    )


def _message(row: Mapping[str, Any]) -> MessageRecord:
    return MessageRecord(
        id=row["id"],
        direction=DIRECTIONS[row["direction"]],  # type: ignore[arg-type]  # the column holds 0, 1 or 2
        bot=row["bot"],
        channel=row["channel"],
        conversation=row["conversation"],
        text=row["body"] or "",
        at=row["at"],
        reply_to=row["reply_to"],
        status=row["status"],
    )
