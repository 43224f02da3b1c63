import asyncio

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.core.errors import Invalid, Rejected, Unreadable
from botstead.core.messages import Event, Kind, Outcome
from botstead.core.money import PaymentState
from botstead.core.ports import Account
from botstead.core.tills import Order
from botstead.integrations.testpay import client
from botstead.integrations.testpay.errors import NothingPaid
from botstead.integrations.testpay.models import Clicked, event_of, news_of

ACCOUNT = Account(id=1, public_id="ch_1", kind="testpay", bot=1, bot_name="shop")
ORDER = Order(id="pay_1", key="k", amount=1250, currency="EUR", title="A mug")


class Desk:
    """Books in memory, as `store.testpay.TestDesk` keeps them in the database."""

    def __init__(self, *, paid=None):
        self.paid, self.refunds = paid, {}

    async def clicked(self, payment):
        return self.paid, sum(self.refunds.values())

    async def give_back(self, payment, key, amount):
        self.refunds.setdefault(key, amount)


def provider(**how):
    return client.TestPay(Desk(**how), base="http://bots.example")


def test_an_order_stands_as_the_books_say():
    opened = asyncio.run(provider().open(ORDER, ACCOUNT))
    assert (opened.state, opened.url, opened.order) == (PaymentState.PENDING, "http://bots.example/pay/pay_1", "pay_1")
    paid = asyncio.run(provider(paid=True).look(ORDER, ACCOUNT))
    assert (paid.state, paid.amount, paid.currency) == (PaymentState.PAID, 1250, "EUR")
    assert asyncio.run(provider(paid=True).capture(ORDER, ACCOUNT)) == paid
    declined = asyncio.run(provider(paid=False).look(ORDER, ACCOUNT))
    assert (declined.state, declined.detail) == (PaymentState.FAILED, "Declined on the test page.")


def test_a_refund_counts_once():
    async def story():
        till = provider(paid=True)
        for key in ("a", "a", "b"):
            said = await till.refund(ORDER, 500, key, ACCOUNT)
        assert (said.state, said.refunded) == (PaymentState.PAID, 1000)
        assert (await till.refund(ORDER, 250, "c", ACCOUNT)).state is PaymentState.REFUNDED

    asyncio.run(story())


@pytest.mark.parametrize("paid", [None, False])
def test_what_was_not_paid_does_not_go_back(paid):
    with pytest.raises(NothingPaid):
        asyncio.run(provider(paid=paid).refund(ORDER, 1, "a", ACCOUNT))


@given(st.sampled_from(["pay", "decline"]), st.integers(1, 10**12), st.sampled_from(["EUR", "JPY"]))
def test_what_is_pressed_reads_back_as_news(choice, amount, currency):
    event = event_of(Clicked("pay_1", choice, amount, currency))
    said = news_of(event)
    assert said.order == event.conversation == "pay_1"
    if choice == "pay":
        assert (said.state, said.amount, said.currency) == (PaymentState.PAID, amount, currency)
    else:
        assert (said.state, said.amount) == (PaymentState.FAILED, 0)
    assert event_of(Clicked("pay_1", choice, amount, currency)).key == event.key


@given(st.one_of(st.binary(max_size=40), st.builds(msgspec.json.encode, st.dictionaries(st.text(max_size=5), st.integers()))))
def test_what_is_no_choice_is_no_news(raw):
    assert news_of(Event(kind=Kind.STATUS, conversation="pay_1", key="k", raw=msgspec.Raw(raw))) is None


def test_nothing_comes_in_from_outside_and_nothing_is_set():
    till = provider()
    with pytest.raises(Rejected):
        till.verify(None, ACCOUNT, 0.0)
    with pytest.raises(Unreadable):
        till.parse(None, ACCOUNT)
    with pytest.raises(Invalid, match="leave out api_base"):
        till.prepare({"api_base": "x"}, {})
    assert till.prepare({}, {}).secrets == {}
    assert asyncio.run(till.deliver(None, ACCOUNT, None)).outcome is Outcome.FAILED
    assert "No money moves" in asyncio.run(till.install(ACCOUNT, None, "")).detail
