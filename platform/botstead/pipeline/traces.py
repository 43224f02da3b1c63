"""Which messages are remembered in detail, and how that stays off the road.

Every run and every send leaves a few numbers on an object that the message has anyway. At its end one comparison says whether
they are worth keeping: it was slow, it failed, it called other services, or it was chosen. Only then anything is queued, and
a loop of its own writes it down, and hands the spans to an exporter where there is one. Its queues are bounded: what does not
fit is dropped and counted.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from botstead.core.errors import Unavailable
from botstead.core.messages import Outcome, Receipt
from botstead.core.ports import Limits
from botstead.pipeline.lanes import Outgoing
from botstead.store.hops import Hop, Hops
from botstead.store.postgres import RowRefused, storable
from botstead.store.road import Pending
from botstead.telemetry import tracecontext
from botstead.telemetry.catalog import TRACE_HOPS, TRACE_SPANS
from botstead.telemetry.journey import Journey
from botstead.telemetry.logs import event
from botstead.telemetry.spans import Span, spans
from botstead.telemetry.tracing import NAME_LIMIT, Run, Try, current, kind_of

QUEUE = 5_000
"""Runs and sends that wait to be written down."""
TOLD = 2_000
"""Messages that wait until their spans can be built."""
LINGER = 0.25
"""Seconds that notes are collected."""
AWAY = 1.0
"""Seconds before the database is asked again."""
AT_ONCE = 200
"""Messages read back in one go."""
MARKS_LATE = 10.0
"""Seconds after which the spans of a message are built although the database does not say yet that it is settled."""
MOST_TRIES = 50
"""Attempts to send that are remembered of one message; a provider can put one off for a day."""
OK = "ok"
_ENCODE = msgspec.json.Encoder().encode

logger = logging.getLogger(__name__)


class Journeys(Protocol):
    """Reads the roads of messages back. See `store.journeys.Journeys`."""

    async def of(self, messages: Sequence[int]) -> list[Journey]:
        """Return the roads of messages, and of those that they answer."""
        ...


class Traces:
    """Notes what happens to messages. One for each worker process."""

    def __init__(
        self,
        hops: Hops | None = None,
        *,
        ratio: float = 0.0,
        journeys: Journeys | None = None,
        offer: Callable[[Sequence[Span]], None] | None = None,
    ) -> None:
        """Prepare; `run` does the work.

        Args:
            hops: where notes are kept; None keeps none.
            ratio: the share of messages that are kept although nothing is wrong with them.
            journeys: reads roads back, for spans.
            offer: takes spans without waiting; None when nobody wants any.
        """
        self._hops = hops
        self._ratio = ratio
        self._journeys = journeys
        self._offer = offer
        self._queue: list[Hop] = []
        self._told: dict[int, float] = {}
        self._something = asyncio.Event()
        self._flushing = asyncio.Lock()

    def begin(self, row: Pending, began: float, limits: Limits) -> Run:
        """Note that a handler begins.

        Args:
            row: the message.
            began: Unix seconds.
            limits: of the bot, for its promise.
        """
        run = Run(row.id, row.trace, row.attempts + 1, row.at, began, limits.promise)
        if self._ratio and tracecontext.chosen(row.trace, self._ratio):
            run.sampled = True
        current.set(run)
        return run

    def failed(self, run: Run, error: BaseException) -> None:
        """Note that a run failed; its message may run again, elsewhere and much later, so it is kept at once.

        Args:
            run: the run.
            error: what was raised; only its kind is kept, since its words may quote what people wrote.
        """
        run.ended = time.time()
        run.error = run.error or kind_of(error)  # a process of its own told it more closely
        self._note_run(run)

    def done(self, run: Run | None, replies: int) -> None:
        """Note that the outcome of a run is committed.

        Args:
            run: the run; None when the message did not run at all.
            replies: how many sends came of it.
        """
        if run is None:
            return
        run.left = replies
        if not replies:
            self._end(run, run.ended)

    def tried(self, item: Outgoing, receipt: Receipt, took: float) -> None:
        """Note one attempt to send.

        Args:
            item: what was sent.
            receipt: what became of it.
            took: seconds.
        """
        run, ended = item.run, time.time()
        if run is None:  # found in the outbox: who ran it is not known here
            run = item.run = Run(item.id, item.trace, 0, item.written, 0.0, math.inf)
        if run.sends is None:
            run.sends = []
        if len(run.sends) < MOST_TRIES:
            attempt = item.attempts + receipt.counted
            run.sends.append(Try(item.id, attempt, ended - took, ended, receipt.outcome, receipt.reason))

    def settled(self, item: Outgoing, outcome: Outcome) -> None:
        """Note that nothing is left to be done about a send.

        Args:
            item: what was sent.
            outcome: for good.
        """
        run = item.run
        if run is None:
            return
        run.left -= 1
        if outcome is not Outcome.SENT and not run.error:
            run.error = outcome
        if run.left <= 0:
            self._end(run, run.sends[-1].ended if run.sends else time.time())

    def _end(self, run: Run, ended: float) -> None:
        slow = ended - run.received > run.promise
        wanted = slow or run.sampled or run.attempt > 1 or bool(run.error) or (run.sends is not None and _repeated(run.sends))
        if wanted or run.calls:
            self._keep(run, tell=wanted)

    def _keep(self, run: Run, *, tell: bool) -> None:
        self._note_run(run)
        for one in run.sends or ():
            self._put(Hop(one.message, True, one.attempt, one.began, one.ended, one.outcome, one.reason, None))  # noqa: FBT003  # a row
        if tell and self._offer is not None:
            if len(self._told) < TOLD:
                self._told[run.message] = time.monotonic()
                self._something.set()
            else:
                TRACE_SPANS.at("dropped").inc()

    def _note_run(self, run: Run) -> None:
        if run.noted or not run.attempt or not run.ended:
            return
        run.noted = True
        calls = _ENCODE(run.calls).decode() if run.calls else None
        outcome = storable(run.error, limit=NAME_LIMIT) or OK
        self._put(Hop(run.message, False, run.attempt, run.began, run.ended, outcome, "", calls))  # noqa: FBT003  # a row

    def _put(self, hop: Hop) -> None:
        if self._hops is None:
            return
        if len(self._queue) >= QUEUE:
            TRACE_HOPS.at("dropped").inc()
            return
        self._queue.append(hop)
        self._something.set()

    async def run(self) -> None:
        """Write notes and hand out spans, until cancelled."""
        while True:
            await self._something.wait()
            await asyncio.sleep(LINGER)
            self._something.clear()
            try:
                await self.flush()
            except Unavailable:
                await asyncio.sleep(AWAY)
            except Exception as error:  # noqa: BLE001  # a fault in what only watches must not end the worker
                event(logger, "traces_stumbled", level=logging.ERROR, exception=error)
                TRACE_HOPS.at("dropped").inc(len(self._queue))
                self._queue.clear()
                self._told.clear()
            if self._queue or self._told:
                self._something.set()

    async def flush(self) -> None:
        """Write what is queued now, and hand out the spans of what is settled.

        Raises:
            Unavailable: the database is away; nothing is lost but time, until the queue is full.
        """
        async with self._flushing:
            await self._write()
            if self._told and self._journeys is not None and self._offer is not None:
                await self._tell(self._journeys, self._offer)

    async def close(self) -> None:
        """Write what is queued, if the database is there, and let go of its connection."""
        if self._hops is None:
            return
        try:
            async with asyncio.timeout(AWAY):
                await self.flush()
        except (Unavailable, TimeoutError):
            TRACE_HOPS.at("dropped").inc(len(self._queue))
        await self._hops.close()

    async def _write(self) -> None:
        if self._hops is None or not self._queue:
            return
        taken, self._queue = self._queue, []
        try:
            await self._hops.note(taken)
        except Unavailable:
            self._queue = (taken + self._queue)[:QUEUE]
            raise
        except RowRefused as error:
            event(logger, "hops_refused", level=logging.ERROR, error=error.message)
            TRACE_HOPS.at("dropped").inc(len(taken))
        else:
            TRACE_HOPS.at("kept").inc(len(taken))

    async def _tell(self, journeys: Journeys, offer: Callable[[Sequence[Span]], None]) -> None:
        """Hand out the spans of messages whose marks are written; the others have some seconds more."""
        late = time.monotonic() - MARKS_LATE
        asked = dict(list(self._told.items())[:AT_ONCE])
        for journey in await journeys.of(list(asked)):
            about = [number for number in (journey.message, *(reply.id for reply in journey.replies)) if number in asked]
            if journey.settled or any(asked[number] < late for number in about):
                offer(spans(journey))
                for number in about:
                    self._told.pop(number, None)
        for number, since in asked.items():
            if since < late:
                self._told.pop(number, None)


def _repeated(sends: list[Try]) -> bool:
    return any(one.outcome != Outcome.SENT for one in sends)
