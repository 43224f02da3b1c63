"""Amounts as Stripe counts them, which is not everywhere as ISO 4217 does.

Source: https://docs.stripe.com/currencies#minor-units and #special-cases there.
"""

from __future__ import annotations

from typing import Final

from botstead.core.errors import PaymentRefused
from botstead.core.money import Money, exponent

_NONE: Final = frozenset(
    ("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF")
)
"""Currencies without digits after the point. Not ISK and UGX: they have none either, and Stripe wants them with two zeros."""
_THREE: Final = frozenset(("BHD", "JOD", "KWD", "OMR", "TND"))
"""Currencies with three digits, the last of which has to be 0."""


def to_stripe(amount: int, currency: str) -> int:
    """Return an amount of ours as Stripe wants it.

    Args:
        amount: in the currency's smallest unit, by ISO 4217.
        currency: ISO 4217.

    Raises:
        PaymentRefused: Stripe cannot take that amount of this currency.
    """
    scaled, rest = _scaled(amount, _digits(currency) - exponent(currency))
    if rest or (currency in _THREE and scaled % 10):
        raise PaymentRefused(f"Stripe takes no such fraction: {Money(amount, currency)}. Round the amount.")
    return scaled


def from_stripe(amount: int, currency: str) -> int:
    """Return an amount of Stripe's in the smallest unit, by ISO 4217; what cannot be paid in that currency is cut off.

    Args:
        amount: as Stripe says it.
        currency: ISO 4217.
    """
    return _scaled(amount, exponent(currency) - _digits(currency))[0]


def _digits(currency: str) -> int:
    if currency in _NONE:
        return 0
    return 3 if currency in _THREE else 2


def _scaled(amount: int, digits: int) -> tuple[int, int]:
    """Shift the point: the whole part and what is left over."""
    return (amount * 10**digits, 0) if digits >= 0 else divmod(amount, 10**-digits)
