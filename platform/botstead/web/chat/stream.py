"""Server-sent events: what is said in a visitor's conversation, each message once, across breaks and restarts.

A hint makes a stream look at once; one statement a second for all streams of the process finds what no hint came for.
https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager

import msgspec

from botstead.channels.webchat.render import OUT, Frame, draft, render, system, unready
from botstead.core.errors import TooMany, Unavailable
from botstead.pipeline import drafts
from botstead.pipeline.drafts import Drafted
from botstead.runtime.tasks import Tasks
from botstead.store import chat
from botstead.telemetry.logs import event
from botstead.web.chat.cursor import Cursor
from botstead.web.chat.deps import ChatDeps

TOPIC = "chat"
TYPING = "typing:"
HISTORY = 50
"""Messages that somebody new to a stream gets first."""
PAGE = 100
"""Rows of one look."""
POLL_SECONDS = 1.0
PING_SECONDS = 15.0
"""Silence after which a comment is sent, so that nothing in between takes the connection for dead."""
ANSWERED = 64
"""Messages of a conversation that are remembered as answered."""
STREAMS_OF_VISITOR = 5
STREAMS = 1_000
PREAMBLE = b"retry: 1000\n\n"
PING = b": ping\n\n"

logger = logging.getLogger(__name__)


def encode(frame: Frame, cursor: str = "") -> bytes:
    """Write one event as it goes over the wire.

    Args:
        frame: the event.
        cursor: what the client is to send back when it comes again; "" leaves that as it is.
    """
    name = b"" if frame.event == "message" else b"event: %s\n" % frame.event.encode()
    position = b"id: %s\n" % cursor.encode() if cursor else b""
    return b"%s%sdata: %s\n\n" % (name, position, msgspec.json.encode(frame.data))


class Stream:
    """One open stream of one visitor."""

    def __init__(self, deps: ChatDeps, conversation: str, cursor: Cursor | None) -> None:
        """Prepare; `opening` reads first.

        Args:
            deps: the platform.
            conversation: its key.
            cursor: where the client stands, or None when it has seen nothing.
        """
        self._deps = deps
        self._cursor = cursor or Cursor()
        self._new = cursor is None
        self._catching_up = True  # what the bot was writing back then is no news
        self._typing = False
        self._draft: Drafted | None = None
        self._done: deque[int] = deque(maxlen=ANSWERED)  # what was answered: a draft of it comes too late
        self._answered = False  # whether the last page brought what the typing was about
        self._unread = False  # whether there may be rows to read
        self._news = asyncio.Event()
        self.conversation = conversation

    def hint(self, *, typing: bool = False) -> None:
        """Say that there is something to read.

        Args:
            typing: no message yet, but the bot is writing.
        """
        self._typing = self._typing or typing
        self._read_soon()

    def grow(self, drafted: Drafted) -> None:
        """Show what the bot is writing, unless that was answered meanwhile.

        Args:
            drafted: the newest hint of it.
        """
        if not self._catching_up:
            self._draft = drafted
            self._news.set()

    def _read_soon(self) -> None:
        self._unread = True
        self._news.set()

    def standing(self) -> tuple[int, int]:
        """Return the floor, and how many rows above it were sent."""
        return self._cursor.floor, len(self._cursor.sent)

    def compare(self, standing: tuple[int, int], found: int, *, began: float) -> None:
        """Draw the conclusion from a count of all rows above the floor.

        Args:
            standing: what `standing` said before the count.
            found: the count.
            began: monotonic seconds when the count began.
        """
        if found > standing[1]:
            self._read_soon()
        elif standing == self.standing():
            self._cursor.settle(began=began)

    async def opening(self) -> bytes:
        """Read the first page of what the client has not seen.

        Raises:
            Unavailable: the database is away.
        """
        if self._new:
            async with self._deps.postgres.connection() as connection:
                floor = await chat.floor_below_newest(connection, self.conversation, most=HISTORY)
            self._cursor = Cursor(floor)
        return PREAMBLE + await self._look()

    async def following(self) -> AsyncGenerator[bytes, None]:
        """Go on for ever: events as they come, a comment when nothing does."""
        clock = asyncio.get_running_loop().time
        quiet_until = clock() + PING_SECONDS
        while True:
            chunk = await self._next() if await self._hinted(quiet_until) else PING
            if chunk:
                yield chunk
                quiet_until = clock() + PING_SECONDS

    async def _hinted(self, until: float) -> bool:
        try:
            async with asyncio.timeout_at(until):
                return await self._news.wait()
        except TimeoutError:
            return False

    async def _next(self) -> bytes:
        self._news.clear()
        typing, self._typing = self._typing, False
        unread, self._unread = self._unread, False
        drafted, self._draft = self._draft, None
        try:
            page = await self._look() if unread else b""
        except Unavailable:
            return b""  # the poll finds these rows again once the database is back
        if typing and not self._answered:
            page += encode(system("typing", at=time.time()))
        if drafted is not None and drafted.message not in self._done:
            page += encode(draft(drafted.text, at=time.time()))
        return page

    async def _look(self) -> bytes:
        """Read and encode the next page; after the last page of history, say so."""
        clock, cursor = asyncio.get_running_loop().time, self._cursor
        began = clock()
        async with self._deps.postgres.connection() as connection:
            rows = await chat.read_above(connection, self.conversation, floor=cursor.floor, read=cursor.sent, most=PAGE)
        seen, full = clock(), len(rows) == PAGE
        self._answered = any(row.direction == OUT for row in rows)
        self._done.extend(row.reply_to for row in rows if row.direction == OUT and row.reply_to is not None)
        later = min((row.id for row in rows if unready(row)), default=None)  # what changes must be read again: no floor passes it
        chunks = []
        for row in rows:
            if unready(row):
                continue
            cursor.add(row.id, now=seen)
            frame = render(row)
            if frame and not (self._catching_up and frame.data.direction == "system"):
                chunks.append(encode(frame, cursor.encode()))
        limits = [*([rows[-1].id] if full else []), *([later - 1] if later is not None else [])]
        cursor.settle(began=began, up_to=min(limits, default=None))
        if full:
            self._read_soon()
        elif self._catching_up:
            self._catching_up = False
            chunks.append(encode(system("ready", at=time.time()), cursor.encode()))
        return b"".join(chunks)


class Streams:
    """All open streams of this process, and the one loop that polls for them."""

    def __init__(self, deps: ChatDeps) -> None:
        """Start with none.

        Args:
            deps: the platform.
        """
        self._deps = deps
        self._open: dict[str, set[Stream]] = {}
        self._visitors: Counter[str] = Counter()
        self._tasks = Tasks(on_failure=_poll_failed)
        self._poll: asyncio.Task[object] | None = None
        self._unsubscribe: Callable[[], object] | None = None
        self._away_since: float | None = None

    @contextmanager
    def open(self, conversation: str, cursor: Cursor | None) -> Iterator[Stream]:
        """Hold one more stream.

        Args:
            conversation: its key.
            cursor: where the client stands, or None.

        Raises:
            TooMany: this visitor has as many as one may have.
            Unavailable: this process has as many as it takes, or is going away.
        """
        if self._deps.draining.is_set():
            raise Unavailable("This process is going away. Connect again.", after=1.0)
        if self._visitors[conversation] >= STREAMS_OF_VISITOR:
            raise TooMany(f"A visitor may have {STREAMS_OF_VISITOR} open streams. Close another tab.", after=10.0)
        if self._visitors.total() >= STREAMS:
            raise Unavailable("As many people are here as this process takes.", after=10.0)
        stream = Stream(self._deps, conversation, cursor)
        self._add(stream)
        try:
            yield stream
        finally:
            self._remove(stream)

    def _add(self, stream: Stream) -> None:
        self._open.setdefault(stream.conversation, set()).add(stream)
        self._visitors[stream.conversation] += 1
        if self._unsubscribe is None:
            ends = [self._deps.wake.subscribe(TOPIC, self._hinted), self._deps.wake.subscribe(drafts.TOPIC, self._drafted)]
            self._unsubscribe = lambda: [end() for end in ends]
        if self._poll is None or self._poll.done():
            self._poll = self._tasks.start("chat_poll", self._keep_polling())

    def _remove(self, stream: Stream) -> None:
        streams = self._open[stream.conversation]
        streams.discard(stream)
        self._visitors[stream.conversation] -= 1
        if not streams:
            del self._open[stream.conversation], self._visitors[stream.conversation]
        if not self._open and self._poll and self._unsubscribe:
            self._poll.cancel()
            self._unsubscribe()
            self._poll = self._unsubscribe = None

    def _hinted(self, message: str) -> None:
        conversation = message.removeprefix(TYPING)
        for stream in self._open.get(conversation, ()):
            stream.hint(typing=message != conversation)

    def _drafted(self, message: str) -> None:
        hint = drafts.read(message)
        if hint is not None:
            for stream in self._open.get(hint.conversation, ()):
                stream.grow(hint)

    async def _keep_polling(self) -> None:
        """Look once a second. Survives an outage; emits chat_poll_away and chat_poll_back."""
        while True:
            await asyncio.sleep(POLL_SECONDS * random.uniform(0.9, 1.1))  # noqa: S311  # spreads replicas, keeps no secret
            now = asyncio.get_running_loop().time()
            try:
                await self._look()
            except Unavailable:
                if self._away_since is None:
                    self._away_since = now
                    event(logger, "chat_poll_away", level=logging.WARNING, streams=self._visitors.total())
                continue
            if self._away_since is not None:
                event(logger, "chat_poll_back", seconds=round(now - self._away_since, 1))
                self._away_since = None

    async def _look(self) -> None:
        began = asyncio.get_running_loop().time()
        standings = [(stream, stream.standing()) for streams in self._open.values() for stream in streams]
        floors = [(stream.conversation, floor) for stream, (floor, _) in standings]
        async with self._deps.postgres.connection() as connection:
            counts = await chat.count_above(connection, floors)
        for (stream, standing), found in zip(standings, counts, strict=True):
            stream.compare(standing, found, began=began)


def _poll_failed(task: str, error: BaseException) -> None:
    event(logger, f"{task}_failed", level=logging.ERROR, exception=error)
