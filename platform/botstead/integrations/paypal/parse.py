"""From a delivery to an event of its order's lane, and from that event to what it means. Pure.

Source: https://developer.paypal.com/api/rest/webhooks/event-names/. Events come in any order and more than once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, TypeVar

import msgspec

from botstead.core import bodies
from botstead.core.errors import Unreadable
from botstead.core.messages import Event, Kind, Parsed
from botstead.core.money import PaymentState
from botstead.core.tills import Standing
from botstead.integrations.paypal.models import Capture, Id, PayPalOrder, Refund, Unit, of_capture, of_order, ours

T = TypeVar("T")


class _Envelope(msgspec.Struct, frozen=True):
    id: Id
    event_type: str
    resource: msgspec.Raw
    create_time: str = ""


class _Reversed(msgspec.Struct, frozen=True):
    order_id: Id | None = None
    purchase_units: tuple[Unit, ...] = ()


def parse(body: bytes, kept: bytes) -> Parsed:
    """Find the event in a delivery.

    Args:
        body: the raw body, one event.
        kept: what stays with the event, so that it can be checked again. It is part of the dedup key: nobody can keep PayPal's
            own event out by sending something else under its id before.

    Raises:
        Unreadable: it is no event of PayPal's.
    """
    bodies.decode(body)
    try:
        envelope = msgspec.json.decode(body, type=_Envelope)
    except msgspec.ValidationError as error:
        raise Unreadable("This is no event of PayPal's.") from error
    told = _meaning(envelope)
    return Parsed(
        events=(
            Event(
                kind=Kind.STATUS if told else Kind.UNKNOWN,
                conversation=(told.order or told.payment or told.session) if told else "",
                key=f"{envelope.id}:{hashlib.sha256(kept).hexdigest()[:16]}",
                message_id=envelope.id,
                at=_time(envelope.create_time),
                raw=msgspec.Raw(kept),
            ),
        )
    )


def news(body: str) -> Standing | None:
    """Say what an event means for an order; None when it is about none.

    Args:
        body: of the delivery.
    """
    envelope = bodies.read(body, _Envelope)
    return None if envelope is None else _meaning(envelope)


def _meaning(envelope: _Envelope) -> Standing | None:
    read = _MEANINGS.get(envelope.event_type)
    try:
        return read(envelope.resource) if read else None
    except msgspec.DecodeError:
        return None


def _reader(kind: type[T], meaning: Callable[[T], Standing]) -> Callable[[msgspec.Raw], Standing]:
    decoder = msgspec.json.Decoder(kind)
    return lambda raw: meaning(decoder.decode(raw))


def _capture(status: str) -> Callable[[msgspec.Raw], Standing]:
    """The name of the event decides: the capture in it may be shown as it is at the time of a repetition."""
    return _reader(Capture, lambda capture: of_capture(msgspec.structs.replace(capture, status=status)))


def _approved(order: PayPalOrder) -> Standing:
    told = of_order(order)
    if told.state is not PaymentState.PENDING:
        return told
    return msgspec.structs.replace(
        told, state=PaymentState.APPROVED, amount=order.unit.amount.units, currency=order.unit.amount.currency_code
    )


def _refunded(refund: Refund) -> Standing:
    total = max(refund.seller_payable_breakdown.total_refunded_amount.units, refund.amount.units if refund.counts else 0)
    return Standing(state=PaymentState.PAID, order=ours(refund.custom_id), payment=refund.capture, refunded=total)


def _reversed(capture: Capture) -> Standing:
    detail = "PayPal took the payment back from the account. Look at it in PayPal's Dashboard."
    return Standing(state=PaymentState.PAID, order=ours(capture.custom_id), payment=capture.id, detail=detail)


def _taken_back(approval: _Reversed) -> Standing:
    unit = approval.purchase_units[0] if approval.purchase_units else Unit()
    return Standing(state=PaymentState.EXPIRED, order=ours(unit.custom_id), session=approval.order_id or "")


def _time(written: str) -> float:
    try:
        return max(0.0, datetime.fromisoformat(written).timestamp())
    except (ValueError, OverflowError):
        return 0.0


_MEANINGS: Final[Mapping[str, Callable[[msgspec.Raw], Any]]] = MappingProxyType(
    {
        "CHECKOUT.ORDER.APPROVED": _reader(PayPalOrder, _approved),
        "CHECKOUT.PAYMENT-APPROVAL.REVERSED": _reader(_Reversed, _taken_back),
        "PAYMENT.CAPTURE.COMPLETED": _capture("COMPLETED"),
        "PAYMENT.CAPTURE.PENDING": _capture("PENDING"),
        "PAYMENT.CAPTURE.DENIED": _capture("DECLINED"),
        "PAYMENT.CAPTURE.DECLINED": _capture("DECLINED"),
        "PAYMENT.CAPTURE.REFUNDED": _reader(Refund, _refunded),
        "PAYMENT.CAPTURE.REVERSED": _reader(Capture, _reversed),
    }
)
EVENTS: Final = tuple(_MEANINGS)
"""The names of the events that the webhook has to be subscribed to."""
