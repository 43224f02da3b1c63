"""A payment provider in memory: strict about keys, scripted in how it fails. Its books say what was really charged."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable

import msgspec

from botstead.core.errors import EgressBroken, EgressTimeout, PaymentRefused
from botstead.core.messages import Event, Health, Kind, Outcome, Parsed, Receipt
from botstead.core.money import PaymentState
from botstead.core.ports import Prepared
from botstead.core.tills import Order, Standing

Fault = Callable[[], BaseException]
AFTER = (EgressTimeout, EgressBroken)
"""What says: the request may have arrived. In this double it did."""


class Till:
    """`core.tills.PaymentProvider` and `ChannelKind`."""

    kind = "stripe"

    def __init__(self, *, approves: bool = False) -> None:
        """Begin with empty books.

        Args:
            approves: whether a person's choice has still to be captured, as at PayPal.
        """
        self.approves = approves
        self.faults: dict[str, deque[BaseException | None]] = {name: deque() for name in ("open", "look", "capture", "refund")}
        """What the next calls end with; None: well. Those that say «it may have arrived» take effect before."""
        self.calls: Counter[str] = Counter()
        self.pages: dict[str, Order] = {}
        """By the order's key: the page that it got."""
        self.states: dict[str, PaymentState] = {}
        """By our id of the order."""
        self.charges: Counter[str] = Counter()
        """By our id: how often money was taken."""
        self.refunds: dict[str, tuple[str, int]] = {}
        """By key: order and amount."""
        self.forged: set[str] = set()
        """Dedup keys of events that it never sent."""

    def _attend(self, what: str) -> BaseException | None:
        self.calls[what] += 1
        fault = self.faults[what].popleft() if self.faults[what] else None
        if fault is not None and not isinstance(fault, AFTER):
            raise fault
        return fault

    async def open(self, order, account) -> Standing:
        """Make a page, one for each key."""
        fault = self._attend("open")
        known = self.pages.setdefault(order.key, order)
        assert (known.id, known.amount, known.currency) == (order.id, order.amount, order.currency), "a key was used again"
        self.states.setdefault(order.id, PaymentState.PENDING)
        if fault:
            raise fault
        return self._standing(order)

    async def look(self, order, account) -> Standing:
        """Say how an order stands."""
        fault = self._attend("look")
        if fault:
            raise fault
        if order.id not in self.states:
            raise PaymentRefused("No such order.")
        return self._standing(order)

    async def capture(self, order, account) -> Standing:
        """Take the money of an approved order, once."""
        fault = self._attend("capture")
        if self.states[order.id] is PaymentState.APPROVED:
            self.states[order.id] = PaymentState.PAID
            self.charges[order.id] += 1
        if fault:
            raise fault
        return self._standing(order)

    async def refund(self, order, amount, key, account) -> Standing:
        """Give money back, once for each key."""
        assert order.payment, "a refund needs the money's id"
        fault = self._attend("refund")
        known = self.refunds.setdefault(key, (order.id, amount))
        assert known == (order.id, amount), "a key was used again"
        if fault:
            raise fault
        return self._standing(order)

    def _standing(self, order: Order) -> Standing:
        state = self.states[order.id]
        paid = state in (PaymentState.PAID, PaymentState.REFUNDED)
        gone = sum(amount for of, amount in self.refunds.values() if of == order.id)
        return Standing(
            state=PaymentState.REFUNDED if paid and gone >= order.amount else state,
            order=order.id,
            session=f"cs_{order.key}",
            payment=f"pi_{order.key}" if paid else "",
            amount=order.amount if paid else 0,
            currency=order.currency if paid else "",
            refunded=gone,
            url=f"https://till.example/{order.key}" if state is PaymentState.PENDING else "",
        )

    def choose(self, order: str) -> None:
        """The person pays, or approves; nothing is said of it yet."""
        if self.approves:
            self.states[order] = PaymentState.APPROVED
        else:
            self.states[order] = PaymentState.PAID
            self.charges[order] += 1

    def webhook(self, order: str, key: str, state: PaymentState | None = None, *, named: str | None = None, **more) -> Event:
        """What it tells of an order, as `parse` finds it; `named` is what it calls the order."""
        known = next(page for page in self.pages.values() if page.id == order)
        more = more if named is None else {"order": named, **more}
        said = msgspec.structs.replace(self._standing(known), **({"state": state} if state else {}), **more)
        return Event(kind=Kind.STATUS, conversation=order, key=key, message_id=key, raw=msgspec.Raw(msgspec.json.encode(said)))

    async def confirm(self, event, account) -> bool:
        """Whether it sent an event."""
        return event.message_id not in self.forged

    def news(self, event, account) -> Standing | None:
        """Read an event again."""
        return msgspec.json.decode(event.raw, type=Standing)

    def verify(self, delivery, account, now) -> None:
        """Everybody is who they say they are."""

    def parse(self, delivery, account) -> Parsed:
        """Nothing arrives over HTTP here."""
        return Parsed()

    async def deliver(self, sending, account, egress) -> Receipt:
        """Nobody reads messages here."""
        return Receipt(outcome=Outcome.FAILED)

    async def health(self, account, egress) -> Health:
        """Always well."""
        return Health(status="ok")

    async def install(self, account, egress, hook_url) -> Health:
        """Nothing to install."""
        return Health(status="ok")

    def prepare(self, settings, secrets) -> Prepared:
        """Take everything as it is."""
        return Prepared(settings=settings, secrets=secrets)
