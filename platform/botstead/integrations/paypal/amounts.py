"""Amounts as PayPal writes them: decimal texts, with as many digits as it has for the currency.

Source: https://developer.paypal.com/api/rest/reference/currency-codes/
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

import msgspec

from botstead.core.errors import PaymentRefused
from botstead.core.money import Money, decimal, exponent

_WHOLE: Final = frozenset(("HUF", "JPY", "TWD"))
"""Currencies whose amounts PayPal takes without digits after the point."""

_PLAIN: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,10})?", re.ASCII)


class Amount(msgspec.Struct, frozen=True):
    """An amount in PayPal's JSON."""

    currency_code: str = ""
    value: str = "0"

    @property
    def units(self) -> int:
        """The amount in the currency's smallest unit; 0 when it cannot be read."""
        # Only plain digits: of «1e999999999» nobody wants to see the whole number, and this is read before it is believed.
        return int(Decimal(self.value).scaleb(exponent(self.currency_code))) if _PLAIN.fullmatch(self.value) else 0


def to_paypal(amount: int, currency: str) -> Amount:
    """Return an amount of ours as PayPal wants it.

    Args:
        amount: in the currency's smallest unit.
        currency: ISO 4217.

    Raises:
        PaymentRefused: PayPal takes only whole units of this currency.
    """
    written = decimal(Money(amount, currency))
    if currency in _WHOLE:
        whole, _, rest = written.partition(".")
        if rest.strip("0"):
            raise PaymentRefused(f"PayPal takes only whole {currency}, not {written}. Round the amount.")
        written = whole
    return Amount(currency, written)
