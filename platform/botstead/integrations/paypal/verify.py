"""Did PayPal send this? At the door: is it in form, of today, and signed by the certificate if that is known here already?

The certificate comes over the network, and a hook does not wait for one: what cannot be decided here is kept with the headers
that decide it, and `PayPal.confirm` does so before it has an effect.

Source: https://developer.paypal.com/api/rest/webhooks/rest/#link-selfverificationmethod
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from botstead.core import bodies
from botstead.core.errors import Rejected
from botstead.core.messages import Delivery, Event
from botstead.core.ports import Account
from botstead.integrations.paypal.account import certificates_at
from botstead.runtime.signatures import TOLERANCE, paypal_message, paypal_verify

REPEATED_FOR: Final = 8 * 86_400.0
"""Seconds after which a delivery is too old: PayPal repeats one for three days, and the inbox knows repetitions for eight."""
ALGORITHM: Final = "SHA256withRSA"
_HEADERS: Final[Mapping[str, re.Pattern[str]]] = {
    "paypal-transmission-id": re.compile(r"[A-Za-z0-9-]{1,64}"),
    "paypal-transmission-time": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII),
    "paypal-transmission-sig": re.compile(r"[A-Za-z0-9+/]{300,1500}={0,2}"),
    "paypal-cert-url": re.compile(r"[!-~]{1,500}"),
    "paypal-auth-algo": re.compile(ALGORITHM),
}
Known = Callable[[str], RSAPublicKey | None]
"""The key of a certificate by its address, when it is known and trusted."""


class Signed(msgspec.Struct, frozen=True):
    """A delivery as it is kept: what is needed to check it later, byte for byte."""

    headers: Mapping[str, str]
    body: str

    def check(self, account: Account, key: RSAPublicKey) -> None:
        """Check the signature.

        Args:
            account: its setting `webhook_id` is part of what was signed.
            key: of the certificate.

        Raises:
            Rejected: it was not signed with it.
        """
        message = paypal_message(
            body=self.body.encode(),
            transmission_id=self.headers["paypal-transmission-id"].encode(),
            timestamp=self.headers["paypal-transmission-time"].encode(),
            webhook_id=webhook_id(account).encode(),
        )
        paypal_verify(message=message, signature=self.headers["paypal-transmission-sig"].encode(), key=key)

    def fits(self, account: Account, key: RSAPublicKey) -> bool:
        """Tell whether the signature is right; see `check`."""
        try:
            self.check(account, key)
        except Rejected:
            return False
        return True


def webhook_id(account: Account) -> str:
    """Return PayPal's id of the account's webhook, or "" when the operator has not told it yet."""
    return str(account.settings.get("webhook_id") or "")


def verify(delivery: Delivery, account: Account, now: float, known: Known) -> None:
    """Refuse what PayPal cannot have sent.

    Args:
        delivery: raw request.
        account: the installation.
        now: Unix seconds.
        known: keys that are known here.

    Raises:
        Rejected: a header is missing, repeated or malformed, it is too old or of the future, its certificate is not at PayPal's,
            or the signature is wrong.
    """
    signed = of_delivery(delivery)
    if not webhook_id(account):
        raise Rejected(reason="unknown")
    if not certificates_at(account, signed.headers["paypal-cert-url"]):
        raise Rejected(reason="malformed")
    age = now - _time(signed.headers["paypal-transmission-time"])
    if age > REPEATED_FOR:
        raise Rejected(reason="replay")
    if age < -TOLERANCE:
        raise Rejected(reason="clock")
    key = known(signed.headers["paypal-cert-url"])
    if key is not None:
        signed.check(account, key)


def of_delivery(delivery: Delivery) -> Signed:
    """Take from a delivery what its signature is about.

    Raises:
        Rejected: a header is missing, repeated or malformed, or the body is no text.
    """
    headers = {}
    for name, form in _HEADERS.items():
        value = (delivery.header(name.encode()) or b"").decode("ascii", "replace")
        if not value:
            raise Rejected(reason="missing")
        if not form.fullmatch(value):
            raise Rejected(reason="malformed")
        headers[name] = value
    try:
        return Signed(headers, delivery.body.decode())
    except UnicodeDecodeError as error:
        raise Rejected(reason="malformed") from error


def of_event(event: Event) -> Signed | None:
    """Return what was kept with an event; None when that is no delivery of PayPal's."""
    found = bodies.read(event.raw, Signed)
    return found if found is not None and _HEADERS.keys() <= found.headers.keys() else None


def _time(written: str) -> float:
    try:
        return datetime.fromisoformat(written).timestamp()
    except (ValueError, OverflowError) as error:
        raise Rejected(reason="malformed") from error
