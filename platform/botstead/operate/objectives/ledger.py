"""Every process takes the differences of its own counters every ten seconds, and adds them to the ledger in Postgres.

So budgets and paging need no Prometheus. What cannot be written is kept and written later, in the window in which it happened:
nothing is lost but what a process that is killed has not written yet. Nothing is counted twice, see `store/ledger.py`. The road
is not touched: values are read from where the metrics keep them, on the event loop, between two of its turns.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol
from uuid import UUID, uuid4

from botstead.core.errors import BotsteadError
from botstead.operate.objectives.model import Objective, Term
from botstead.runtime.tasks import within
from botstead.store.ledger import Counted, Series
from botstead.telemetry.instruments import Counter, Histogram
from botstead.telemetry.logs import event
from botstead.telemetry.metrics import AnyFamily

EVERY = 10.0
"""Seconds between two additions."""
LAST = 3.0
"""Seconds that the last addition may take when the process ends."""
SLOTS = 120
"""Moments that are kept apart while nothing can be written: two hours, a minute each. Older ones are put together."""
SLOT = 60.0

logger = logging.getLogger(__name__)


class Rows(Protocol):
    """Where the ledger is."""

    async def add(self, writer: UUID, batch: int, counted: Sequence[Counted]) -> None:
        """See `LedgerRows.add`."""
        ...


class Tally(NamedTuple):
    """What is counted, and by which labels: an objective, or a plain fact for a report.

    Args:
        name: as the ledger has it.
        bad: what adds up to the bad events.
        total: what adds up to all.
        by: labels that are counted apart.
    """

    name: str
    bad: tuple[Term, ...]
    total: tuple[Term, ...]
    by: tuple[str, ...] = ()


def tally(objective: Objective) -> Tally:
    """Return what is counted for an objective."""
    return Tally(objective.name, objective.bad, objective.total, objective.by)


class Source:
    """One value of one label set, and what it counts for."""

    __slots__ = ("_child", "_term", "counts", "seen")

    def __init__(self, child: Counter | Histogram, term: Term) -> None:
        """Begin at 0: what was counted before this counts too.

        Args:
            child: what keeps the value.
            term: which sample of it.
        """
        self._child = child
        self._term = term
        self.seen = 0
        self.counts: list[tuple[Series, int, int]] = []
        """The series it counts for, and how: 1, -1 or 0 for the bad events, and the same for all events."""

    def value(self) -> int:
        """Return the present value."""
        if isinstance(self._child, Counter):
            return round(self._child.value)
        return self._child.within(self._term.within) if self._term.sample == "bucket" else self._child.count


class Reader:
    """Reads what has changed since the last time."""

    def __init__(self, tallies: Sequence[Tally], families: Mapping[str, AnyFamily]) -> None:
        """Prepare; what was counted so far counts as seen.

        Args:
            tallies: what to count.
            families: this process's metrics by name.
        """
        self._wanted: dict[str, list[tuple[Tally, Term, bool]]] = {}
        for one in tallies:
            for is_bad, terms in ((True, one.bad), (False, one.total)):
                for term in terms:
                    if term.metric in families:
                        self._wanted.setdefault(term.metric, []).append((one, term, is_bad))
        self._families = {name: families[name] for name in self._wanted}
        self._sources: dict[str, dict[tuple[str, ...], list[Source]]] = {name: {} for name in self._wanted}
        self.read()

    def read(self) -> dict[Series, tuple[int, int]]:
        """Return bad and all events of each series since the last reading; only what has changed."""
        found: dict[Series, tuple[int, int]] = {}
        for source in self._all():
            value = source.value()
            if value == source.seen:
                continue
            change, source.seen = value - source.seen, value
            for series, bad, total in source.counts:
                _add(found, series, bad * change, total * change)
        return found

    def _all(self) -> Iterator[Source]:
        for name, family in self._families.items():
            known = self._sources[name]
            if len(known) != len(sets := family.sets()):
                for values, child in sets:
                    if values not in known:
                        known[values] = self._watch(name, dict(zip(family.labels, values, strict=True)), child)
            for sources in known.values():
                yield from sources

    def _watch(self, name: str, labels: Mapping[str, str], child: object) -> list[Source]:
        """Return the samples of a label set that count for anything."""
        found: dict[tuple[str, float], Source] = {}
        if not isinstance(child, Counter | Histogram):
            return []
        for one, term, is_bad in self._wanted[name]:
            if term.matches(labels):
                source = found.setdefault((term.sample, term.within), Source(child, term))
                series = Series(one.name, tuple(sorted((label, labels[label]) for label in one.by)))
                source.counts.append((series, term.sign if is_bad else 0, 0 if is_bad else term.sign))
        return list(found.values())


class Ledger:
    """Adds what this process counts. One for each process."""

    def __init__(
        self,
        rows: Rows,
        tallies: Sequence[Tally],
        families: Mapping[str, AnyFamily],
        *,
        every: float = EVERY,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; `run` adds.

        Args:
            rows: where the ledger is.
            tallies: what to count.
            families: this process's metrics by name.
            every: seconds between two additions.
            monotonic: seconds that never jump.
        """
        self._rows = rows
        self._reader = Reader(tallies, families)
        self._every = every
        self._monotonic = monotonic
        self._writer = uuid4()
        self._batch = 0
        self._sealed: dict[int, Moment] = {}
        self._open: dict[int, Moment] = {}
        self._failing: float | None = None
        self._stopping = asyncio.Event()
        self._lock = asyncio.Lock()

    async def run(self) -> None:
        """Add again and again until `stop`. An outage is said once when it begins and once when it ends."""
        while not await within(self._every, self._stopping):
            await self.add()

    async def stop(self) -> None:
        """Add what is left, within `LAST` seconds, and end."""
        self._stopping.set()
        try:
            async with asyncio.timeout(LAST):
                await self.add()
        except TimeoutError:
            self._say_failed("The last addition took too long.")

    async def add(self) -> bool:
        """Read, and add what there is; False when it could not be written and is kept."""
        self._collect()
        async with self._lock:
            try:
                await self._write()
            except BotsteadError as error:
                self._say_failed(error.message)
                return False
        if self._failing is not None:
            event(logger, "objectives_added_again", seconds=round(self._monotonic() - self._failing, 1))
            self._failing = None
        return True

    def _collect(self) -> None:
        changes = self._reader.read()
        if not changes:
            return
        now = self._monotonic()
        moment = self._open.setdefault(int(now // SLOT), Moment(now))
        moment.at = now
        moment.take(changes)
        while len(self._open) > SLOTS:
            first, second = sorted(self._open)[:2]
            self._open[second].take(self._open.pop(first).counts)

    async def _write(self) -> None:
        """Offer the batch whose answer was lost, if any, then what came since."""
        while self._sealed or self._open:
            if not self._sealed:
                self._sealed, self._open = self._open, {}
                self._batch += 1
            now = self._monotonic()
            counted = [
                Counted(series, max(0.0, now - moment.at), bad, total)
                for moment in self._sealed.values()
                for series, (bad, total) in moment.counts.items()
            ]
            await self._rows.add(self._writer, self._batch, counted)
            self._sealed = {}

    def _say_failed(self, why: str) -> None:
        if self._failing is None:
            self._failing = self._monotonic()
            event(logger, "objectives_not_added", level=logging.WARNING, error=why)


class Moment:
    """What was counted around one moment."""

    def __init__(self, at: float) -> None:
        """Begin with nothing.

        Args:
            at: when, in monotonic seconds.
        """
        self.at = at
        self.counts: dict[Series, tuple[int, int]] = {}

    def take(self, changes: Mapping[Series, tuple[int, int]]) -> None:
        """Add changes.

        Args:
            changes: bad and all events of each series.
        """
        for series, (bad, total) in changes.items():
            _add(self.counts, series, bad, total)


def _add(counts: dict[Series, tuple[int, int]], series: Series, bad: int, total: int) -> None:
    before = counts.get(series, (0, 0))
    counts[series] = (before[0] + bad, before[1] + total)
