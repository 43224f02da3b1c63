"""Payments in `botstead dev`: nobody pays in a terminal, so `#pay` and `#decline` say how it went."""

from __future__ import annotations

from typing import Final

import msgspec

from botstead.core.messages import Pay, Refund
from botstead.core.money import Money, Payment, PaymentState

CHOICES: Final = {"#pay": PaymentState.PAID, "#decline": PaymentState.FAILED}
_BACK: Final = frozenset({PaymentState.PAID, PaymentState.FULFILLED})


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
            provider="testpay",
        )
        amount = Money(pay.amount, pay.currency)
        return f"{pay.text or f'{pay.title}: {amount}'} [{pay.label or f'Pay {amount}'}] (#pay or #decline)"

    def choose(self, word: str) -> Payment | None:
        """Let the newest payment that waits go one way or the other; None when none waits.

        Args:
            word: from `CHOICES`.
        """
        waiting = [payment for payment in self._kept.values() if payment.state is PaymentState.PENDING]
        return self._moved(waiting[-1], state=CHOICES[word]) if waiting else None

    def give_back(self, refund: Refund) -> Payment | None:
        """Give money back; None when there is not so much of it.

        Args:
            refund: what the bot asks for.
        """
        payment = self._kept.get(refund.payment)
        if payment is None or payment.state not in _BACK:
            return None
        left = payment.amount - payment.refunded
        amount = refund.amount or left
        if not 0 < amount <= left:
            return None
        state = PaymentState.REFUNDED if amount == left else PaymentState.FULFILLED
        return self._moved(payment, state=state, refunded=payment.refunded + amount)

    def _moved(self, payment: Payment, *, state: PaymentState, refunded: int = 0) -> Payment:
        moved = msgspec.structs.replace(payment, state=state, refunded=refunded)
        self._kept[payment.id] = moved
        return moved
