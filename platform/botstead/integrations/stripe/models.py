"""What Stripe says of sessions, payments, charges and refunds, and what that means for an order.

Fields are those that the pinned version of the API documents (https://docs.stripe.com/api/checkout/sessions/object and others);
what is not needed is not read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from botstead.core.money import PaymentState
from botstead.core.tills import Standing
from botstead.integrations.stripe.amounts import from_stripe
from botstead.integrations.stripe.errors import Failure, said

API_VERSION: Final = "2026-10-28.endive"
"""Sent with every request, so that answers keep their form when the account's own version changes.
Source: https://docs.stripe.com/api/versioning"""
ORDER: Final = "order"
"""The key in `metadata` that our order's id stands under."""
REFUND: Final = "refund"
"""The key in a refund's `metadata` that our key of it stands under."""

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern="^[!-~]*$")]
_OURS: Final = re.compile(r"pay_[A-Za-z0-9_-]{1,100}")
_UNPAID: Final = "unpaid"
_GONE: Final = frozenset({"failed", "canceled"})
"""States of a refund in which the money did not go back."""


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """Money taken once: https://docs.stripe.com/api/charges/object."""

    id: Id
    amount: int = 0
    amount_refunded: int = 0
    refunded: bool = False
    currency: str = ""
    payment_intent: Id | None = None
    metadata: Mapping[str, str] = {}


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """A payment and its tries: https://docs.stripe.com/api/payment_intents/object."""

    id: Id
    status: str = ""
    metadata: Mapping[str, str] = {}
    last_payment_error: Failure | None = None
    latest_charge: Charge | str | None = None


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A page that a person pays at: https://docs.stripe.com/api/checkout/sessions/object."""

    id: Id
    status: str | None = None
    payment_status: str = _UNPAID
    url: str | None = None
    client_reference_id: str | None = None
    amount_total: int | None = None
    currency: str | None = None
    payment_intent: Intent | Id | None = None
    metadata: Mapping[str, str] | None = None


class Refunded(msgspec.Struct, frozen=True, kw_only=True):
    """Money given back: https://docs.stripe.com/api/refunds/object."""

    id: Id
    amount: int = 0
    currency: str = ""
    status: str | None = None
    payment_intent: Id | None = None
    failure_reason: str | None = None
    metadata: Mapping[str, str] | None = None

    @property
    def counts(self) -> bool:
        """Whether the money went back, or is on its way."""
        return self.status not in _GONE


class Dispute(msgspec.Struct, frozen=True, kw_only=True):
    """A payer who wants the money back from their bank: https://docs.stripe.com/api/disputes/object."""

    id: Id
    reason: str = ""
    payment_intent: Id | None = None


class Sessions(msgspec.Struct, frozen=True):
    """A page of a list."""

    data: tuple[Session, ...] = ()
    has_more: bool = False


class Refunds(msgspec.Struct, frozen=True):
    """A page of a list."""

    data: tuple[Refunded, ...] = ()
    has_more: bool = False


def ours(metadata: Mapping[str, str] | None, reference: str | None = None) -> str:
    """Return our id of an order, or "" when none of ours is in it.

    Args:
        metadata: of any object.
        reference: `client_reference_id` of a session.
    """
    found = reference or (metadata or {}).get(ORDER) or ""
    return found if _OURS.fullmatch(found) else ""


def intent_id(session: Session) -> str:
    """Return the id of a session's payment, or "" when it has none yet."""
    intent = session.payment_intent
    return intent.id if isinstance(intent, Intent) else intent or ""


def of_session(session: Session, state: PaymentState | None = None) -> Standing:
    """Say what a session means for its order.

    Args:
        session: as Stripe shows it.
        state: what is known otherwise, by the kind of event.
    """
    state = state or _state(session)
    currency = (session.currency or "").upper()
    paid = state is PaymentState.PAID
    amount = from_stripe(session.amount_total or 0, currency) if paid else 0
    intent = session.payment_intent if isinstance(session.payment_intent, Intent) else None
    charge = intent.latest_charge if intent and isinstance(intent.latest_charge, Charge) else None
    refunded = from_stripe(charge.amount_refunded, currency) if charge else 0
    failure = intent.last_payment_error if intent else None
    return Standing(
        state=PaymentState.REFUNDED if paid and charge and charge.refunded else state,
        order=ours(session.metadata, session.client_reference_id),
        session=session.id,
        payment=intent_id(session),
        amount=amount,
        currency=currency if paid else "",
        refunded=refunded,
        url=session.url or "",
        detail=said(failure) if failure and not paid else "",
    )


def _state(session: Session) -> PaymentState:
    """A page that is done has brought money, or will in days (SEPA and others), or turned out not to."""
    if session.status == "expired":
        return PaymentState.EXPIRED
    if session.payment_status != _UNPAID:
        return PaymentState.PAID
    intent = session.payment_intent if isinstance(session.payment_intent, Intent) else None
    over = session.status == "complete" and intent is not None and intent.status in ("requires_payment_method", "canceled")
    return PaymentState.FAILED if over else PaymentState.PENDING


def of_charge(charge: Charge) -> Standing:
    """Say what a charge means for its order, after something of it went back."""
    currency = charge.currency.upper()
    return Standing(
        state=PaymentState.REFUNDED if charge.refunded else PaymentState.PAID,
        order=ours(charge.metadata),
        payment=charge.payment_intent or "",
        amount=from_stripe(charge.amount, currency),
        currency=currency,
        refunded=from_stripe(charge.amount_refunded, currency),
    )
