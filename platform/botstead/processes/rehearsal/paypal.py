"""`chat.paypal`: webhooks as PayPal sends them, read by the real integration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from botstead.bots.testing import Reply
from botstead.core.money import Payment
from botstead.integrations.paypal.amounts import to_paypal
from botstead.integrations.paypal.parse import EVENTS, news
from botstead.processes.rehearsal.payments import Till


class PayPalDouble:
    """Says to the bot's payments what PayPal would."""

    def __init__(self, till: Till) -> None:
        """Build it.

        Args:
            till: the payments.
        """
        self._till = till
        self._number = 0

    async def webhook(self, kind: str, payment: str = "", **changes: object) -> Reply:
        """Deliver an event, such as `PAYMENT.CAPTURE.COMPLETED`. An approved order is captured at once, as in production.

        Args:
            kind: PayPal's name of the event.
            payment: id or reference; by default the newest that is open, or else the newest.
            changes: fields of the event's resource.

        Returns:
            What the bot said to it; nothing where the event means nothing new.

        Raises:
            LookupError: nobody was asked to pay, or no such event is listened to.
        """
        if kind not in EVENTS:
            raise LookupError(f"{kind!r} is no event that is listened to. There are {', '.join(EVENTS)}.")
        self._number += 1
        found = self._till.newest(payment)
        resource = {**_resource(kind)(found), **changes}
        body = msgspec.json.encode({"id": f"WH-TEST{self._number}", "event_type": kind, "resource": resource})
        said = news(body.decode())
        return Reply() if said is None else await self._till.hear(said.order or found.id, said)


def _order(payment: Payment) -> Mapping[str, Any]:
    unit = {"custom_id": payment.id, "amount": to_paypal(payment.amount, payment.currency)}
    return {"id": f"ORDER-{payment.id}", "status": "APPROVED", "purchase_units": [unit]}


def _reversal(payment: Payment) -> Mapping[str, Any]:
    return {"order_id": f"ORDER-{payment.id}", "purchase_units": [{"custom_id": payment.id}]}


def _capture(payment: Payment) -> Mapping[str, Any]:
    amount = to_paypal(payment.amount, payment.currency)
    return {"id": f"CAPTURE-{payment.id}", "status": "COMPLETED", "amount": amount, "custom_id": payment.id}


def _refund(payment: Payment) -> Mapping[str, Any]:
    amount = to_paypal(payment.amount, payment.currency)
    return {
        "id": f"REFUND-{payment.id}",
        "status": "COMPLETED",
        "amount": amount,
        "custom_id": payment.id,
        "seller_payable_breakdown": {"total_refunded_amount": amount},
    }


_OTHERS: Final[Mapping[str, Callable[[Payment], Mapping[str, Any]]]] = {
    "CHECKOUT.ORDER.APPROVED": _order,
    "CHECKOUT.PAYMENT-APPROVAL.REVERSED": _reversal,
    "PAYMENT.CAPTURE.REFUNDED": _refund,
}


def _resource(kind: str) -> Callable[[Payment], Mapping[str, Any]]:
    return _OTHERS.get(kind, _capture)
