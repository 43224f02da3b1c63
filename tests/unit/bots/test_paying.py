"""Asking for money and giving it back: what authors may write, how each mistake is named, and who hears of a payment."""

from __future__ import annotations

import asyncio
import json
import logging
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead import Bot, Chat, Conversation, Money, Pay, Payment, Payments, Refund, chat_with, money
from botstead.bots.http import read_answer, write_request
from botstead.bots.paying import checked
from botstead.bots.runner import PythonBot
from botstead.core.errors import BotBroken, HandlerFailed
from botstead.core.messages import Event, Kind
from botstead.core.money import PaymentState
from botstead.core.ports import Effects, Incoming

MUG = Payment(id="pay_1", state=PaymentState.PAID, amount=1250, currency="EUR", title="A mug", reference="mug:7")


def told(payment: Payment = MUG, key: str = "p") -> Event:
    return Event(Kind.PAYMENT, "test", key, payment=payment)


def run(bot: Bot, event: Event, state: bytes = b"{}") -> Effects:
    handler = PythonBot(bot)
    incoming = Incoming(id=1, bot=bot.name, channel="test", account=1, conversation="1.test", event=event, state=state)
    return asyncio.run(handler.handle(incoming))


def said(act) -> Effects:
    """What a handler that calls `act(chat)` wants to happen."""
    bot = Bot("b")

    @bot.on.message
    def handler(chat: Chat) -> None:
        act(chat)

    return run(bot, Event(Kind.MESSAGE, "test", "m", text="x"))


def test_a_payment_is_an_action_in_its_place_between_others():
    effects = said(lambda chat: (chat.send("a"), chat.pay("12.50", "eur", "A mug", reference="mug", text="*Now*", label="Go")))
    assert effects.actions[1] == Pay(1250, "EUR", "A mug", reference="mug", text="*Now*", label="Go")


def test_pay_may_be_awaited_and_the_type_payments_does_the_same():
    bot = Bot("b")

    @bot.on.message
    async def handler(chat: Chat, payments: Payments) -> None:
        await chat.pay(1200, "JPY", "Tea")
        await payments.pay(Decimal("1.5"), "KWD", "Rice", provider="paypal")
        await payments.refund("pay_1")

    effects = run(bot, Event(Kind.MESSAGE, "test", "m", text="x"))
    assert effects.actions == (Pay(1200, "JPY", "Tea"), Pay(1500, "KWD", "Rice", provider="paypal"), Refund("pay_1"))


@pytest.mark.parametrize(
    ("payment", "amount", "action"),
    [
        (MUG, None, Refund("pay_1")),
        (MUG, "2.50", Refund("pay_1", 250)),
        (MUG, Money(3, "EUR"), Refund("pay_1", 3)),
        ("pay_1", money("5", "EUR"), Refund("pay_1", 500)),
    ],
)
def test_a_refund_of_all_or_of_a_part(payment, amount, action):
    assert said(lambda chat: chat.refund(payment, amount)).actions == (action,)


@pytest.mark.parametrize(
    ("act", "complaint"),
    [
        (lambda chat: chat.pay(12.5, "EUR", "A mug"), 'An amount is a text such as "12.50", not 12.5'),
        (lambda chat: chat.pay("1.234", "EUR", "A mug"), "more digits after the point than EUR"),
        (lambda chat: chat.pay("0", "EUR", "A mug"), "cannot be paid"),
        (lambda chat: chat.pay("1", "euro", "A mug"), "'euro' is no currency"),
        (lambda chat: chat.pay("1", "EUR", " "), "pay: title is empty; say what is paid for"),
        (lambda chat: chat.pay("1", "EUR", "a\nb"), "pay: title is one line"),
        (lambda chat: chat.pay("1", "EUR", "a" * 128), "pay: title has 128 characters; at most 127"),
        (lambda chat: chat.pay("1", "EUR", "a", label="a" * 61), "pay: label has 61 characters; at most 60"),
        (lambda chat: chat.refund("mug"), "refund: payment is the id of a payment"),
        (lambda chat: chat.refund("pay_1", "5.00"), "an id alone does not say the currency"),
        (lambda chat: chat.refund(MUG, Money(5, "USD")), "0.05 USD cannot go back of a payment in EUR"),
        (lambda chat: chat.refund(MUG, Money(0, "EUR")), "nothing to give back"),
        (lambda chat: chat.refund(MUG, "-1"), "-1 EUR cannot be paid"),
    ],
)
def test_each_mistake_is_named_with_the_handler(act, complaint):
    with pytest.raises(HandlerFailed) as caught:
        said(act)
    assert caught.value.message.startswith("b: ")
    assert complaint in caught.value.message


