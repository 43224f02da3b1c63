"""Asking for money and giving it back: `chat.pay`, `chat.refund`, and the type `Payments` with the same two methods.

Both only say what shall happen. The order is made, and the provider asked, when the message is sent: under a key of the
message, so that a handler that runs twice, a kill or a timeout never charges twice.
"""

from __future__ import annotations

import unicodedata
from decimal import Decimal
from typing import Final

from botstead.bots.draft import Draft, Queued
from botstead.core.errors import HandlerFailed, Invalid
from botstead.core.messages import Pay, Refund
from botstead.core.money import MOST, Money, Payment, money

LONGEST_TITLE: Final = 127
"""Characters: what PayPal takes as the name of an item (https://developer.paypal.com/docs/api/orders/v2/)."""
LONGEST_REFERENCE: Final = 127
LONGEST_LABEL: Final = 60
"""Characters of a button's label, so that it fits on every channel."""


class Payments:
    """Asks for money in the conversation that the handler runs in, and gives it back: `payments: Payments` in a handler."""

    __slots__ = ("_draft",)

    def __init__(self, draft: Draft) -> None:
        """Build it; the runner does.

        Args:
            draft: where what is asked for goes.
        """
        self._draft = draft

    def pay(  # noqa: PLR0913  what a payment is made of, each given by name
        self,
        amount: str | int | Decimal,
        currency: str,
        title: str,
        *,
        reference: str = "",
        text: str = "",
        label: str = "",
        provider: str = "",
    ) -> Queued:
        """Ask the person for money: a message with a button that leads to the provider's page.

        What becomes of it comes to `@bot.on.payment`, when the provider says it. Without a payment account of the bot's own the
        page is a test page, and no money moves.

        Args:
            amount: as people write it, `"12.50"`; never a float, which cannot hold it exactly.
            currency: ISO 4217, such as `EUR`.
            title: what is paid for, one line; stands on the provider's page too.
            reference: the bot's own word for it; comes back with the payment.
            text: Markdown above the button; by default title and amount.
            label: of the button; by default «Pay 12.50 EUR».
            provider: `stripe` or `paypal`, when the bot has both.

        Raises:
            HandlerFailed: an argument cannot be used; the message says which and why.
        """
        try:
            price = money(amount, currency)
        except Invalid as error:
            raise HandlerFailed(error.message) from error
        asked = Pay(price.amount, price.currency, title, reference=reference, text=text, label=label, provider=provider)
        return self._draft.add(checked(asked))

    def refund(self, payment: Payment | str, amount: str | int | Decimal | Money | None = None) -> Queued:
        """Give money back. When the provider has done it, `@bot.on.payment("refunded")` is called.

        Args:
            payment: a payment of this bot, or its id.
            amount: as people write it, in the payment's currency; with an id, a `Money`. By default all that is left.

        Raises:
            HandlerFailed: an argument cannot be used; the message says which and why.
        """
        number = payment.id if isinstance(payment, Payment) else payment
        return self._draft.add(checked(Refund(number, _part(payment, amount))))


def _part(payment: Payment | str, amount: str | int | Decimal | Money | None) -> int:
    if amount is None:
        return 0
    if isinstance(amount, Money):
        part = amount
    elif isinstance(payment, Payment):
        try:
            part = money(amount, payment.currency)
        except Invalid as error:
            raise HandlerFailed(error.message) from error
    else:
        raise HandlerFailed('refund: an id alone does not say the currency. Give money("5.00", "EUR"), or the payment itself.')
    if isinstance(payment, Payment) and part.currency != payment.currency:
        raise HandlerFailed(f"refund: {part} cannot go back of a payment in {payment.currency}.")
    if part.amount <= 0:
        raise HandlerFailed(f"refund: {part} is nothing to give back.")
    return part.amount


def checked(action: Pay | Refund) -> Pay | Refund:
    """Return an action about money, if it can be carried out by what it says itself. Pure.

    Args:
        action: from a handler, or from the answer of a bot that speaks HTTP.

    Raises:
        HandlerFailed: it cannot; the message names the field.
    """
    complaint = _of_pay(action) if isinstance(action, Pay) else _of_refund(action)
    if complaint:
        raise HandlerFailed(f"{'pay' if isinstance(action, Pay) else 'refund'}: {complaint}")
    return action


def _of_pay(pay: Pay) -> str:
    if not 0 < pay.amount <= MOST:
        return f"amount is {pay.amount}; it is above 0 and at most {MOST}, in the smallest unit of the currency."
    if len(pay.currency) != 3 or not (pay.currency.isascii() and pay.currency.isalpha() and pay.currency.isupper()):
        return f"currency is {pay.currency[:20]!r}; write three capital letters such as EUR."
    if not pay.title.strip():
        return "title is empty; say what is paid for."
    limits = (
        ("title", pay.title, LONGEST_TITLE),
        ("reference", pay.reference, LONGEST_REFERENCE),
        ("label", pay.label, LONGEST_LABEL),
    )
    for name, value, most in limits:
        if len(value) > most:
            return f"{name} has {len(value)} characters; at most {most} are taken."
        if any(unicodedata.category(character).startswith("C") for character in value):
            return f"{name} is one line, without control characters."
    return ""


def _of_refund(refund: Refund) -> str:
    if not refund.payment.startswith("pay_"):
        return "payment is the id of a payment, `pay_…`, as `payment.id` says it."
    if not 0 <= refund.amount <= MOST:
        return f"amount is {refund.amount}; it is the smallest unit of the currency, or 0 for all that is left."
    return ""
