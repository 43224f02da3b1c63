"""What goes wrong at the till: with each n-th request, and with each n-th webhook. Counted, so that each really happens."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

LATE_SECONDS: Final = 1.5
"""The longest that a webhook is held back or sent again after, so that others overtake it."""


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """Something that goes wrong with requests.

    Args:
        kind: error (5xx), limited (429), hang (no answer), close (the connection breaks), slow (the right answer, late).
        every: each n-th request suffers it.
        on: which requests: open, look, refund, list.
        applied: whether the request takes effect before it goes wrong.
        stored: with error: it is what each repetition under the same key gets, as Stripe does with errors of its own.
        seconds: how long hang and slow last, and what limited asks for.
    """

    kind: Literal["error", "limited", "hang", "close", "slow"]
    every: int
    on: tuple[str, ...] = ("open", "look", "refund", "list")
    applied: bool = False
    stored: bool = False
    seconds: float = 1.0

    @property
    def name(self) -> str:
        """In words, for reports."""
        if self.kind in ("limited", "slow"):
            return self.kind
        effect = "after the effect" if self.applied else "before the effect"
        return f"{self.kind} {effect}{' and stored' if self.stored else ''}"


class Fates(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of webhooks: each n-th of a type; 0: none.

    Args:
        lost: never sent, so that only asking finds it.
        doubled: sent twice, the second time a little later.
        late: held back, so that others overtake it.
    """

    lost: int = 0
    doubled: int = 0
    late: int = 0


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What the till is told.

    Args:
        seed: of chance.
        troubles: of requests; the first that is due strikes.
        fates: of webhooks.
        ports: loopback ports, one of which is told of each event, by chance.
        path: of the hook.
        secret: that signs webhooks.
    """

    seed: int = 0
    troubles: Sequence[Trouble] = ()
    fates: Fates = Fates()
    ports: Sequence[int] = ()
    path: str = ""
    secret: str = ""


class Schedule:
    """Decides which request and which webhook goes wrong."""

    def __init__(self, orders: Orders) -> None:
        """Begin to count.

        Args:
            orders: what is to go wrong.
        """
        self.chance = random.Random(orders.seed)  # noqa: S311  # which request goes wrong is no secret
        self._orders = orders
        self._places = {trouble: self.chance.randrange(trouble.every) for trouble in orders.troubles}
        self._seen: Counter[str] = Counter()

    def struck(self, on: str) -> Trouble | None:
        """Return what goes wrong with the next request.

        Args:
            on: open, look, refund or list.
        """
        number = self._seen[on]
        self._seen[on] += 1
        due = (trouble for trouble, place in self._places.items() if on in trouble.on and number % trouble.every == place)
        return next(due, None)

    def fate(self, kind: str) -> str:
        """Say what becomes of the next webhook: lost, doubled, late or sent.

        Args:
            kind: the event's type.
        """
        self._seen[kind] += 1
        fates = self._orders.fates
        for name, every in (("lost", fates.lost), ("doubled", fates.doubled), ("late", fates.late)):
            if every and self._seen[kind] % every == 0:
                return name
        return "sent"