def test_a_returned_action_is_checked_too():
    bot = Bot("b")
    bot.on.message(lambda text: Pay(0, "EUR", "A mug"))
    with pytest.raises(HandlerFailed, match="amount is 0; it is above 0"):
        run(bot, Event(Kind.MESSAGE, "test", "m", text="x"))


@given(st.integers(), st.text(max_size=5), st.text(max_size=140), st.text(max_size=140), st.text(max_size=70))
def test_what_passes_can_be_asked_of_a_provider(amount, currency, title, reference, label):
    asked = Pay(amount, currency, title, reference=reference, label=label)
    try:
        checked(asked)
    except HandlerFailed:
        return
    assert amount > 0
    assert str(Money(amount, currency)).endswith(currency)
    assert title.strip()
    assert "\n" not in title + reference + label


def shop() -> Bot:
    bot = Bot("shop")

    @bot.on.payment("paid", reference="mug:<number>")
    def paid(number: int, payment: Payment) -> str:
        return f"paid {number}: {payment.money}"

    @bot.on.payment("refunded")
    def refunded(payment) -> str:
        return f"back {payment.id}"

    @bot.on.payment
    def other(money_in: Payment) -> str:
        return f"{money_in.state} {money_in.reference}"

    return bot


@pytest.mark.parametrize(
    ("state", "reference", "text"),
    [
        ("paid", "mug:7", "paid 7: 12.50 EUR"),
        ("paid", "mug:x", "paid mug:x"),
        ("paid", "tea", "paid tea"),
        ("refunded", "mug:7", "back pay_1"),
        ("expired", "mug:7", "expired mug:7"),
    ],
)
def test_the_most_particular_handler_takes_a_payment(state, reference, text):
    payment = msgspec.structs.replace(MUG, state=PaymentState(state), reference=reference)
    effects = run(shop(), told(payment))
    assert [action.text for action in effects.actions] == [text]


def test_a_paid_payment_that_nobody_takes_is_an_error_and_not_understood(caplog):
    bot = Bot("b")
    bot.on.message(lambda text: "hi")
    with caplog.at_level(logging.ERROR):
        effects = run(bot, told())
    assert (effects.actions, effects.understood) == ((), False)
    assert [record.getMessage() for record in caplog.records] == ["payment_untaken"]
    caplog.clear()
    failed = run(bot, told(msgspec.structs.replace(MUG, state=PaymentState.FAILED)))
    assert (failed.actions, failed.understood, caplog.records) == ((), None, [])
    assert run(shop(), told()).understood is True


def test_a_payment_answers_no_question():
    bot = Bot("b")

    @bot.command("name")
    async def name(chat: Chat, conversation: Conversation) -> str:
        answer = await chat.ask("Your name?")
        return f"{answer} {conversation.state['paid']}"

    @bot.on.payment("paid")
    def paid(payment: Payment, conversation: Conversation) -> str:
        conversation.state["paid"] = payment.id
        return "thanks"

    async def story() -> None:
        async with chat_with(bot) as chat:
            await chat.send("name")
            assert (await chat.deliver(told())).text == "thanks"
            await chat.restart()
            assert (await chat.send("Ada")).text == "Ada pay_1"

    asyncio.run(story())


