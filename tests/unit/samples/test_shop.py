"""The shop sample."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import botstead
from botstead import Pay, chat_with
from botstead.core.errors import HandlerFailed

FOLDER = Path(botstead.__file__).parent / "samples" / "shop"
TEST = "\n\nThis was a test payment: no money has moved."


def story(tell, *, provider: str = "stripe") -> None:
    async def told() -> None:
        async with chat_with(FOLDER) as chat:
            chat.payments.provider = provider
            await tell(chat)

    asyncio.run(told())


def test_something_is_chosen_paid_and_given_back():
    async def tell(chat):
        shown = await chat.send("goods")
        assert shown.buttons == ["A mug, 12.50 EUR", "Green tea, 100 g, 6.90 EUR", "A sticker, 1.00 EUR"]
        asked = await chat.press("buy:mug")
        assert (asked.text, asked.buttons) == ("Order 1: A mug, 12.50 EUR.", ["Pay 12.50 EUR"])
        assert chat.payments.newest().reference == "order:1"
        assert (await chat.send("orders")).text == "1: A mug, not paid yet"
        await chat.restart()
        thanks = await chat.stripe.webhook("checkout.session.completed")
        assert thanks.text == "Thank you! Order 1 is paid: A mug, 12.50 EUR. To get your money back: refund 1"
        await chat.restart()
        assert (await chat.send("orders")).text == "1: A mug, paid"
        back = await chat.send("refund 1")
        assert back.texts == [
            "I give the money for order 1 back. I will tell you when it is done.",
            "12.50 EUR of order 1 went back to you.",
        ]
        assert (await chat.send("orders")).text == "1: A mug, refunded"
        assert (await chat.send("refund 1")).text == "Order 1 is refunded, so there is nothing to give back."

    story(tell)


def test_events_that_come_twice_count_once():
    async def tell(chat):
        await chat.send("buy tea")
        assert not await chat.duplicate()
        assert len(chat.payments.all) == 1
        assert await chat.stripe.webhook("checkout.session.completed")
        assert not await chat.stripe.webhook("checkout.session.completed")
        assert not await chat.payments.pay()
        assert not await chat.payments.expire()
        assert chat.state["orders"] == {"1": {"item": "tea", "state": "paid", "payment": "pay_test1"}}

    story(tell)


def test_a_payment_that_fails_and_one_that_expires_can_be_tried_again():
    async def tell(chat):
        await chat.send("buy mug")
        failed = await chat.payments.decline()
        assert (failed.text, failed.buttons) == ("Order 1 was not paid, and nothing was charged.", ["Try again"])
        again = await chat.press("Try again")
        assert again.text == "Order 2: A mug, 12.50 EUR."
        assert (await chat.payments.expire()).buttons == ["Try again"]
        assert (await chat.send("orders")).text == "1: A mug, failed\n2: A mug, expired"
        assert (await chat.send("refund 2")).text == "Order 2 is expired, so there is nothing to give back."
        assert "Order 2 is paid" in (await chat.payments.pay("order:2")).text  # money that comes late still counts

    story(tell)


def test_a_part_that_goes_back_at_the_provider_is_told():
    async def tell(chat):
        await chat.send("buy mug")
        await chat.payments.pay()
        assert (await chat.payments.refund(amount="2.50")).text == "2.50 EUR of order 1 went back to you."
        assert (await chat.send("orders")).text == "1: A mug, paid"
        assert (await chat.send("refund 1")).texts[-1] == "12.50 EUR of order 1 went back to you."

    story(tell)


def test_without_a_payment_account_it_says_that_it_is_a_test():
    async def tell(chat):
        assert (await chat.send("buy sticker")).text == "Order 1: A sticker, 1.00 EUR.\n\nThis is a test payment: no money moves."
        assert (await chat.payments.pay()).text.endswith(TEST)
        assert (await chat.send("refund 1")).texts[-1].endswith(TEST)

    story(tell, provider="testpay")


def test_a_provider_that_is_away_charges_nobody_twice():
    async def tell(chat):
        chat.payments.broken(times=3)
        assert (await chat.send("buy mug")).buttons == ["Pay 12.50 EUR"]
        chat.rate_limit(3)
        assert (await chat.send("buy mug")).buttons == ["Pay 12.50 EUR"]
        assert len(chat.payments.all) == 2
        chat.payments.refuses()
        refused = await chat.send("buy mug")
        assert refused.texts[-1] == "Order 3 was not paid, and nothing was charged."

    story(tell)


def test_only_the_newest_orders_are_kept_and_late_news_of_others_is_still_told():
    async def tell(chat):
        for _ in range(52):
            await chat.send("buy sticker")
        assert list(chat.state["orders"]) == [str(number) for number in range(3, 53)]
        assert "Order 1 is paid" in (await chat.payments.pay("order:1")).text
        assert (await chat.payments.decline("order:2")).buttons == []
        assert "1" not in chat.state["orders"]

    story(tell)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("buy house", "I do not sell that. I have mug, tea, sticker."),
        ("refund 7", "You have no order 7. Write orders to see yours."),
        ("orders", "You have ordered nothing yet. Write goods to see what there is."),
        ("good morning", "What would you like?"),
        (
            "/start",
            (
                "Hello! This is a small shop. Write goods to see what there is.\n\ngoods – Show what there is.\n"
                "buy <item> – Order something.\norders – List your orders.\nrefund <number> – Get your money back for an order."
            ),
        ),
    ],
)
def test_what_else_is_said(said, answer):
    async def tell(chat):
        assert (await chat.send(said)).text == answer

    story(tell)


def test_a_wrong_price_is_found_before_anybody_pays(monkeypatch):
    async def tell(chat):
        monkeypatch.setitem(chat._bot._bot.routes[0].function.__globals__["GOODS"], "mug", ("A mug", "12.505"))
        with pytest.raises(HandlerFailed, match="raised Invalid"):
            await chat.send("buy mug")
        assert not [action for action in chat.replies if isinstance(action, Pay)]
        assert "orders" not in chat.state

    story(tell)
