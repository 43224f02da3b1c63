"""How far back a look into the inbox has to go.

Ids do not become visible in order, so a look takes in everything that waits. While somebody else's transaction stays open
(a dump, a forgotten console), Postgres can clear nothing away, and such a look walks over every row that was ever done since:
39 ms for 300,000 of them, where the newest ids alone take 0.3. Then most looks start at an id below which everything has been
seen, and one in between, at its own cost's distance, takes in all: a row that took longer than `LAG` to commit, or was put
back under its old id, is found by that one.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from collections.abc import Set as AbstractSet
from types import TracebackType
from typing import NamedTuple

from botstead.store.road import EVERYTHING, Above, Pending

DEAR = 0.005
"""Seconds from which on a look at everything is spared."""
SHARE = 20
"""What is dear rests this many times as long as it took …"""
LONGEST = 2.0
"""… but not longer than this, in seconds …"""
LEAST = 5
"""… unless that were less than this many times its own length."""
LAG = 1.0
"""Seconds that a transaction may take between getting its ids and its commit, for a look at the newest to find it."""


class Look(NamedTuple):
    """What one look takes in: all partitions that are mine, and above `floor` the rows of `bots`. 0 is everything."""

    floor: int
    partitions: frozenset[int]
    bots: frozenset[int]
    began: float

    def above(self, crowded: Collection[int]) -> Above:
        """Return the same for the statement.

        Args:
            crowded: bots that have no room.
        """
        return Above(self.floor, self.bots.difference(crowded)) if self.floor else EVERYTHING


def rest(took: float) -> float:
    """Return for how many seconds to do without what took so long; nothing for what is cheap.

    Args:
        took: seconds.
    """
    return 0.0 if took < DEAR else max(min(took * SHARE, LONGEST), took * LEAST)


class Spared:
    """Measures what is done inside of it, and says how long to do without."""

    rest = 0.0
    """Seconds; see `rest`. What failed has no say."""
    _began = 0.0

    def __enter__(self) -> None:
        """Begin."""
        self.rest, self._began = 0.0, time.monotonic()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        """End."""
        if error is None:
            self.rest = rest(time.monotonic() - self._began)


class Horizon:
    """Knows below which id everything was seen. One for each worker."""

    def __init__(self, *, page: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with having seen nothing.

        Args:
            page: rows for each partition and bot in one look; a full page says that there may be more.
            clock: seconds.
        """
        self._page = page
        self._clock = clock
        self._floor = self._coming = self._highest = 0
        self._since = self._due = float("-inf")
        self._partitions: frozenset[int] = frozenset()
        self._bots: frozenset[int] = frozenset()

    def look(self, partitions: AbstractSet[int], bots: AbstractSet[int]) -> Look:
        """Say what the next look has to take in.

        Args:
            partitions: mine.
            bots: those that can run here.
        """
        now = self._clock()
        seen = self._partitions.issuperset(partitions) and self._bots.issuperset(bots)
        return Look(self._floor if seen and now < self._due else 0, frozenset(partitions), frozenset(bots), now)

    def looked(self, look: Look, rows: Sequence[Pending], *, crowded: Collection[int]) -> None:
        """Learn from what a look has found.

        Args:
            look: which one.
            rows: what was not known before.
            crowded: bots that were left out, for they have no room.
        """
        now = self._clock()
        whole = not look.floor
        self._highest = max([self._highest, *(row.id for row in rows)])
        if whole:
            self._due = now + rest(now - look.began)
        if crowded or self._cut(rows):
            return
        if whole:
            self._partitions, self._bots = look.partitions, look.bots
        if now - self._since >= LAG:
            self._floor, self._coming, self._since = self._coming, self._highest, now

    def forget(self, partitions: AbstractSet[int]) -> None:
        """Forget what was seen of partitions that are given away."""
        self._partitions -= partitions

    def _cut(self, rows: Sequence[Pending]) -> bool:
        """Whether there may be rows that did not fit on their page."""
        if len(rows) < self._page:
            return False
        return max(Counter((row.partition, row.bot) for row in rows).values()) >= self._page