def test_a_handler_of_a_payment_may_ask():
    bot = Bot("b")

    @bot.on.payment("paid")
    async def paid(payment: Payment, chat: Chat) -> str:
        return f"{payment.title} to {await chat.ask('Where to?')}"

    async def story() -> None:
        async with chat_with(bot) as chat:
            assert (await chat.deliver(told())).text == "Where to?"
            await chat.restart()
            assert (await chat.send("Oslo")).text == "A mug to Oslo"

    asyncio.run(story())


@pytest.mark.parametrize(
    ("register", "complaint"),
    [
        (lambda bot: bot.on.payment("payed")(lambda payment: None), "never told as 'payed'. It may be paid, failed"),
        (lambda bot: bot.on.payment(reference="<a>:<a>")(lambda payment: None), "has a name twice"),
        (lambda bot: (bot.on.payment(lambda payment: None), bot.on.payment(lambda payment: None)), "answers the same already"),
        (lambda bot: bot.on.message(lambda payment: None), "given to handlers of @bot.on.payment"),
    ],
)
def test_mistakes_are_found_when_the_bot_is_loaded(register, complaint):
    def load() -> None:
        bot = Bot("b")
        register(bot)
        PythonBot(bot)

    with pytest.raises(BotBroken) as caught:
        load()
    assert complaint in caught.value.message


def test_a_payment_is_no_text():
    bot = Bot("b")

    @bot.on.payment
    def paid(payment: str) -> None: ...

    with pytest.raises(BotBroken, match="and is a `Payment`"):
        PythonBot(bot)


def test_an_http_bot_is_told_of_a_payment():
    incoming = Incoming(id=1, bot="b", channel="test", account=1, conversation="1.test", event=told())
    event = json.loads(write_request(incoming))["event"]
    assert (event["kind"], event["text"]) == ("payment", "")
    assert event["payment"] == {
        "id": "pay_1", "state": "paid", "amount": 1250, "currency": "EUR", "title": "A mug", "reference": "mug:7",
    }  # fmt: skip
    other = Incoming(id=1, bot="b", channel="test", account=1, conversation="1.test", event=Event(Kind.MESSAGE, "test", "m"))
    assert json.loads(write_request(other))["event"]["payment"] is None


def answered(*actions) -> Effects:
    return read_answer(json.dumps({"actions": actions}).encode())


def test_an_http_bot_asks_for_money_and_gives_it_back():
    effects = answered(
        {"type": "pay", "amount": 1250, "currency": "EUR", "title": "A mug", "reference": "mug", "text": "t", "label": "l"},
        {"type": "refund", "payment": "pay_1", "amount": 5},
        {"type": "refund", "payment": "pay_1"},
    )
    assert effects.actions == (
        Pay(1250, "EUR", "A mug", reference="mug", text="t", label="l"),
        Refund("pay_1", 5),
        Refund("pay_1"),
    )


@pytest.mark.parametrize(
    ("action", "complaint"),
    [
        ({"type": "pay", "amount": "12.50", "currency": "EUR", "title": "t"}, "actions[0].amount: Expected `int`, got `str`."),
        ({"type": "pay", "amount": 12.5, "currency": "EUR", "title": "t"}, "actions[0].amount: Expected `int`, got `float`."),
        ({"type": "pay", "amount": 1, "currency": "EUR"}, "actions[0]: Object missing required field `title`."),
        ({"type": "pay", "amount": -1, "currency": "EUR", "title": "t"}, "actions[0]: pay: amount is -1; it is above 0"),
        ({"type": "pay", "amount": 1, "currency": "eur", "title": "t"}, "actions[0]: pay: currency is 'eur'"),
        ({"type": "pay", "amont": 1}, "actions[0] has unknown field 'amont': did you mean 'amount'?"),
        ({"type": "refund", "payment": "mug"}, "actions[0]: refund: payment is the id"),
        ({"type": "refund", "payment": "pay_1", "amount": -1}, "actions[0]: refund: amount is -1"),
    ],
)
def test_a_wrong_answer_of_an_http_bot_is_named(action, complaint):
    with pytest.raises(HandlerFailed) as caught:
        answered(action)
    assert caught.value.message.startswith(complaint)
