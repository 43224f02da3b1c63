"""What the double says: one event for each choice on its page, and how an order stands by its books."""

from __future__ import annotations

from typing import Literal

import msgspec

from botstead.core.messages import Event, Kind
from botstead.core.money import PaymentState
from botstead.core.tills import Order, Standing


class Clicked(msgspec.Struct, frozen=True):
    """The body of its only kind of event.

    Args:
        order: ours.
        choice: what the person pressed.
        amount: in the smallest unit.
        currency: of the amount.
    """

    order: str
    choice: Literal["pay", "decline"]
    amount: int
    currency: str


def event_of(clicked: Clicked) -> Event:
    """Write a choice as the event that a provider's webhook would be.

    Args:
        clicked: what was chosen.
    """
    key = f"test_{clicked.choice}_{clicked.order}"
    raw = msgspec.Raw(msgspec.json.encode(clicked))
    return Event(kind=Kind.STATUS, conversation=clicked.order, key=key, message_id=key, raw=raw)


def news_of(event: Event) -> Standing | None:
    """Read that event again; None when it is another.

    Args:
        event: of the double's account.
    """
    try:
        clicked = msgspec.json.decode(event.raw, type=Clicked)
    except msgspec.DecodeError:
        return None
    if clicked.choice == "decline":
        return Standing(state=PaymentState.FAILED, order=clicked.order, detail=DECLINED)
    return Standing(
        state=PaymentState.PAID,
        order=clicked.order,
        payment=money_of(clicked.order),
        amount=clicked.amount,
        currency=clicked.currency,
    )


def standing_of(order: Order, paid: bool | None, refunded: int, url: str) -> Standing:  # None is a third answer
    """Say how an order stands by the double's books.

    Args:
        order: as it was opened.
        paid: what was chosen, None when nothing yet.
        refunded: what went back, in the smallest unit.
        url: of its page.
    """
    if paid is None:
        return Standing(state=PaymentState.PENDING, order=order.id, session=session_of(order.id), url=url)
    if not paid:
        return Standing(state=PaymentState.FAILED, order=order.id, session=session_of(order.id), detail=DECLINED)
    return Standing(
        state=PaymentState.REFUNDED if refunded >= order.amount else PaymentState.PAID,
        order=order.id,
        session=session_of(order.id),
        payment=money_of(order.id),
        amount=order.amount,
        currency=order.currency,
        refunded=refunded,
    )


DECLINED = "Declined on the test page."


def session_of(order: str) -> str:
    """Return the double's id of an order's page."""
    return f"test_session_{order}"


def money_of(order: str) -> str:
    """Return the double's id of the money taken."""
    return f"test_money_{order}"
