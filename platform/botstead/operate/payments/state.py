"""How a payment moves on: pure, and the same whatever the order and repetition of what the provider says.

States have a rank, and a payment only rises: its state is the highest of all that was said. So a paid one never becomes a
failed one, a late «pending» changes nothing, and money that comes after «expired» still counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from botstead.core.money import Money, PaymentState
from botstead.core.tills import Standing

RANK: Final[Mapping[PaymentState, int]] = MappingProxyType(
    {
        PaymentState.OPENED: 0,
        PaymentState.PENDING: 1,
        PaymentState.APPROVED: 2,
        PaymentState.EXPIRED: 3,
        PaymentState.FAILED: 4,
        PaymentState.PAID: 5,
        PaymentState.FULFILLED: 6,
        PaymentState.REFUNDED: 7,
    }
)
TOLD: Final = frozenset({PaymentState.PAID, PaymentState.FAILED, PaymentState.EXPIRED, PaymentState.REFUNDED})
"""States whose beginning the bot is told of."""
MONEY: Final = frozenset({PaymentState.APPROVED, PaymentState.PAID})
"""States whose amount must be the one that was asked for. What went back whole is settled, however much it was."""
SETTLED: Final = frozenset({PaymentState.PAID, PaymentState.FULFILLED, PaymentState.REFUNDED})
"""States in which the provider has had the money."""


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """What decides over a payment's next state.

    Args:
        state: how it stands.
        amount: what was asked for, in the smallest unit.
        currency: of the amount.
        refunded: how much went back.
        held: whether something does not match, so that a person has to look.
        detail: why it failed or is held.
    """

    state: PaymentState
    amount: int
    currency: str
    refunded: int = 0
    held: bool = False
    detail: str = ""


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """What something that was said does to a payment.

    Args:
        books: how it stands now.
        effect: one word for the books: moved, refunded, mismatch, nothing.
        told: whether the bot has to be told.
    """

    books: Books
    effect: str
    told: bool = False


def advance(state: PaymentState, said: PaymentState) -> PaymentState:
    """Return the state after something was said: the higher of the two.

    Args:
        state: how it stands.
        said: what the provider says.
    """
    return max(state, said, key=RANK.__getitem__)


def move(books: Books, said: Standing) -> Moved:
    """Apply what a provider says to a payment.

    Args:
        books: how it stands.
        said: what the provider says of it.
    """
    wrong = mismatch(books, said)
    if wrong:
        return Moved(books=msgspec.structs.replace(books, held=True, detail=wrong), effect="mismatch")
    refunded = min(books.amount, max(books.refunded, said.refunded))
    heard = said.state
    if heard is PaymentState.REFUNDED or refunded == books.amount:
        heard, refunded = PaymentState.REFUNDED, books.amount
    state = advance(books.state, heard)
    changed = state is not books.state
    detail = said.detail if changed and state in {PaymentState.FAILED, PaymentState.EXPIRED} else books.detail
    effect = "moved" if changed else "refunded" if refunded > books.refunded else "nothing"
    if changed and state in SETTLED and not books.held:
        detail = ""
    # Of a part that went back a bot hears only once it has done its own part: «paid» must never come twice.
    told = state in TOLD if changed else effect == "refunded" and state is PaymentState.FULFILLED
    after = msgspec.structs.replace(books, state=state, refunded=refunded, detail=detail)
    return Moved(books=after, effect=effect, told=told)


def mismatch(books: Books, said: Standing) -> str:
    """Return what does not match between what was asked for and what was paid, in words; empty when all does.

    Args:
        books: how the payment stands.
        said: what the provider says of it.
    """
    if said.state not in MONEY or not (said.amount or said.currency):
        return ""
    amount, currency = said.amount or books.amount, said.currency.upper() or books.currency
    if (amount, currency) == (books.amount, books.currency):
        return ""
    asked, paid = Money(books.amount, books.currency), Money(amount, currency)
    return f"{asked} was asked for, but the provider says {paid}. Nothing was delivered; settle it with the buyer by hand."


def refundable(books: Books, running: int) -> int:
    """Return how much can still go back, in the smallest unit.

    Args:
        books: how the payment stands.
        running: refunds that are under way, in the smallest unit.
    """
    return max(0, books.amount - books.refunded - running) if books.state in SETTLED else 0
