"""What a page, a payment, a charge and a refund look like: every field that Stripe's own client says is always there.

Sources: https://docs.stripe.com/api/checkout/sessions/object, https://docs.stripe.com/api/payment_intents/object,
https://docs.stripe.com/api/charges/object, https://docs.stripe.com/api/refunds/object
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

Thing: TypeAlias = dict[str, Any]
_DAY: Final = 86_400
_NO_TAX: Final = {"enabled": False, "liability": None, "provider": None, "status": None}
_NO_TEXT: Final = dict.fromkeys(("after_submit", "shipping_address", "submit", "terms_of_service_acceptance"))
_NO_ADDRESS: Final = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))


def _thing(name: str, kind: str, **fields: Any) -> Thing:
    return {"id": name, "object": kind, "created": int(time.time()), **fields}


def page(name: str, fields: Mapping[str, Any], amount: int, currency: str, *, url: str) -> Thing:
    """Return a new page to pay at.

    Args:
        name: its id.
        fields: of the form that asks for it.
        amount: as Stripe counts.
        currency: in small letters.
        url: where people find it.
    """
    made = _thing(name, "checkout.session", amount_subtotal=amount, amount_total=amount, currency=currency, livemode=False)
    return made | {
        "adaptive_pricing": {"enabled": fields.get("adaptive_pricing", {}).get("enabled") == "true"},
        "automatic_tax": dict(_NO_TAX),
        "cancel_url": fields.get("cancel_url"),
        "client_reference_id": fields.get("client_reference_id"),
        "custom_fields": [],
        "custom_text": dict(_NO_TEXT),
        "customer": None,
        "expires_at": made["created"] + _DAY,
        "metadata": dict(fields.get("metadata", {})),
        "mode": "payment",
        "payment_intent": None,
        "payment_method_types": ["card"],
        "payment_status": "unpaid",
        "shipping_options": [],
        "status": "open",
        "success_url": fields["success_url"],
        "url": url,
        "_metadata": dict(fields.get("payment_intent_data", {}).get("metadata", {})),
    }


def intent(name: str, of: Mapping[str, Any], status: str) -> Thing:
    """Return the payment of a page.

    Args:
        name: its id.
        of: the page.
        status: of the payment.
    """
    return _thing(
        name,
        "payment_intent",
        amount=of["amount_total"],
        amount_capturable=0,
        amount_received=0,
        capture_method="automatic_async",
        confirmation_method="automatic",
        currency=of["currency"],
        last_payment_error=None,
        latest_charge=None,
        livemode=False,
        metadata=of["_metadata"],
        payment_method_types=["card"],
        status=status,
    )


def charge(name: str, of: Mapping[str, Any]) -> Thing:
    """Return the charge of a payment.

    Args:
        name: its id.
        of: the payment.
    """
    return _thing(
        name,
        "charge",
        amount=of["amount"],
        amount_captured=of["amount"],
        amount_refunded=0,
        billing_details={"address": dict(_NO_ADDRESS), **dict.fromkeys(("email", "name", "phone", "tax_id"))},
        captured=True,
        currency=of["currency"],
        disputed=False,
        livemode=False,
        metadata=of["metadata"],
        paid=True,
        payment_intent=of["id"],
        refunded=False,
        status="succeeded",
    )


def refund(name: str, of: Mapping[str, Any], amount: int, metadata: Mapping[str, str]) -> Thing:
    """Return a refund of a charge.

    Args:
        name: its id.
        of: the charge.
        amount: that goes back.
        metadata: of the form.
    """
    return _thing(
        name,
        "refund",
        amount=amount,
        charge=of["id"],
        currency=of["currency"],
        metadata=dict(metadata),
        payment_intent=of["payment_intent"],
        status="succeeded",
    )
