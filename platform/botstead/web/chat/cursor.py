"""Where a stream of messages stands, so that it can go on after any break: nothing lost, nothing twice.

Message ids are given out in order but do not become visible in order: the transaction of a smaller id may commit
later. «Everything above the last id» would lose such a message. A cursor is therefore a floor, up to which all is
done with, and the ids above it that were sent. The floor may rise to a sent id once a complete look at the table
began `WINDOW` seconds after that id was first seen: every smaller id was given out earlier, and by then its
transaction has ended (`statement_timeout` is 5 s, see store/postgres.py).

Written as `floor.step.step…`, each step the distance to the next sent id. A plain message id is a cursor too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

WINDOW = 15.0
"""Seconds from giving out an id to the end of its transaction, at the very most."""
SENT_LIMIT = 500
"""Ids kept above the floor. More than that in one window (33 a second in one conversation) raise the floor early."""
_LARGEST = 2**63 - 1
_WRITTEN = re.compile(rf"\d{{1,19}}(\.\d{{1,19}}){{0,{SENT_LIMIT}}}", re.ASCII)


class Cursor:
    """A floor and the ids sent above it."""

    def __init__(self, floor: int = 0, sent: Iterable[int] = (), *, now: float = 0.0) -> None:
        """Start somewhere.

        Args:
            floor: everything up to this id is done with.
            sent: ids above the floor that were sent.
            now: monotonic seconds; the ids count as seen then.
        """
        self.floor = floor
        self._sent = dict.fromkeys(sorted(sent), now)

    @classmethod
    def decode(cls, text: str, *, now: float) -> Cursor | None:
        """Read a cursor, or return None when this is none.

        Args:
            text: what a client sends back as `Last-Event-ID`.
            now: monotonic seconds.
        """
        if not _WRITTEN.fullmatch(text):
            return None
        floor, *steps = (int(part) for part in text.split("."))
        sent, last = [], floor
        for step in steps:
            last += step
            sent.append(last)
        return cls(floor, sent, now=now) if max(floor, last) <= _LARGEST else None

    def encode(self) -> str:
        """Write the cursor down, for the `id` field of an event."""
        steps, last = [self.floor], self.floor
        for identity in sorted(self._sent):
            steps.append(identity - last)
            last = identity
        return ".".join(map(str, steps))

    @property
    def sent(self) -> tuple[int, ...]:
        """The ids above the floor that were sent."""
        return tuple(self._sent)

    def add(self, identity: int, *, now: float) -> None:
        """Note that a message was sent.

        Args:
            identity: the message's id.
            now: monotonic seconds after the look that found it.
        """
        self._sent[identity] = now
        if len(self._sent) > SENT_LIMIT:
            self._raise_to(min(self._sent))

    def settle(self, *, began: float, up_to: int | None = None) -> None:
        """Raise the floor after a look at the table whose findings were all added.

        Args:
            began: monotonic seconds when the look began.
            up_to: the last id found when there was more than the look returned, else None.
        """
        limit = _LARGEST if up_to is None else up_to
        settled = [identity for identity, seen in self._sent.items() if identity <= limit and began - seen >= WINDOW]
        if settled:
            self._raise_to(max(settled))

    def _raise_to(self, floor: int) -> None:
        self.floor = floor
        self._sent = {identity: seen for identity, seen in self._sent.items() if identity > floor}
