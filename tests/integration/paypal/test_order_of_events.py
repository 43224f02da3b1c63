"""In whatever order, and how often, PayPal's events come: the end is the same."""

from __future__ import annotations

import asyncio
import functools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from botstead.core.money import PaymentState as S
from botstead.integrations.paypal.parse import EVENTS, news, parse
from botstead.operate.payments.state import Books, move
from tests.integration.paypal.shop import WEBHOOK, shop
from tests.integration.stripe.shop import order


@functools.cache
def happened(*outcomes: str, refunds: tuple[int, ...] = ()) -> tuple[bytes, ...]:
    """The bodies of all events of an order that ended so."""

    async def story() -> tuple[bytes, ...]:
        async with shop() as at:
            at.double.hook("http://127.0.0.1:9/", WEBHOOK)
            at.double.hooks.hold()
            asked = order()
            page = await at.paypal.open(asked, at.account)
            known = msgspec.structs.replace(asked, session=page.session)
            await at.double.pay(page.session, outcomes[0])
            await at.paypal.capture(known, at.account)
            for outcome in outcomes[1:]:
                await at.double.pay(page.session, outcome)
            for number, amount in enumerate(refunds):
                await at.paypal.refund(known, amount, f"key-{number}", at.account)
            return tuple(body for _, body in at.double.hooks._held or [])

    return asyncio.run(asyncio.wait_for(story(), 30))


@pytest.mark.parametrize(
    ("outcomes", "refunds", "state", "refunded"),
    [
        (("paid",), (), S.PAID, 0),
        (("pending", "arrived"), (250,), S.PAID, 250),
        (("pending", "denied"), (), S.FAILED, 0),
        (("paid",), (250, 1000), S.REFUNDED, 1250),
    ],
)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_the_end_is_the_same(outcomes, refunds, state, refunded, data):
    bodies = happened(*outcomes, refunds=refunds)
    arriving = data.draw(st.permutations(bodies + bodies[: data.draw(st.integers(0, len(bodies)))]))
    books, lanes = Books(state=S.PENDING, amount=1250, currency="EUR"), set()
    for body in arriving:
        (event,) = parse(body, b"{}").events
        lanes.add(event.conversation)
        said = news(body.decode())
        assert said is not None
        books = move(books, said).books
    assert (books.state, books.refunded, books.held) == (state, refunded, False)
    assert len(lanes) == 1
    assert lanes.pop().startswith("pay_")


def test_the_double_tells_of_nothing_that_we_do_not_ask_for():
    kinds = {msgspec.json.decode(body)["event_type"] for body in happened("pending", "arrived", refunds=(250,))}
    assert kinds < set(EVENTS)
