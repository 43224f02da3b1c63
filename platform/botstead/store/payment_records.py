"""What the ledger of payments gives and takes. See `store/payments.py`."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal

import msgspec

from botstead.core.money import Payment, PaymentState
from botstead.core.tills import Order, Standing

AttemptKind = Literal["open", "capture", "refund"]
AttemptState = Literal["pending", "done", "failed", "unknown"]


class PaymentRow(msgspec.Struct, frozen=True, kw_only=True):
    """A payment as it stands in the ledger. Numbers are rows of ours; see the migration for what each is."""

    number: int
    id: str
    message: int
    key: uuid.UUID
    bot: int
    account: int
    channel: int
    conversation: str
    partition: int
    provider: str
    reference: str
    title: str
    amount: int
    currency: str
    state: PaymentState
    refunded: int
    session: str
    payment: str
    url: str
    detail: str
    held: bool
    news: int | None
    trace: uuid.UUID | None
    asks: int
    created_at: datetime
    pending_at: datetime | None
    approved_at: datetime | None
    paid_at: datetime | None
    fulfilled_at: datetime | None
    failed_at: datetime | None
    expired_at: datetime | None
    refunded_at: datetime | None
    bot_name: str = ""

    def order(self, *, return_url: str = "") -> Order:
        """Return it as a provider is told of it.

        Args:
            return_url: where the person comes back to.
        """
        return Order(
            id=self.id,
            key=str(self.key),
            amount=self.amount,
            currency=self.currency,
            title=self.title,
            session=self.session,
            payment=self.payment,
            return_url=return_url,
            created=self.created_at.timestamp(),
        )

    def public(self) -> Payment:
        """Return it as bots see it."""
        return Payment(
            id=self.id,
            state=self.state,
            amount=self.amount,
            currency=self.currency,
            title=self.title,
            reference=self.reference,
            refunded=self.refunded,
            url=self.url,
            detail=self.detail,
            provider=self.provider,
        )


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """Something tried at the provider, under a key that names it there."""

    id: int
    payment: str
    kind: AttemptKind
    key: str
    amount: int
    state: AttemptState
    tries: int
    error: str
    at: datetime
    ended_at: datetime | None


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the provider said. `event` is its own id of it."""

    event: str
    said: str
    effect: str
    at: datetime


class NewOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for, by which message, of which account.

    Args:
        message: id of the message that asks.
        account: number of the payment account.
        provider: its kind.
        amount: in the smallest unit.
        currency: of the amount.
        title: what is paid for.
        reference: the bot's word for it.
        patience: seconds after which the provider is asked when nothing was heard.
    """

    message: int
    account: int
    provider: str
    amount: int
    currency: str
    title: str
    reference: str
    patience: float


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """How a payment stands after something was said; see `operate.payments.state`.

    Args:
        state: now.
        refunded: now, in the smallest unit.
        held: whether a person has to look.
        detail: why.
        effect: one word for the books.
        done: kinds of tries that ended well, as is now known.
        failed: kinds of tries that did not.
        told: whether the bot has to be told.
        patience: seconds after which the provider is asked when nothing more is heard.
    """

    state: PaymentState
    refunded: int
    held: bool
    detail: str
    effect: str
    done: Sequence[AttemptKind] = ()
    failed: Sequence[AttemptKind] = ()
    told: bool = False
    patience: float = 60.0


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What something that was said did.

    Args:
        row: the payment now, or None when it is about none of ours.
        effect: one word; `repeated` when it had been said before.
        told: whether the bot was given news.
    """

    row: PaymentRow | None
    effect: str
    told: bool = False


class Unsettled(msgspec.Struct, frozen=True, kw_only=True):
    """What a person has to know of: how many, and since when (Unix seconds), or None.

    Args:
        unfulfilled: paid and not yet answered for by the bot, or held.
        unknown: tries of which nobody knows how they ended.
    """

    unfulfilled: int
    unfulfilled_since: float | None
    unknown: int
    unknown_since: float | None


Judge = Callable[[PaymentRow, Standing], Verdict]
Tell = Callable[[PaymentRow], str]
"""Writes the news of a payment as the payload of a message."""
