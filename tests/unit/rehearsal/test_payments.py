"""Payments in the kit: the same rules as on the road, in an instant."""

from __future__ import annotations

import asyncio

import pytest

from botstead import Bot, Chat, Conversation, Payment, Refund, chat_with
from botstead.core.errors import HandlerFailed
from botstead.core.money import PaymentState
from botstead.operate.payments.paying import TEST

bot = Bot("till")


@bot.command("buy [<what>]")
def buy(chat: Chat, what: str = "mug") -> None:
    chat.pay("12.50", "EUR", f"A {what}", reference=what)


@bot.command("back [<amount>]")
def back(chat: Chat, conversation: Conversation, amount: str = "") -> str:
    chat.refund(conversation.state["last"], None) if not amount else chat.refund(
        Payment(id=conversation.state["last"], state=PaymentState.PAID, amount=1250, currency="EUR"), amount
    )
    return "asked"


@bot.on.payment
def told(payment: Payment, conversation: Conversation) -> str:
    conversation.state["last"] = payment.id
    conversation.state.setdefault("heard", []).append(str(payment.state))
    return f"{payment.state} {payment.title} {payment.money} {payment.refunded} {payment.detail}".strip()


def story(tell, of: Bot = bot) -> None:
    async def run() -> None:
        async with chat_with(of) as chat:
            await tell(chat)

    asyncio.run(run())


def test_a_payment_from_the_page_to_the_refund():
    async def tell(chat):
        reply = await chat.send("buy")
        assert (reply.text, reply.buttons) == (f"A mug: 12.50 EUR\n\n{TEST}", ["Pay 12.50 EUR"])
        assert reply.actions[0].buttons[0][0].url == chat.payments.newest().url
        assert (await chat.payments.pay()).text == "paid A mug 12.50 EUR 0"
        assert [str(payment.state) for payment in chat.payments.all] == ["fulfilled"]
        await chat.restart()
        gone = await chat.send("back")
        assert gone.texts == ["asked", "refunded A mug 12.50 EUR 1250"]
        assert Refund("pay_test1") in gone.actions
        assert chat.state["heard"] == ["paid", "refunded"]

    story(tell)


def test_what_comes_twice_or_late_has_no_effect():
    async def tell(chat):
        await chat.send("buy")
        assert await chat.payments.pay()
        assert not await chat.payments.pay()
        assert not await chat.payments.decline()
        assert not await chat.payments.expire()
        assert not await chat.duplicate()
        assert chat.state["heard"] == ["paid"]

    story(tell)


def test_a_decline_an_expiry_and_money_that_comes_after_it():
    async def tell(chat):
        await chat.send("buy mug")
        await chat.send("buy tea")
        assert (await chat.payments.decline("mug")).text == "failed A mug 12.50 EUR 0 Your card was declined."
        assert (await chat.payments.expire()).text == "expired A tea 12.50 EUR 0"
        assert (await chat.payments.pay("tea")).text == "paid A tea 12.50 EUR 0"
        with pytest.raises(LookupError, match=r"nobody was asked to pay 'milk', only \['mug', 'tea'\]"):
            await chat.payments.pay("milk")

    story(tell)


def test_parts_go_back_and_never_more_than_all():
    async def tell(chat):
        await chat.send("buy")
        await chat.payments.pay()
        assert (await chat.send("back 2.50")).texts == ["asked", "fulfilled A mug 12.50 EUR 250"]
        assert (await chat.send("back 10.01")).texts == ["asked"]
        assert [detail for _, detail in chat.unsent] == ["Of this payment 10.00 EUR can go back, not 10.01 EUR."]
        assert (await chat.payments.refund(amount="1.00")).text == "fulfilled A mug 12.50 EUR 350"
        assert (await chat.send("back")).texts == ["asked", "refunded A mug 12.50 EUR 1250"]
        assert (await chat.send("back")).texts == ["asked"]

    story(tell)


def test_a_handler_that_fails_is_told_again_before_anything_else():
    moody = Bot("moody")
    failing = [True]

    @moody.command("buy")
    def buy(chat: Chat) -> None:
        chat.pay("1", "EUR", "A mug")

    @moody.on.payment("paid")
    def paid(payment: Payment) -> str:
        if failing.pop():
            failing.append(False)
            raise RuntimeError
        return "thanks"

    @moody.on.message
    def other(text: str) -> str:
        return text

    async def tell(chat):
        await chat.send("buy")
        with pytest.raises(HandlerFailed):
            await chat.payments.pay()
        assert str(chat.payments.newest().state) == "paid"
        assert (await chat.send("hello")).texts == ["thanks", "hello"]
        assert str(chat.payments.newest().state) == "fulfilled"

    story(tell, moody)


