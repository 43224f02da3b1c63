"""Asking for money and giving it back, as what a channel does with two more actions.

`Pay` becomes a row of the ledger, then the provider's page, then a message with a button that the wrapped channel delivers.
The row is found again by the message's id and the provider by the row's key, so no retry, kill or timeout asks twice.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import msgspec

from botstead.core.errors import (
    EgressError,
    EgressRefused,
    EgressResting,
    EgressTimeout,
    EgressUnsent,
    NotFound,
    PaymentRefused,
    Unavailable,
)
from botstead.core.messages import Button, Delivery, Health, Outcome, Parsed, Pay, Reason, Receipt, Refund, Send
from botstead.core.money import Money, PaymentState
from botstead.core.ports import Account, ChannelKind, Egress, Prepared, Sending
from botstead.core.tills import Order, PaymentProvider, Standing
from botstead.operate.payments.cashier import DOUBLE, Cashier, books
from botstead.operate.payments.state import refundable
from botstead.operate.payments.trying import Ask, attempt
from botstead.store.payment_records import Attempt, NewOrder, PaymentRow

SORRY = "Sorry, this payment cannot be made right now. Nothing was charged."
"""What a person reads when the provider refuses."""
TEST = "This is a test payment: no money moves."
"""Stands under what leads to the double's page."""
DISABLED_WAIT = 30.0
"""Seconds after which an order for a disabled account is tried again."""


