"""What was said: conversations, messages with their timeline, search. Read-only, and every list is a keyset page.

Message ids are given out in order and densely, so a range of ids is a bound on work.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import asyncpg
import msgspec

from botstead.core.errors import NotFound
from botstead.store import queries
from botstead.store.journeys import ANSWERS_WITHIN, Journeys, find
from botstead.store.journeys import read as journeys_of
from botstead.store.postgres import Postgres
from botstead.store.search import Search, index_closed
from botstead.store.timeline import Step, inbound, outbound
from botstead.store.transcripts import (
    EVERYTHING,
    ConversationRecord,
    Found,
    MessageRecord,
    Scope,
    Talks,
    conversation_from,
    message_from,
)
from botstead.telemetry.explain import explain
from botstead.telemetry.journey import Journey
from botstead.telemetry.spans import Span, spans
from botstead.telemetry.stages import Stage, stages

SPANS = (2_000, 18_000, 100_000)
"""Ids looked at, span after span, for the conversations of one page."""
ABOVE = (5_000, 20_000, 50_000)
"""Ids above the page that are read with each span, to know many of those that have a newer message."""
_SQL = queries.load("history")


class Tale(msgspec.Struct, frozen=True, kw_only=True):
    """One message and its timeline: «where is my message?» in one answer.

    Args:
        message: what was said.
        kind: of its channel.
        trace: 32 hex digits.
        external_id: the provider's id of what was sent.
        payload: JSON as it was kept.
        timeline: what happened to it, in order.
        where: where it is, in one sentence.
        why: what went wrong, empty when nothing did.
        advice: what to do next, empty when there is nothing to do.
        milliseconds: from its arrival until now, or until nothing is left to do.
        stages: where that time went.
    """

    message: MessageRecord
    kind: str
    trace: str
    external_id: str
    payload: msgspec.Raw
    timeline: tuple[Step, ...]
    where: str = ""
    why: str = ""
    advice: str = ""
    milliseconds: float = 0.0
    stages: tuple[Stage, ...] = ()


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """The spans of a trace, oldest first. `messages` are those that came in or were asked for, each with its own tree."""

    trace: str
    messages: tuple[int, ...]
    spans: tuple[Span, ...]


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
            top = upper = await _upper(connection, before)
            for span, above in zip(SPANS, ABOVE, strict=True):
                lower, left = max(upper - span, 0), limit - len(found)
                rows = await connection.fetch(_SQL["conversations"], lower, upper, scope.bot, scope.channel, left, top + above)
                found.extend(map(conversation_from, rows))
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
        return _page([message_from(row) for row in rows], limit)

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
        async with self._postgres.unit() as connection:
            upper = await _upper(connection, before)
            return await Search(connection, words, scope=scope, limit=limit).run(upper)

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
            said = row["direction"] == 1
            journeys = await journeys_of(connection, [row["reply_to"] if said else message])
        steps = outbound(row) if said else inbound(row, answers)
        tale = Tale(
            message=message_from({**row, "status": steps[-1].what}),
            kind=row["kind"],
            trace=row["trace"].hex if row["trace"] else "",
            external_id=row["external_id"] or "",
            payload=msgspec.Raw((row["payload"] or "null").encode()),
            timeline=tuple(steps),
        )
        return _with_road(tale, journeys[0], _words(row), reply=message if said else None) if journeys else tale

    async def traced(self, trace: uuid.UUID, *, limit: int) -> Found:
        """Return the messages of a trace, newest first.

        Args:
            trace: its id.
            limit: at most so many.
        """
        async with self._postgres.connection() as connection:
            ids = await find(connection, trace)
            rows = await connection.fetch(_SQL["some"], ids)
        return Found(items=tuple(message_from(row) for row in rows[:limit]))

    async def trace(self, trace: uuid.UUID) -> Trace:
        """Return the spans of a trace.

        Args:
            trace: its id.

        Raises:
            NotFound: no message belongs to it.
        """
        found = await Journeys(self._postgres).traced(trace)
        if not found:
            raise NotFound("No message belongs to that trace.")
        told = sorted((span for journey in found for span in spans(journey)), key=lambda span: span.began)
        return Trace(trace=trace.hex, messages=tuple(journey.message for journey in found), spans=tuple(told))

    async def index_closed_parts(self) -> list[str]:
        """Index the words of ids that take no more messages. For the scheduler; safe to repeat, see `store/search.py`.

        Returns:
            The names of the indexes that were built now.

        Raises:
            Unavailable: one took too long, for somebody's transaction stayed open; the next call goes on.
        """
        return await index_closed(self._postgres)


def _words(row: Mapping[str, Any]) -> str:
    """The last error, as it was kept."""
    return row["inbox_error"] or row["detail"] or row["error"] or ""


def _with_road(tale: Tale, journey: Journey, words: str, *, reply: int | None) -> Tale:
    told, parts = explain(journey, words=words, reply=reply), stages(journey, reply=reply)
    whole = max((part.offset + part.milliseconds for part in parts), default=0.0)
    return msgspec.structs.replace(
        tale, where=told.where, why=told.why, advice=told.advice, milliseconds=round(whole, 3), stages=tuple(parts)
    )


async def _upper(connection: asyncpg.Connection, before: int | None) -> int:
    newest = int(await connection.fetchval(_SQL["newest"]))
    return newest if before is None else min(before, newest)


def _page(items: list[MessageRecord], limit: int) -> Found:
    more = len(items) > limit
    return Found(items=tuple(items[:limit]), next=items[limit - 1].id if more else None)