def test_a_provider_that_is_away_is_asked_again_and_given_up():
    async def tell(chat):
        chat.payments.broken(times=2)
        assert (await chat.send("buy")).buttons == ["Pay 12.50 EUR"]
        assert (chat.payments.tries, len(chat.payments.all)) == (3, 1)
        chat.payments.throttled(40)
        began = chat.now
        assert (await chat.send("buy")).buttons == ["Pay 12.50 EUR"]
        assert chat.now - began == 40
        chat.payments.broken()
        assert not await chat.send("buy")
        assert [type(action).__name__ for action, _ in chat.unsent] == ["Pay"]
        chat.payments.well()
        chat.payments.slow(26)
        assert not await chat.send("buy")
        assert len(chat.payments.all) == 2

    story(tell)


def test_a_throttled_channel_asks_the_provider_once():
    async def tell(chat):
        chat.rate_limit(7)
        assert (await chat.send("buy")).buttons == ["Pay 12.50 EUR"]
        assert len(chat.payments.all) == 1

    story(tell)


def test_a_provider_that_says_no():
    async def tell(chat):
        chat.payments.refuses("The currency is not enabled.")
        reply = await chat.send("buy")
        assert reply.texts == [
            "Sorry, this payment cannot be made right now. Nothing was charged.",
            "failed A mug 12.50 EUR 0 The currency is not enabled.",
        ]

    story(tell)


def test_stripe_speaks_by_the_real_integration():
    async def tell(chat):
        chat.payments.provider = "stripe"
        await chat.send("buy")
        assert not await chat.stripe.webhook("payment_intent.payment_failed")
        assert not await chat.stripe.webhook("checkout.session.completed", payment_status="unpaid")
        assert (await chat.stripe.webhook("checkout.session.completed")).text == "paid A mug 12.50 EUR 0"
        assert chat.payments.newest().provider == "stripe"
        assert not await chat.stripe.webhook("checkout.session.completed")
        assert not await chat.stripe.webhook("refund.failed")
        part = await chat.stripe.webhook("charge.refunded", amount_refunded=250, refunded=False)
        assert part.text == "fulfilled A mug 12.50 EUR 250"
        assert (await chat.stripe.webhook("charge.refunded")).text == "refunded A mug 12.50 EUR 1250"
        await chat.send("buy tea")
        assert (await chat.stripe.webhook("checkout.session.expired")).text == "expired A tea 12.50 EUR 0"
        with pytest.raises(LookupError, match=r"'invoice\.paid' is no event that is listened to"):
            await chat.stripe.webhook("invoice.paid")

    story(tell)


def test_paypal_speaks_by_the_real_integration():
    async def tell(chat):
        await chat.send("buy")
        assert not await chat.paypal.webhook("PAYMENT.CAPTURE.PENDING")
        assert (await chat.paypal.webhook("CHECKOUT.ORDER.APPROVED")).text == "paid A mug 12.50 EUR 0"
        assert not await chat.paypal.webhook("PAYMENT.CAPTURE.COMPLETED")
        assert (await chat.paypal.webhook("PAYMENT.CAPTURE.REFUNDED")).text == "refunded A mug 12.50 EUR 1250"
        await chat.send("buy tea")
        assert (await chat.paypal.webhook("PAYMENT.CAPTURE.DENIED")).text.startswith("failed A tea 12.50 EUR 0")
        await chat.send("buy cake")
        assert (await chat.paypal.webhook("CHECKOUT.PAYMENT-APPROVAL.REVERSED")).text == "expired A cake 12.50 EUR 0"
        with pytest.raises(LookupError, match="is no event that is listened to"):
            await chat.paypal.webhook("BILLING.PLAN.CREATED")

    story(tell)


def test_a_bot_that_names_its_provider_gets_it():
    both = Bot("both")

    @both.command("buy <how>")
    def buy(how: str, chat: Chat) -> None:
        chat.pay("1", "EUR", "A mug", provider=how)

    async def tell(chat):
        assert (await chat.send("buy paypal")).text == "A mug: 1.00 EUR"
        assert chat.payments.newest().provider == "paypal"

    story(tell, both)


def test_an_approved_order_waits_while_it_cannot_be_captured():
    async def tell(chat):
        await chat.send("buy")
        chat.payments.broken()
        assert not await chat.paypal.webhook("CHECKOUT.ORDER.APPROVED")
        assert str(chat.payments.newest().state) == "approved"
        chat.payments.well()
        assert (await chat.paypal.webhook("CHECKOUT.ORDER.APPROVED")).text == "paid A mug 12.50 EUR 0"

    story(tell)


def test_another_amount_than_asked_for_is_held():
    async def tell(chat):
        await chat.send("buy")
        assert not await chat.stripe.webhook("checkout.session.completed", amount_total=1)
        [held] = chat.payments.held
        assert "12.50 EUR was asked for, but the provider says 0.01 EUR" in held.detail
        assert "heard" not in chat.state

    story(tell)