class Paying:
    """A `core.ports.ChannelKind` that can also be paid on; everything else it hands to the one it wraps."""

    def __init__(self, wrapped: ChannelKind, cashier: Cashier) -> None:
        """Wrap a kind.

        Args:
            wrapped: delivers messages.
            cashier: the ledger and the providers.
        """
        self.kind = wrapped.kind
        self._wrapped = wrapped
        self._cashier = cashier

    def verify(self, delivery: Delivery, account: Account, now: float) -> None:
        """See the wrapped kind."""
        self._wrapped.verify(delivery, account, now)

    def parse(self, delivery: Delivery, account: Account) -> Parsed:
        """See the wrapped kind."""
        return self._wrapped.parse(delivery, account)

    async def health(self, account: Account, egress: Egress) -> Health:
        """See the wrapped kind."""
        return await self._wrapped.health(account, egress)

    async def install(self, account: Account, egress: Egress, hook_url: str) -> Health:
        """See the wrapped kind."""
        return await self._wrapped.install(account, egress, hook_url)

    def prepare(self, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Prepared:
        """See the wrapped kind."""
        return self._wrapped.prepare(settings, secrets)

    async def deliver(self, sending: Sending, account: Account, egress: Egress) -> Receipt:
        """Make one attempt: to ask for money, to give it back, or to send."""
        try:
            match sending.action:
                case Pay() as pay:
                    return await self._pay(pay, sending, account, egress)
                case Refund() as refund:
                    return await self._refund(refund, sending, account)
                case _:
                    return await self._wrapped.deliver(sending, account, egress)
        except Unavailable as error:
            return Receipt(outcome=Outcome.LATER, reason=Reason.UNAVAILABLE, detail=error.message, after=1.0, counted=False)
        except EgressError as error:
            return later(error)

    async def _pay(self, pay: Pay, sending: Sending, account: Account, egress: Egress) -> Receipt:
        try:
            row = await self._opened(pay, sending.id, account)
        except (PaymentRefused, EgressRefused) as error:
            shown = Send(text=SORRY, plain=True)
            receipt = await self._show(shown, sending, account, egress)
            refused = Receipt(outcome=Outcome.FAILED, reason=Reason.INVALID, detail=error.message)
            return refused if receipt.outcome is Outcome.SENT else receipt
        return await self._show(message(pay, row.url, test=row.provider == DOUBLE), sending, account, egress)

    async def _opened(self, pay: Pay, asking: int, account: Account) -> PaymentRow:
        row = await self._cashier.ledger.of_message(asking)
        payer = (
            await self._cashier.account_for(account, pay.provider) if row is None else await self._cashier.account(row.account)
        )
        if payer is None:
            raise PaymentRefused("The payment account was removed.")
        if not payer.enabled:
            raise EgressResting("The payment account is disabled.", after=DISABLED_WAIT)
        if row is None:
            row = await self._cashier.ledger.order(_new(pay, asking, payer, self._cashier.waits.patience))
        if row.url:
            return row
        if row.state is PaymentState.FAILED:
            raise PaymentRefused(row.detail or None)
        return await self._open(row, payer)

    async def _open(self, row: PaymentRow, payer: Account) -> PaymentRow:
        ledger = self._cashier.ledger
        tried = await ledger.begin(row.id, "open", str(row.key), row.amount)
        try:
            applied = await attempt(self._cashier, row, payer, tried, _opening)
        except (PaymentRefused, EgressRefused) as error:
            failed = Standing(state=PaymentState.FAILED, order=row.id, detail=error.message)
            await self._cashier.hear(payer, f"refused:{row.key}", failed)
            raise
        return applied.row or row

    async def _show(self, shown: Send, sending: Sending, account: Account, egress: Egress) -> Receipt:
        """Deliver what the person reads, and keep it in history in the place of what asked for it."""
        await self._cashier.ledger.reword(sending.id, shown.text, msgspec.json.encode(shown).decode())
        told = msgspec.structs.replace(sending, action=shown)
        receipt = await self._wrapped.deliver(told, account, egress)
        sending.parts_sent, sending.external_id = told.parts_sent, told.external_id
        return receipt

    async def _refund(self, refund: Refund, sending: Sending, account: Account) -> Receipt:
        try:
            row, tried, before = await self._begun(refund, sending.id, account)
            payer = await self._cashier.account(row.account)
            if payer is None:
                detail = "The payment account was removed; refund it at the provider."
                return Receipt(outcome=Outcome.FAILED, reason=Reason.GONE, detail=detail)
            if tried.state != "done":
                await attempt(self._cashier, row, payer, tried, _refunding(tried, before))
        except (NotFound, PaymentRefused, EgressRefused) as error:
            return Receipt(outcome=Outcome.FAILED, reason=Reason.INVALID, detail=error.message)
        return Receipt(outcome=Outcome.SENT)

    async def _begun(self, refund: Refund, asking: int, account: Account) -> tuple[PaymentRow, Attempt, int]:
        """Note the try, once its amount is known to be there: refunds of one payment wait for each other here.

        Returns:
            The payment, the try, and what other refunds that ended well have given back.
        """
        async with self._cashier.ledger.held(refund.payment) as (row, attempts, begin):
            if row.bot != account.bot:
                raise NotFound("There is no such payment.")
            key = str(uuid.uuid5(row.key, f"refund {asking}"))
            refunds = [one for one in attempts if one.kind == "refund"]
            mine = next((one for one in refunds if one.key == key), None)
            before = sum(one.amount for one in refunds if one.state == "done" and one.key != key)
            if mine is not None and mine.state != "failed":
                return row, await begin("refund", key, mine.amount), before
            left = refundable(books(row), sum(one.amount for one in refunds if one.state in ("pending", "unknown")))
            amount = mine.amount if mine is not None else refund.amount or left
            if not 0 < amount <= left:
                raise PaymentRefused(
                    f"Of this payment {Money(left, row.currency)} can go back, not {Money(amount, row.currency)}."
                )
            return row, await begin("refund", key, amount), before


def message(pay: Pay, url: str, *, test: bool = False) -> Send:
    """Write what the person reads: text, and a button that leads to the provider's page. Pure.

    Args:
        pay: what is asked for.
        url: of the page.
        test: whether no money moves there, which the person has to know.
    """
    amount = Money(pay.amount, pay.currency)
    button = Button(label=pay.label or f"Pay {amount}", url=url)
    text = pay.text or f"{pay.title}: {amount}"
    text = f"{text}\n\n{TEST}" if test else text
    return Send(text=text, buttons=((button,),), plain=not pay.text)


def later(error: EgressError) -> Receipt:
    """Say when to try again what did not reach a provider, or may have. Pure.

    Args:
        error: what happened.
    """
    if isinstance(error, EgressResting):
        rest = error.after or DISABLED_WAIT
        return Receipt(outcome=Outcome.LATER, reason=Reason.UNAVAILABLE, detail=error.message, after=rest, counted=False)
    reason = Reason.TIMEOUT if isinstance(error, EgressTimeout) else Reason.UNAVAILABLE
    after = error.after if isinstance(error, EgressUnsent) else None
    return Receipt(outcome=Outcome.LATER, reason=reason, detail=error.message, after=after)


def _new(pay: Pay, asking: int, payer: Account, patience: float) -> NewOrder:
    return NewOrder(
        message=asking,
        account=payer.id,
        provider=payer.kind,
        amount=pay.amount,
        currency=pay.currency,
        title=pay.title,
        reference=pay.reference,
        patience=patience,
    )


def _refunding(tried: Attempt, before: int) -> Ask:
    async def ask(provider: PaymentProvider, order: Order, account: Account) -> Standing:
        said = await provider.refund(order, tried.amount, tried.key, account)
        return said if said.refunded else msgspec.structs.replace(said, refunded=before + tried.amount)

    return ask


async def _opening(provider: PaymentProvider, order: Order, account: Account) -> Standing:
    return await provider.open(order, account)
