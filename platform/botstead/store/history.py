"""What was said: conversations, messages with their timeline, search. Read-only, and every list is a keyset page.

Message ids are given out in order and densely, so a range of ids is a bound on work.
"""

from __future__ import annotations

import asyncpg
import msgspec

from botstead.core.errors import NotFound
from botstead.store import queries
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

SPANS = (2_000, 18_000, 100_000)
"""Ids looked at, span after span, for the conversations of one page."""
ABOVE = (5_000, 20_000, 50_000)
"""Ids above the page that are read with each span, to know many of those that have a newer message."""
ANSWERS_WITHIN = 2_000
"""Rows of a conversation looked at to find the answers to a message."""
_SQL = queries.load("history")


class Tale(msgspec.Struct, frozen=True, kw_only=True):
    """One message and its timeline: «where is my message?» in one answer. `payload` is JSON as it was kept."""

    message: MessageRecord
    kind: str
    trace: str
    external_id: str
    payload: msgspec.Raw
    timeline: tuple[Step, ...]


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
        steps = inbound(row, answers) if row["direction"] != 1 else outbound(row)
        return Tale(
            message=message_from({**row, "status": steps[-1].what}),
            kind=row["kind"],
            trace=row["trace"].hex if row["trace"] else "",
            external_id=row["external_id"] or "",
            payload=msgspec.Raw((row["payload"] or "null").encode()),
            timeline=tuple(steps),
        )

    async def index_closed_parts(self) -> list[str]:
        """Index the words of ids that take no more messages. For the scheduler; safe to repeat, see `store/search.py`.

        Returns:
            The names of the indexes that were built now.

        Raises:
            Unavailable: one took too long, for somebody's transaction stayed open; the next call goes on.
        """
        return await index_closed(self._postgres)


async def _upper(connection: asyncpg.Connection, before: int | None) -> int:
    newest = int(await connection.fetchval(_SQL["newest"]))
    return newest if before is None else min(before, newest)


def _page(items: list[MessageRecord], limit: int) -> Found:
    more = len(items) > limit
    return Found(items=tuple(items[:limit]), next=items[limit - 1].id if more else None)
