"""The double as a payment provider and as a channel. It keeps books of its own and asks nobody outside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn, Protocol

from botstead.core.errors import Invalid, Rejected, Unreadable
from botstead.core.messages import Delivery, Event, Health, Outcome, Reason, Receipt
from botstead.core.ports import Account, Egress, Prepared, Sending
from botstead.core.tills import Order, Standing
from botstead.integrations.testpay.errors import NothingPaid
from botstead.integrations.testpay.models import news_of, standing_of

ABOUT = "No money moves here: people choose on a page of ours whether a test payment succeeds."


class Desk(Protocol):
    """The double's books."""

    async def clicked(self, payment: str) -> tuple[bool | None, int]:
        """Return what was chosen for an order, None when nothing yet, and what went back, in the smallest unit."""
        ...

    async def give_back(self, payment: str, key: str, amount: int) -> None:
        """Note a refund, once a key."""
        ...


class TestPay:
    """`core.tills.PaymentProvider` and `core.ports.ChannelKind` where a bot has no payment account."""

    kind = "testpay"

    def __init__(self, desk: Desk, *, base: str) -> None:
        """Build it.

        Args:
            desk: its books.
            base: the address that people reach, without a slash at its end.
        """
        self._desk = desk
        self._base = base

    async def open(self, order: Order, account: Account) -> Standing:
        """Say where the page of an order is."""
        return await self.look(order, account)

    async def look(self, order: Order, _account: Account) -> Standing:
        """Say how an order stands by the books."""
        paid, refunded = await self._desk.clicked(order.id)
        return standing_of(order, paid, refunded, f"{self._base}/pay/{order.id}")

    async def capture(self, order: Order, account: Account) -> Standing:
        """Say the same: what was paid on the page is taken."""
        return await self.look(order, account)

    async def refund(self, order: Order, amount: int, key: str, account: Account) -> Standing:
        """Write a refund into the books, once a key.

        Raises:
            NothingPaid: nobody paid.
        """
        paid, _ = await self._desk.clicked(order.id)
        if not paid:
            raise NothingPaid
        await self._desk.give_back(order.id, key, amount)
        return await self.look(order, account)

    async def confirm(self, _event: Event, _account: Account) -> bool:
        """Believe it: only our own page and our own questions make events of this account."""
        return True

    def news(self, event: Event, _account: Account) -> Standing | None:
        """Say what a choice on the page means; see `models.news_of`."""
        return news_of(event)

    def verify(self, _delivery: Delivery, _account: Account, _now: float) -> NoReturn:
        """Refuse: nothing is delivered from outside; choices come from our own page.

        Raises:
            Rejected: always.
        """
        raise Rejected(reason="unknown")

    def parse(self, _delivery: Delivery, _account: Account) -> NoReturn:
        """Refuse, for the same reason.

        Raises:
            Unreadable: always.
        """
        raise Unreadable

    async def deliver(self, _sending: Sending, _account: Account, _egress: Egress) -> Receipt:
        """Refuse: nobody reads messages here."""
        return Receipt(outcome=Outcome.FAILED, reason=Reason.UNSUPPORTED, detail="Nobody reads messages of a payment account.")

    async def health(self, _account: Account, _egress: Egress) -> Health:
        """Say that it works, and that it is none."""
        return Health(status="ok", detail=ABOUT)

    async def install(self, account: Account, egress: Egress, _hook_url: str) -> Health:
        """Nothing to install."""
        return await self.health(account, egress)

    def prepare(self, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Prepared:
        """Check that nothing is set: there is nothing to set.

        Raises:
            Invalid: a setting or secret was given.
        """
        if settings or secrets:
            raise Invalid(
                f"The test payment has no settings and no secrets; leave out {', '.join(sorted([*settings, *secrets]))}."
            )
        return Prepared(settings={}, secrets={})
