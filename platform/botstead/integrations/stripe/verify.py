"""Did Stripe send this?

Source: https://docs.stripe.com/webhooks/signature
"""

from __future__ import annotations

from typing import Final

from botstead.core.errors import Rejected
from botstead.core.messages import Delivery
from botstead.core.ports import Account
from botstead.runtime.signatures import stripe_verify

SIGNATURE_HEADER: Final = b"stripe-signature"
SECRETS: Final = ("webhook_secret", "webhook_secret_previous")


def verify(delivery: Delivery, account: Account, now: float) -> None:
    """Check the signature over timestamp and body, against the endpoint's secret and the one before a roll.

    Args:
        delivery: raw request.
        account: its secret `webhook_secret` is taken whole, `whsec_` included: it is not base64 as in Standard Webhooks.
        now: Unix seconds; the timestamp may be 300 s off to either side.

    Raises:
        Rejected: the header is missing, repeated or malformed, the signature is wrong, or this account has no secret yet.
    """
    secrets = [account.secrets[name] for name in SECRETS if name in account.secrets]
    if not secrets:
        raise Rejected(reason="unknown")
    stripe_verify(body=delivery.body, signature=delivery.header(SIGNATURE_HEADER), secrets=secrets, now=now)
