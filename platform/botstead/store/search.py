"""Search by words, and the indexes that make it fast.

An index on words doubles what keeping a message costs, so no message is indexed while it is being kept. Instead the ids
that take no more messages are indexed afterwards: chunk by chunk in the open part of `message`, and a whole part at once
when it is closed, which replaces its chunks. Only the newest ids, which nothing covers yet, are read one by one.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import asyncpg

from botstead.core.errors import Invalid
from botstead.store import queries
from botstead.store.postgres import Postgres
from botstead.store.transcripts import Found, MessageRecord, Scope, message_from

PART_ROWS = 500_000
"""Ids in one part of `message`, as `extend_message` cuts them."""
CHUNK_ROWS = 50_000
"""Ids in one chunk of the open part; divides `PART_ROWS`."""
CLOSED_AFTER = 10_000
"""Ids that must have been given out beyond a part or chunk before it counts as closed: late commits have landed by then."""
PROBES = (500, 5_000)
"""Newest ids read one by one before any index is asked: a common word fills its page from these alone."""
READ_SPAN = 50_000
"""Ids read one by one in a single statement, where no index covers them."""
READ_AT_MOST = 600_000
"""Ids read one by one for one page. A page cut short here still names the next one."""
INDEX_SECONDS = 900.0
"""How long one index may take to build."""
_NAME = re.compile(r"message_(\d+)_words(?:_(\d+))?", re.ASCII)
_SQL = queries.load("search")


class Cover(NamedTuple):
    """Ids whose words an index holds: from `first`, below `end`. `name` is the index's, `part` its table's number."""

    first: int
    end: int
    name: str
    part: int
    valid: bool

    @property
    def whole(self) -> bool:
        """Whether it covers a whole part."""
        return self.end - self.first == PART_ROWS


def cover_of(name: str, *, valid: bool) -> Cover | None:
    """Read what an index covers from its name; None when it is none of ours.

    Args:
        name: `message_<part>_words`, or `message_<part>_words_<chunk>`.
        valid: whether it was built to its end.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    part, chunk = int(found[1]), found[2]
    if chunk is None:
        return Cover(part * PART_ROWS, (part + 1) * PART_ROWS, name, part, valid)
    first = part * PART_ROWS + int(chunk) * CHUNK_ROWS
    return Cover(first, first + CHUNK_ROWS, name, part, valid)


