"""What PayPal says of orders, captures and refunds, and what that means for an order of ours.

Fields are those of the Orders API, version 2 (https://developer.paypal.com/docs/api/orders/v2/); what is not needed is not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Final

import msgspec

from botstead.core.money import PaymentState
from botstead.core.tills import Standing
from botstead.integrations.paypal.amounts import Amount

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern="^[!-~]*$")]
_OURS: Final = re.compile(r"(pay_[A-Za-z0-9_-]{1,60})(?:\.([A-Za-z0-9_-]{1,60}))?")
_PAGES: Final = ("payer-action", "approve")
_GONE: Final = frozenset({"FAILED", "CANCELLED"})
"""States of a refund in which the money did not go back."""
_TAKEN: Final = frozenset({"COMPLETED", "PARTIALLY_REFUNDED", "REFUNDED"})
_NOT_TAKEN: Final = frozenset({"DECLINED", "FAILED"})


class Link(msgspec.Struct, frozen=True):
    """Where something is."""

    href: str = ""
    rel: str = ""


class _Reason(msgspec.Struct, frozen=True):
    reason: str = ""


class _Related(msgspec.Struct, frozen=True):
    order_id: Id | None = None


class _Supplement(msgspec.Struct, frozen=True):
    related_ids: _Related = _Related()


class Capture(msgspec.Struct, frozen=True, kw_only=True):
    """Money taken."""

    id: Id
    status: str = ""
    amount: Amount = Amount()
    custom_id: str = ""
    status_details: _Reason = _Reason()
    supplementary_data: _Supplement = _Supplement()


class _Breakdown(msgspec.Struct, frozen=True):
    total_refunded_amount: Amount = Amount()


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """Money given back."""

    id: Id
    status: str = ""
    amount: Amount = Amount()
    custom_id: str = ""
    status_details: _Reason = _Reason()
    seller_payable_breakdown: _Breakdown = _Breakdown()
    links: tuple[Link, ...] = ()

    @property
    def counts(self) -> bool:
        """Whether the money went back, or is on its way."""
        return self.status not in _GONE

    @property
    def capture(self) -> str:
        """The id of the capture that it is of, from its link."""
        up = next((link.href for link in self.links if link.rel == "up"), "")
        found = up.rpartition("/")[2]
        return found if re.fullmatch(r"[A-Za-z0-9]{1,60}", found) else ""


class _Payments(msgspec.Struct, frozen=True):
    captures: tuple[Capture, ...] = ()
    refunds: tuple[Refund, ...] = ()


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """What is paid for; we have one in each order."""

    custom_id: str = ""
    amount: Amount = Amount()
    payments: _Payments = _Payments()


class PayPalOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order."""

    id: Id
    status: str = ""
    purchase_units: tuple[Unit, ...] = ()
    links: tuple[Link, ...] = ()

    @property
    def unit(self) -> Unit:
        """Its one unit."""
        return self.purchase_units[0] if self.purchase_units else Unit()


def ours(custom_id: str) -> str:
    """Return our id of an order from `custom_id`, or "" when none of ours is in it.

    Args:
        custom_id: of an order or capture, or of a refund, where our key of the refund follows it.
    """
    found = _OURS.fullmatch(custom_id)
    return found[1] if found else ""


def refund_key(custom_id: str) -> str:
    """Return our key of a refund, or "" when it was not made by us."""
    found = _OURS.fullmatch(custom_id)
    return (found[2] or "") if found else ""


def back(refunds: Iterable[Refund]) -> int:
    """Return how much went back, in the smallest unit."""
    return sum(refund.amount.units for refund in refunds if refund.counts)


def of_order(order: PayPalOrder) -> Standing:
    """Say what an order of PayPal's means for ours.

    Args:
        order: as PayPal shows it.
    """
    unit = order.unit
    if unit.payments.captures:
        taken = of_capture(unit.payments.captures[0])
        refunded = back(unit.payments.refunds)
        whole = taken.state is PaymentState.PAID and refunded >= taken.amount > 0
        state = PaymentState.REFUNDED if whole else taken.state
        return msgspec.structs.replace(
            taken, state=state, order=ours(unit.custom_id) or taken.order, session=order.id, refunded=refunded
        )
    state = {"APPROVED": PaymentState.APPROVED, "VOIDED": PaymentState.EXPIRED}.get(order.status, PaymentState.PENDING)
    approved = state is PaymentState.APPROVED
    return Standing(
        state=state,
        order=ours(unit.custom_id),
        session=order.id,
        amount=unit.amount.units if approved else 0,
        currency=unit.amount.currency_code if approved else "",
        url=next((link.href for rel in _PAGES for link in order.links if link.rel == rel), ""),
    )


def of_capture(capture: Capture) -> Standing:
    """Say what a capture means for its order.

    Args:
        capture: as PayPal shows it.
    """
    paid = capture.status in _TAKEN
    failed = capture.status in _NOT_TAKEN
    state = PaymentState.PAID if paid else PaymentState.FAILED if failed else PaymentState.PENDING
    reason = capture.status_details.reason or ("the payment was declined" if failed else "")
    return Standing(
        state=state,
        order=ours(capture.custom_id),
        session=capture.supplementary_data.related_ids.order_id or "",
        payment=capture.id,
        amount=capture.amount.units if paid else 0,
        currency=capture.amount.currency_code if paid else "",
        detail=f"PayPal says: {reason}." if reason and not paid else "",
    )
