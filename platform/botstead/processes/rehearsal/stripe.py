"""`chat.stripe`: webhooks as Stripe sends them, read by the real integration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from botstead.bots.testing import KitClock, Reply
from botstead.core.messages import Delivery
from botstead.core.money import Payment
from botstead.integrations.stripe.amounts import to_stripe
from botstead.integrations.stripe.models import API_VERSION, ORDER
from botstead.integrations.stripe.parse import EVENTS, news, parse
from botstead.processes.rehearsal.payments import Till


class StripeDouble:
    """Says to the bot's payments what Stripe would."""

    def __init__(self, clock: KitClock, till: Till) -> None:
        """Build it.

        Args:
            clock: the kit's time.
            till: the payments.
        """
        self._clock = clock
        self._till = till
        self._number = 0

    async def webhook(self, kind: str, payment: str = "", **changes: object) -> Reply:
        """Deliver an event, such as `checkout.session.completed`.

        Args:
            kind: Stripe's type of the event.
            payment: id or reference; by default the newest that is open, or else the newest.
            changes: fields of the event's object, such as `payment_status="unpaid"` or `amount_total=1`.

        Returns:
            What the bot said to it; nothing where the event means nothing new.

        Raises:
            LookupError: nobody was asked to pay, or no such event is listened to.
        """
        if kind not in EVENTS:
            raise LookupError(f"{kind!r} is no event that is listened to. There are {', '.join(EVENTS)}.")
        self._number += 1
        found = self._till.newest(payment)
        content = {**_OBJECTS[kind.partition(".")[0]](kind, found), **changes}
        body = msgspec.json.encode(
            {
                "id": f"evt_test{self._number}",
                "object": "event",
                "api_version": API_VERSION,
                "created": int(self._clock.now()),
                "type": kind,
                "livemode": False,
                "data": {"object": content},
            }
        )
        [event] = parse(Delivery(body)).events
        said = news(event)
        return Reply() if said is None else await self._till.hear(said.order or found.id, said)


def _session(kind: str, payment: Payment) -> Mapping[str, Any]:
    paid = kind in {"checkout.session.completed", "checkout.session.async_payment_succeeded"}
    return {
        "id": f"cs_{payment.id}",
        "object": "checkout.session",
        "status": "expired" if kind.endswith("expired") else "complete",
        "payment_status": "paid" if paid else "unpaid",
        "client_reference_id": payment.id,
        "amount_total": to_stripe(payment.amount, payment.currency),
        "currency": payment.currency.lower(),
        "payment_intent": f"pi_{payment.id}",
        "metadata": {ORDER: payment.id},
    }


def _intent(_kind: str, payment: Payment) -> Mapping[str, Any]:
    failure = {"type": "card_error", "code": "card_declined", "message": "Your card was declined."}
    return {
        "id": f"pi_{payment.id}",
        "object": "payment_intent",
        "status": "requires_payment_method",
        "metadata": {ORDER: payment.id},
        "last_payment_error": failure,
    }


def _charge(kind: str, payment: Payment) -> Mapping[str, Any]:
    if kind == "charge.dispute.created":
        return {"id": f"dp_{payment.id}", "object": "dispute", "reason": "fraudulent", "payment_intent": f"pi_{payment.id}"}
    amount = to_stripe(payment.amount, payment.currency)
    return {
        "id": f"ch_{payment.id}",
        "object": "charge",
        "amount": amount,
        "amount_refunded": amount,
        "refunded": True,
        "currency": payment.currency.lower(),
        "payment_intent": f"pi_{payment.id}",
        "metadata": {ORDER: payment.id},
    }


def _refund(kind: str, payment: Payment) -> Mapping[str, Any]:
    return {
        "id": f"re_{payment.id}",
        "object": "refund",
        "amount": to_stripe(payment.amount, payment.currency),
        "currency": payment.currency.lower(),
        "status": "failed" if kind == "refund.failed" else "succeeded",
        "payment_intent": f"pi_{payment.id}",
        "metadata": {ORDER: payment.id},
    }


_OBJECTS: Final[Mapping[str, Callable[[str, Payment], Mapping[str, Any]]]] = {
    "checkout": _session,
    "payment_intent": _intent,
    "charge": _charge,
    "refund": _refund,
}
"""What an event is about, by the first word of its type."""
