"""Payments in `botstead dev`: nobody pays in a terminal, so `#pay` and `#decline` say how it went, by the rules of the ledger."""

from __future__ import annotations

from typing import Final

import msgspec

from botstead.core.messages import Pay, Refund
from botstead.core.money import Payment, PaymentState
from botstead.core.tills import Standing
from botstead.operate.payments.cashier import DOUBLE
from botstead.operate.payments.paying import message
from botstead.operate.payments.state import Books, move, refundable

CHOICES: Final = {"#pay": PaymentState.PAID, "#decline": PaymentState.FAILED}


class DevTill:
    """The payments of one conversation, kept by the terminal's side."""

    def __init__(self) -> None:
        """Start with none."""
        self._kept: dict[str, Payment] = {}

    def ask(self, pay: Pay) -> str:
        """Note a payment, and return the line that asks for it.

        Args:
            pay: what the bot asks for.
        """
        number = f"pay_dev{len(self._kept) + 1}"
        self._kept[number] = Payment(
            id=number,
            state=PaymentState.PENDING,
            amount=pay.amount,
            currency=pay.currency,
            title=pay.title,
            reference=pay.reference,
            provider=DOUBLE,
        )
        shown = message(pay, url="")
        return f"{shown.text} [{shown.buttons[0][0].label}] (#pay or #decline)"

    def choose(self, word: str) -> Payment | None:
        """Let the newest payment that waits go one way or the other; None when none waits.

        Args:
            word: from `CHOICES`.
        """
        waiting = [payment for payment in self._kept.values() if payment.state is PaymentState.PENDING]
        if not waiting:
            return None
        told = self._moved(waiting[-1], Standing(state=CHOICES[word]))
        if told.state is PaymentState.PAID:  # the bot hears of it now, and does its part
            self._moved(told, Standing(state=PaymentState.FULFILLED))
        return told

    def give_back(self, refund: Refund) -> Payment | None:
        """Give money back; None when there is not so much of it.

        Args:
            refund: what the bot asks for.
        """
        payment = self._kept.get(refund.payment)
        if payment is None:
            return None
        left = refundable(_books(payment), 0)
        amount = refund.amount or left
        if not 0 < amount <= left:
            return None
        return self._moved(payment, Standing(state=PaymentState.PAID, refunded=payment.refunded + amount))

    def _moved(self, payment: Payment, said: Standing) -> Payment:
        now = move(_books(payment), said).books
        moved = msgspec.structs.replace(payment, state=now.state, refunded=now.refunded)
        self._kept[payment.id] = moved
        return moved


def _books(payment: Payment) -> Books:
    return Books(state=payment.state, amount=payment.amount, currency=payment.currency, refunded=payment.refunded)