def wanted(*, newest: int, parts: Sequence[int]) -> list[Cover]:
    """Say which indexes there should be, oldest first: one a closed part, one a closed chunk of the others.

    Args:
        newest: the newest id given out.
        parts: numbers of the parts there are.
    """
    closed = newest - CLOSED_AFTER
    found: list[Cover] = []
    for part in sorted(parts):
        first, end = part * PART_ROWS, (part + 1) * PART_ROWS
        if end <= closed:
            found.append(Cover(first, end, f"message_{part}_words", part, valid=True))
            continue
        for chunk in range(PART_ROWS // CHUNK_ROWS):
            start = first + chunk * CHUNK_ROWS
            if start + CHUNK_ROWS <= closed:
                found.append(Cover(start, start + CHUNK_ROWS, f"message_{part}_words_{chunk}", part, valid=True))
    return found


async def covers(connection: asyncpg.Connection) -> list[Cover]:
    """Return the indexes on words that there are, newest ids first."""
    rows = await connection.fetch(_SQL["indexes"])
    found = [cover_of(row["name"], valid=row["valid"]) for row in rows]
    return sorted((cover for cover in found if cover is not None), reverse=True)


async def index_closed(postgres: Postgres) -> list[str]:
    """Build the indexes that are missing, and drop those that are broken or replaced. Messages are kept on meanwhile.

    Args:
        postgres: where the messages are.

    Returns:
        The names of the indexes that were built now.

    Raises:
        Unavailable: an index took longer than `INDEX_SECONDS`, for somebody's transaction stayed open; the next call goes on.
    """
    async with postgres.connection() as connection:
        newest = int(await connection.fetchval(_SQL["newest"]))
        parts = [row["part"] for row in await connection.fetch(_SQL["parts"])]
        present = await covers(connection)
        goal = {cover.name: cover for cover in wanted(newest=newest, parts=parts)}
        have = {cover.name for cover in present if cover.valid}
        async with patiently(connection):
            for cover in present:
                if not cover.valid:
                    await _execute(connection, "drop", cover)
            built = [cover for name, cover in goal.items() if name not in have]
            for cover in built:
                await _execute(connection, "whole" if cover.whole else "chunk", cover)
            for cover in present:
                if cover.valid and cover.name not in goal:
                    await _execute(connection, "drop", cover)
    return [cover.name for cover in built]


@asynccontextmanager
async def patiently(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """Let statements take the minutes that an index takes, on a connection that goes back to its pool afterwards.

    Args:
        connection: from a pool.
    """
    await connection.execute(_SQL["patience"])
    try:
        yield
    finally:
        if not connection.is_closed():
            await connection.execute(_SQL["haste"])


async def _execute(connection: asyncpg.Connection, statement: str, cover: Cover) -> None:
    """Run a statement about an index; names and bounds are numbers of ours, for parameters are not allowed there."""
    text = _SQL[statement].format(name=cover.name, part=cover.part, first=cover.first, end=cover.end)
    await connection.execute(text, timeout=INDEX_SECONDS)


class Search:
    """One search in one transaction: probe the newest rows, then go back cover by cover until the page is full."""

    def __init__(self, connection: asyncpg.Connection, words: str, *, scope: Scope, limit: int) -> None:
        """Prepare.

        Args:
            connection: in a transaction of its own.
            words: what to look for; without any, everything is found.
            scope: of which bot or channel.
            limit: messages on the page.
        """
        self._connection = connection
        self._words = words.strip() or None
        self._scope = scope
        self._limit = limit
        self._patterns: list[str] = []
        self._budget = READ_AT_MOST
        self._found: list[MessageRecord] = []

    async def run(self, upper: int) -> Found:
        """Find a page.

        Args:
            upper: only ids below this.

        Raises:
            Invalid: the text holds no word.
        """
        for setting in ("plan", "alone"):
            await self._connection.execute(_SQL[setting])
        known = [] if self._words is None else [cover for cover in await covers(self._connection) if cover.valid]
        await self._read_words()
        for span in PROBES:
            upper = await self._read(max(upper - span, 0), upper)
        while upper > 0 and self._goes_on:
            upper = await self._back(upper, known)
        if self._left < 0:
            return Found(items=tuple(self._found[: self._limit]), next=self._found[self._limit - 1].id)
        return Found(items=tuple(self._found), next=upper if upper > 0 else None)

    async def _read_words(self) -> None:
        if self._words is None:
            return
        lexemes = await self._connection.fetchval(_SQL["words"], self._words)
        if not lexemes:
            raise Invalid("There is no word to search for.")
        self._patterns = [f"%{_literal(lexeme)}%" for lexeme in lexemes]

    @property
    def _left(self) -> int:
        return self._limit - len(self._found)

    @property
    def _goes_on(self) -> bool:
        return self._left >= 0 and self._budget > 0

    async def _back(self, upper: int, known: Sequence[Cover]) -> int:
        """Look through the next ids below a bound, with the index that covers them or without."""
        cover = next((cover for cover in known if cover.first < upper <= cover.end), None)
        if cover is not None:
            await self._keep("indexed", cover.first, upper, self._words)
            return cover.first
        below = max((cover.end for cover in known if cover.end < upper), default=0)
        return await self._read(max(upper - READ_SPAN, below, 0), upper)

    async def _read(self, lower: int, upper: int) -> int:
        if not self._goes_on:
            return upper
        if lower < upper:
            await self._keep("recent", lower, upper, self._words, self._patterns)
            self._budget -= upper - lower
        return lower

    async def _keep(self, statement: str, lower: int, upper: int, *what: Any) -> None:
        """Keep what a statement finds: one more than asked for tells that there is a next page."""
        arguments = (lower, upper, self._scope.bot, self._scope.channel, *what, self._left + 1)
        self._found.extend(map(message_from, await self._connection.fetch(_SQL[statement], *arguments)))


def _literal(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
