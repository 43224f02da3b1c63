"""Money as whole numbers, in the currency's smallest unit, so that nothing is ever rounded; and what becomes of a payment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Final

import msgspec

from botstead.core.errors import Invalid

_EXPONENTS: Final[Mapping[str, int]] = dict.fromkeys(
    (
        "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF",
    ), 0,
) | dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3)  # fmt: skip
"""Digits after the point where they are not two. Source: ISO 4217 list one, https://www.six-group.com/en/products-services/financial-information/data-standards.html"""
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_SHOWN: Final = 40
"""Characters of a wrong amount that are repeated to whoever gave it."""
MOST: Final = 10**12
"""Smallest units in one payment; above what any provider takes."""


class Money(msgspec.Struct, frozen=True):
    """An amount of a currency.

    Args:
        amount: in the currency's smallest unit: cents of EUR, yen of JPY, fils of KWD.
        currency: three capital letters, ISO 4217.
    """

    amount: int
    currency: str

    def __str__(self) -> str:
        """Show it for people: `12.50 EUR`, `1200 JPY`."""
        return f"{decimal(self)} {self.currency}"


def exponent(currency: str) -> int:
    """Return how many digits of an amount stand after the point.

    Args:
        currency: three capital letters.
    """
    return _EXPONENTS.get(currency, 2)


def decimal(money: Money) -> str:
    """Write an amount with its point and without its currency: `12.50`.

    Args:
        money: what to write.
    """
    return f"{Decimal(money.amount).scaleb(-exponent(money.currency)):f}"


def money(amount: str | int | Decimal, currency: str) -> Money:
    """Read an amount as people write it: `money("12.50", "EUR")`. Never from a float, which cannot hold 0.1.

    Args:
        amount: in whole units of the currency, with a point where it has smaller ones.
        currency: three letters, ISO 4217.

    Raises:
        Invalid: it is no amount above 0, has more digits than the currency, or the currency is none.
    """
    code = currency.upper()
    if not currency.isascii() or _CURRENCY.fullmatch(code) is None:
        raise Invalid(f"{currency!r} is no currency: write three letters such as EUR.")
    if isinstance(amount, float | bool):
        raise Invalid(f'An amount is a text such as "12.50", not {amount!r}: a float cannot hold it exactly.')
    try:
        units = Decimal(amount).scaleb(exponent(code))
        payable = 0 < units <= MOST  # before it becomes a whole number: of «1e300000» that would take seconds
    except (ArithmeticError, ValueError) as error:
        raise Invalid(f'{str(amount)[:_SHOWN]!r} is no amount: write it like "12.50".') from error
    if not payable:
        shown = f"{str(amount)[:_SHOWN]} {code}"
        raise Invalid(f"{shown} cannot be paid: the amount must be above 0 and at most {MOST} of its smallest unit.")
    whole = int(units)
    if units != whole:
        raise Invalid(f"{amount} has more digits after the point than {code}, which has {exponent(code)}.")
    return Money(whole, code)


class PaymentState(StrEnum):
    """How a payment stands. Only ever forward: a late or repeated event of the provider never takes it back."""

    OPENED = "opened"
    """It was asked for; the provider has not been told yet, or nobody knows whether it heard."""
    PENDING = "pending"
    """The person has a page to pay at, or has paid in a way that takes days."""
    APPROVED = "approved"
    """The person has agreed, and the money has still to be taken (PayPal)."""
    PAID = "paid"
    """The provider has the money. The bot has to do its part now."""
    FULFILLED = "fulfilled"
    """The bot's handler for the payment has taken effect."""
    FAILED = "failed"
    EXPIRED = "expired"
    REFUNDED = "refunded"
    """All of it went back."""


class Payment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A payment as bots, the API and the command line see it.

    Args:
        id: ours, `pay_…`; say it to a provider's support.
        state: how it stands.
        amount: in the currency's smallest unit.
        currency: ISO 4217.
        title: what is paid for, as the person read it.
        reference: the bot's own word for it, such as `mug`.
        refunded: how much of it went back, in the smallest unit.
        url: where the person pays; empty until the provider has said it.
        detail: why it failed, in the provider's words; never a secret.
        provider: the kind of its payment account: `stripe`, `paypal`, or `testpay`, where no money moves.
    """

    id: str
    state: PaymentState
    amount: int
    currency: str
    title: str = ""
    reference: str = ""
    refunded: int = 0
    url: str = ""
    detail: str = ""
    provider: str = ""

    @property
    def money(self) -> Money:
        """The amount with its currency."""
        return Money(self.amount, self.currency)
