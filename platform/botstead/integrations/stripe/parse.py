"""From a verified delivery to an event of its order's lane, and from that event to what it means. Pure.

Source: https://docs.stripe.com/api/events/types and https://docs.stripe.com/checkout/fulfillment. Events come in any order and
more than once (https://docs.stripe.com/webhooks#event-ordering), so none of them is read as «and then».
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar

import msgspec

from botstead.core import bodies
from botstead.core.errors import Unreadable
from botstead.core.messages import Delivery, Event, Kind, Parsed
from botstead.core.money import PaymentState
from botstead.core.tills import Standing
from botstead.integrations.stripe.errors import said
from botstead.integrations.stripe.models import (
    Charge,
    Dispute,
    Id,
    Intent,
    Refunded,
    Session,
    of_charge,
    of_session,
    ours,
)

T = TypeVar("T")

THIN: Final = "v2.core.event"


class _Data(msgspec.Struct, frozen=True):
    object: msgspec.Raw


class _Envelope(msgspec.Struct, frozen=True):
    id: Id
    type: str
    data: _Data
    created: int = 0


def parse(delivery: Delivery) -> Parsed:
    """Find the event in a verified delivery.

    Args:
        delivery: its body is one event.

    Raises:
        Unreadable: it is no event of the API's version 1; the message says what to change in Stripe's Dashboard.
    """
    tree = bodies.decode(delivery.body)
    if isinstance(tree, dict) and tree.get("object") == THIN:
        raise Unreadable("This is a thin event. In Stripe's Workbench give the destination the payload style «snapshot».")
    try:
        envelope = msgspec.json.decode(delivery.body, type=_Envelope)
    except msgspec.ValidationError as error:
        raise Unreadable("This is no event of Stripe's.") from error
    told = _meaning(envelope)
    lane = (told.order or told.payment or told.session) if told else ""
    return Parsed(
        events=(
            Event(
                kind=Kind.STATUS if told else Kind.UNKNOWN,
                conversation=lane,
                key=envelope.id,
                message_id=envelope.id,
                at=float(envelope.created),
                raw=msgspec.Raw(delivery.body),
            ),
        )
    )


def news(event: Event) -> Standing | None:
    """Say what an event means for an order; None when it is about none.

    Args:
        event: as `parse` made it.
    """
    envelope = bodies.read(event.raw, _Envelope)
    return None if envelope is None else _meaning(envelope)


def _meaning(envelope: _Envelope) -> Standing | None:
    read = _MEANINGS.get(envelope.type)
    try:
        return read(envelope.data.object) if read else None
    except msgspec.DecodeError:
        return None


def _reader(kind: type[T], meaning: Callable[[T], Standing | None]) -> Callable[[msgspec.Raw], Standing | None]:
    decoder = msgspec.json.Decoder(kind)
    return lambda raw: meaning(decoder.decode(raw))


def _session(state: PaymentState | None = None) -> Callable[[msgspec.Raw], Standing | None]:
    return _reader(Session, lambda session: of_session(session, state))


def _failed_try(intent: Intent) -> Standing:
    """A card was declined; the page is still open, and the person may take another."""
    failure = intent.last_payment_error
    return Standing(
        state=PaymentState.PENDING, order=ours(intent.metadata), payment=intent.id, detail=said(failure) if failure else ""
    )


def _refund(refund: Refunded) -> Standing:
    """One refund, of perhaps several: how much went back in all it does not say."""
    reason = f"A refund failed: {refund.failure_reason or refund.status}." if not refund.counts else ""
    return Standing(state=PaymentState.PAID, order=ours(refund.metadata), payment=refund.payment_intent or "", detail=reason)


def _dispute(dispute: Dispute) -> Standing:
    detail = f"The payer disputes it ({dispute.reason or 'no reason given'}). Answer in Stripe's Dashboard."
    return Standing(state=PaymentState.PAID, payment=dispute.payment_intent or "", detail=detail)


_MEANINGS: Final[Mapping[str, Callable[[msgspec.Raw], Any]]] = MappingProxyType(
    {
        "checkout.session.completed": _session(),
        "checkout.session.async_payment_succeeded": _session(PaymentState.PAID),
        "checkout.session.async_payment_failed": _session(PaymentState.FAILED),
        "checkout.session.expired": _session(PaymentState.EXPIRED),
        "payment_intent.payment_failed": _reader(Intent, _failed_try),
        "charge.refunded": _reader(Charge, of_charge),
        "refund.updated": _reader(Refunded, _refund),
        "refund.failed": _reader(Refunded, _refund),
        "charge.dispute.created": _reader(Dispute, _dispute),
    }
)
EVENTS: Final = tuple(_MEANINGS)
"""The types of events that the endpoint in Stripe's Dashboard has to be subscribed to."""
