"""What payment accounts hear: each event is applied to the ledger, and an approved payment is captured."""

from __future__ import annotations

import msgspec

from botstead.core.errors import EgressError, EgressRefused, HandlerFailed, PaymentRefused
from botstead.core.messages import Event, Kind
from botstead.core.money import PaymentState
from botstead.core.ports import Account, Effects, Incoming, Limits
from botstead.core.tills import Order, PaymentProvider, Standing
from botstead.operate.payments.cashier import Cashier
from botstead.operate.payments.state import MONEY
from botstead.operate.payments.trying import attempt
from botstead.pipeline.partitions import external_id
from botstead.store.payment_records import Applied, PaymentRow

ROAD_TRIES = 3
"""Runs of one event that capture; after them the reconciling loop goes on, with longer waits."""
ROAD_WAIT = 10.0
"""Longest pause that a provider may ask for and the event still waits for it."""
_SAID = msgspec.json.Decoder(Standing)


class PaymentNews:
    """A `core.ports.Handler` for all events of payment accounts, whoever's they are. Its effects are in the ledger."""

    name = "payments"

    def __init__(self, cashier: Cashier) -> None:
        """Prepare.

        Args:
            cashier: the ledger and the providers.
        """
        self._cashier = cashier
        self.limits = Limits(deadline=3 * cashier.waits.answer)

    async def handle(self, incoming: Incoming) -> Effects:
        """Apply one event. Safe to repeat: what was applied is found in the ledger, and captures have a key.

        Raises:
            HandlerFailed: the provider could not be asked now; the road tries again.
        """
        account = await self._cashier.account(incoming.account)
        if account is None:
            return Effects()
        try:
            said = await self._read(incoming, account)
            if said is None:
                return Effects()
            said = await self._with_amount(said, account)
        except EgressError as error:
            raise _again(error) from error
        applied = await self._cashier.hear(account, incoming.event.message_id or f"message:{incoming.id}", said)
        try:
            await self._capture(applied, account)
        except EgressError as error:
            if incoming.attempt <= ROAD_TRIES and (error.after or 0.0) <= ROAD_WAIT and not isinstance(error, EgressRefused):
                raise _again(error) from error
        return Effects()

    def apology(self, _incoming: Incoming) -> Effects:
        """Say nothing: no person reads a payment account."""
        return Effects()

    async def _read(self, incoming: Incoming, account: Account) -> Standing | None:
        found = incoming.event
        if found.kind is Kind.PAYMENT:  # ours: what the provider answered when it was asked
            return _SAID.decode(found.raw)
        told = msgspec.structs.replace(found, conversation=external_id(incoming.conversation))
        async with self._cashier.asking(account) as provider:
            return provider.news(told, account) if await provider.confirm(told, account) else None

    async def _with_amount(self, said: Standing, account: Account) -> Standing:
        """Ask how much was paid, where an event of an order of ours does not say."""
        if said.state not in MONEY or said.amount:
            return said
        row = await self._cashier.ledger.find(account.id, said)
        if row is None:
            return said
        try:
            async with self._cashier.asking(account) as provider:
                looked = await provider.look(self._cashier.order(row), account)
        except PaymentRefused:
            return said
        back = max(said.refunded, looked.refunded)  # an event of one refund does not say how much went back in all
        return msgspec.structs.replace(said, order=row.id, amount=looked.amount, currency=looked.currency, refunded=back)

    async def _capture(self, applied: Applied, account: Account) -> None:
        """Take the money of an approved order; what the provider answers is applied like an event."""
        row = applied.row
        if row is None or row.state is not PaymentState.APPROVED or row.held:
            return
        tried = await self._cashier.ledger.begin(row.id, "capture", str(row.key), row.amount)
        try:
            await attempt(self._cashier, row, account, tried, _capturing)
        except PaymentRefused as error:
            failed = Standing(state=PaymentState.FAILED, order=row.id, detail=error.message)
            await self._cashier.hear(account, f"refused:{row.key}:{tried.tries}", failed)


def _again(error: EgressError) -> HandlerFailed:
    return HandlerFailed(f"The payment provider could not be asked: {error.message}", after=error.after)


async def _capturing(provider: PaymentProvider, order: Order, account: Account) -> Standing:
    return await provider.capture(order, account)


def asked(row: PaymentRow, said: Standing, now: float) -> Event:
    """Write what a provider answered about an order as an event of its account.

    Args:
        row: the payment.
        said: the answer.
        now: Unix seconds.
    """
    named = msgspec.structs.replace(said, order=row.id)
    raw = msgspec.Raw(msgspec.json.encode(named))
    return Event(kind=Kind.PAYMENT, conversation=row.id, key=f"asked:{row.id}:{now:.3f}", raw=raw)
