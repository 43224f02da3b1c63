"""Asking for money and hearing of it, on the whole road."""

import asyncio

import msgspec
import pytest

from botstead.core.errors import EgressBroken, EgressResting, EgressTimeout, EgressUnsent, PaymentRefused, Unavailable
from botstead.core.messages import Pay, Send
from botstead.core.money import PaymentState
from tests.doubles.till import Till
from tests.integration.payments.shop import in_shop
from tests.integration.pipeline.road import message, until

S = PaymentState


async def ordered(shop, key="mug", text=None):
    """Somebody wants a mug; the button has arrived."""
    await shop.inbox.accept(shop.buyer, (message("anna", key, text),))
    await shop.settled()
    return await shop.payment()


async def paid(shop):
    """Somebody has bought one, and the bot was told."""
    row = await ordered(shop)
    shop.till.choose(row.id)
    await shop.said(shop.till.webhook(row.id, "evt_paid"))
    return await shop.payment()


async def attempts(shop, row):
    return [(one.kind, one.state, one.tries) for one in await shop.ledger.attempts(row.id)]


def test_a_person_gets_a_button_pays_and_the_bot_does_its_part(postgres_dsn):
    async def story(shop):
        row = await ordered(shop)
        assert (row.state, row.amount, row.currency, row.reference, row.provider) == (S.PENDING, 1250, "EUR", "mug", "stripe")
        assert shop.network.texts("anna") == ["A mug: 12.50 EUR"]
        shown = (await shop.fetch("SELECT body, payload FROM message WHERE id = $1", row.message))[0]
        sent = msgspec.json.decode(shown["payload"], type=Send)
        assert sent.buttons[0][0].url == row.url == f"https://till.example/{row.key}"
        assert sent.buttons[0][0].label == "Pay 12.50 EUR"
        assert shown["body"] == "A mug: 12.50 EUR"
        shop.till.choose(row.id)
        await shop.said(shop.till.webhook(row.id, "evt_1"))
        assert [payment.state for payment in shop.news] == [S.PAID]
        assert shop.network.texts("anna")[1:] == ["mug: paid 0"]
        assert (await shop.payment()).state is S.PAID
        await shop.reconcile.turn()
        done = await shop.payment()
        assert done.state is S.FULFILLED
        assert done.created_at <= done.pending_at <= done.paid_at <= done.fulfilled_at
        assert await attempts(shop, row) == [("open", "done", 1)]
        assert (await shop.ledger.unsettled()).unfulfilled == 0

    in_shop(postgres_dsn, story)


def test_events_in_any_order_and_often_tell_the_bot_once(postgres_dsn):
    async def story(shop):
        row = await ordered(shop)
        shop.till.choose(row.id)
        hook = shop.till.webhook
        first = hook(row.id, "evt_1")
        await shop.said(first, first, hook(row.id, "evt_2"), hook(row.id, "evt_0", S.PENDING), hook(row.id, "evt_3", S.FAILED))
        await shop.said(hook(row.id, "evt_4", S.EXPIRED), hook(row.id, "evt_5", S.PAID))
        assert [payment.state for payment in shop.news] == [S.PAID]
        said = await shop.ledger.events(row.id)
        assert [one.effect for one in said if one.event.startswith("evt_")] == ["moved", *["nothing"] * 5]
        await shop.reconcile.turn()
        await shop.said(hook(row.id, "evt_6", S.PAID))
        assert (await shop.payment()).state is S.FULFILLED

    in_shop(postgres_dsn, story)


def test_money_that_comes_after_the_end_still_counts(postgres_dsn):
    async def story(shop):
        row = await ordered(shop)
        await shop.said(shop.till.webhook(row.id, "evt_1", S.EXPIRED))
        shop.till.choose(row.id)
        await shop.said(shop.till.webhook(row.id, "evt_2"))
        assert [payment.state for payment in shop.news] == [S.EXPIRED, S.PAID]

    in_shop(postgres_dsn, story)


def test_events_of_a_payment_account_are_nobodys_message(postgres_dsn):
    async def story(shop):
        await paid(shop)
        rows = await shop.fetch("SELECT direction FROM message WHERE channel = $1", shop.account.id)
        assert {row["direction"] for row in rows} == {2}
        assert await shop.count("dead_letter") == 0

    in_shop(postgres_dsn, story)


def test_a_page_that_may_have_been_made_is_asked_for_again_under_its_key(postgres_dsn):
    async def story(shop):
        shop.till.faults["open"].extend([EgressTimeout(), EgressBroken()])
        row = await ordered(shop)
        assert row.state is S.PENDING
        assert len(shop.till.pages) == 1
        assert await attempts(shop, row) == [("open", "done", 3)]
        assert shop.network.texts("anna") == ["A mug: 12.50 EUR"]

    in_shop(postgres_dsn, story)


def test_what_may_have_arrived_stays_unknown_until_somebody_knows(postgres_dsn):
    async def story(shop):
        shop.till.faults["open"].extend([EgressTimeout(), EgressResting(after=60.0)])
        await shop.inbox.accept(shop.buyer, (message("anna", "mug"),))
        await until(lambda: shop.till.calls["open"] == 2)

        async def counted():
            (one,) = await shop.ledger.attempts((await shop.payment()).id)
            return one.tries == 2 and one.state == "unknown" and "service failed" in one.error

        await until(counted)
        assert (await shop.ledger.unsettled()).unknown == 1

    in_shop(postgres_dsn, story)


def test_a_provider_that_rests_is_waited_for_exactly(postgres_dsn):
    async def story(shop):
        shop.till.faults["open"].extend([EgressResting(after=0.2), EgressUnsent()])
        row = await ordered(shop)
        assert row.state is S.PENDING
        outcome = await shop.fetch("SELECT outcome, attempts FROM delivery WHERE id = $1", row.message)
        assert [tuple(one) for one in outcome] == [("sent", 2)]

    in_shop(postgres_dsn, story)


def test_a_refusal_is_told_to_the_person_and_to_the_bot(postgres_dsn):
    async def story(shop):
        shop.till.faults["open"].append(PaymentRefused("Amount too small."))
        row = await ordered(shop)
        assert (row.state, row.detail) == (S.FAILED, "Amount too small.")
        assert shop.network.texts("anna")[0].startswith("Sorry, this payment cannot be made")
        assert [(payment.state, payment.detail) for payment in shop.news] == [(S.FAILED, "Amount too small.")]
        assert await attempts(shop, row) == [("open", "failed", 1)]
        letters = await shop.fetch("SELECT reason, error FROM dead_letter")
        assert [tuple(letter) for letter in letters] == [("invalid", "Amount too small.")]

    in_shop(postgres_dsn, story)


def test_a_provider_the_bot_does_not_have_is_refused_with_the_line_to_type(postgres_dsn):
    async def story(shop):
        await shop.inbox.accept(shop.buyer, (message("anna", "1", "mug paypal"),))
        await shop.settled()
        assert await shop.count("payment") == 0
        assert shop.network.texts("anna")[0].startswith("Sorry")
        (letter,) = await shop.fetch("SELECT error FROM dead_letter")
        assert "botstead channels add shop paypal" in letter["error"]

    in_shop(postgres_dsn, story)


def test_the_message_is_sent_again_but_never_asked_for_again(postgres_dsn):
    from botstead.core.messages import Outcome, Receipt

    async def story(shop):
        shop.network.answers["anna"].extend([Receipt(outcome=Outcome.LATER, after=0.05), Receipt(outcome=Outcome.UNKNOWN)])
        await ordered(shop)
        assert len(shop.network.attempts) == 3
        assert shop.till.calls["open"] == 1

    in_shop(postgres_dsn, story)


def test_a_kill_after_the_page_was_made_finds_it_again(postgres_dsn):
    async def story(shop):
        shop.network.held["anna"] = asyncio.Event()
        await shop.inbox.accept(shop.buyer, (message("anna", "mug"),))
        await until(lambda: shop.network.attempts)
        await shop.end(next(iter(shop.tasks)), drain=False)
        shop.network.held.clear()
        await shop.worker()
        await shop.settled()
        assert len(shop.till.pages) == await shop.count("payment") == 1
        assert shop.network.texts("anna") == ["A mug: 12.50 EUR"]

    in_shop(postgres_dsn, story)


class Stumbling:
    """Deals with events, and stops before anybody hears that it did."""

    def __init__(self, inner) -> None:
        self.limits, self.name, self.inner = inner.limits, inner.name, inner
        self.done, self.gate = 0, asyncio.Event()

    async def handle(self, incoming):
        effects = await self.inner.handle(incoming)
        self.done += 1
        await self.gate.wait()
        return effects


def test_a_kill_between_ledger_and_outcome_tells_the_bot_once(postgres_dsn):
    async def story(shop):
        shop.aside = stumbling = Stumbling(shop.aside)
        await shop.worker()
        row = await ordered(shop)
        shop.till.choose(row.id)
        await shop.inbox.accept(shop.account, (shop.till.webhook(row.id, "evt_1"),))
        await until(lambda: stumbling.done)
        await shop.end(next(iter(shop.tasks)), drain=False)
        assert (await shop.payment()).state is S.PAID
        stumbling.gate.set()
        await shop.worker()
        await shop.settled()
        assert stumbling.done == 2
        assert [payment.state for payment in shop.news] == [S.PAID]
        # Chat is sent again when a kill took its mark: one message, which may have arrived twice.
        assert len({identity for _, text, identity, _ in shop.network.sent if text == "mug: paid 0"}) == 1
        await shop.reconcile.turn()
        assert (await shop.payment()).state is S.FULFILLED

    in_shop(postgres_dsn, story, work=False)


class Away:
    """Deals with events once the database can answer again."""

    def __init__(self, inner, times) -> None:
        self.limits, self.name, self.inner, self.times = inner.limits, inner.name, inner, times

    async def handle(self, incoming):
        if self.times:
            self.times -= 1
            raise Unavailable("The database cannot answer now.", after=0.01)
        return await self.inner.handle(incoming)


def test_a_database_that_cannot_answer_costs_no_try(postgres_dsn):
    async def story(shop):
        shop.aside = Away(shop.aside, 7)
        await shop.worker()
        row = await ordered(shop)
        shop.till.choose(row.id)
        await shop.said(shop.till.webhook(row.id, "evt_1"))
        assert shop.aside.times == 0
        assert await shop.count("dead_letter") == 0
        assert [payment.state for payment in shop.news] == [S.PAID]

    in_shop(postgres_dsn, story, work=False)


def test_an_approved_order_is_captured_once_whatever_happens(postgres_dsn):
    async def story(shop):
        row = await ordered(shop)
        shop.till.choose(row.id)
        shop.till.faults["capture"].extend([EgressTimeout(), EgressUnsent()])
        await shop.said(shop.till.webhook(row.id, "evt_1"))
        assert shop.till.charges == {row.id: 1}
        assert [payment.state for payment in shop.news] == [S.PAID]
        assert await attempts(shop, row) == [("open", "done", 1), ("capture", "done", 3)]

    in_shop(postgres_dsn, story, till=Till(approves=True))


def test_a_capture_that_is_refused_fails_the_payment(postgres_dsn):
    async def story(shop):
        row = await ordered(shop)
        shop.till.choose(row.id)
        shop.till.faults["capture"].append(PaymentRefused("Instrument declined."))
        await shop.said(shop.till.webhook(row.id, "evt_1"))
        assert [(payment.state, payment.detail) for payment in shop.news] == [(S.FAILED, "Instrument declined.")]
        assert not shop.till.charges

    in_shop(postgres_dsn, story, till=Till(approves=True))


@pytest.mark.parametrize("wrong", [{"amount": 500}, {"currency": "USD"}, {"amount": 125000, "currency": "EUR"}])
def test_another_amount_is_held_for_a_person(postgres_dsn, wrong):
    async def story(shop):
        row = await ordered(shop)
        shop.till.choose(row.id)
        await shop.said(shop.till.webhook(row.id, "evt_1", **wrong))
        held = await shop.payment()
        assert (held.state, held.held) == (S.PENDING, True)
        assert held.detail.startswith("12.50 EUR was asked for, but the provider says")
        assert shop.news == []
        await shop.reconcile.turn()
        unsettled = await shop.ledger.unsettled()
        assert (unsettled.unfulfilled, unsettled.unfulfilled_since is not None) == (1, True)

    in_shop(postgres_dsn, story)


def test_an_event_that_says_no_amount_is_asked_about(postgres_dsn):
    async def story(shop):
        row = await ordered(shop)
        shop.till.choose(row.id)
        await shop.said(shop.till.webhook(row.id, "evt_1", amount=0, currency=""))
        assert shop.till.calls["look"] == 1
        assert [payment.state for payment in shop.news] == [S.PAID]

    in_shop(postgres_dsn, story)


def test_a_forged_event_does_nothing_and_its_true_twin_still_counts(postgres_dsn):
    async def story(shop):
        row = await ordered(shop)
        shop.till.forged.add("evt_false")
        await shop.said(shop.till.webhook(row.id, "evt_false", S.PAID, amount=1250, currency="EUR"))
        assert (await shop.payment()).state is S.PENDING
        shop.till.choose(row.id)
        await shop.said(shop.till.webhook(row.id, "evt_true"))
        assert [payment.state for payment in shop.news] == [S.PAID]

    in_shop(postgres_dsn, story)


def test_events_about_orders_of_somebody_else_are_kept_and_do_nothing(postgres_dsn):
    async def story(shop):
        row = await ordered(shop)
        shop.till.choose(row.id)
        await shop.said(shop.till.webhook(row.id, "evt_1", named="pay_AAAAAAAAAAAAAAAAAAAAAAAA", session="cs_x", payment="pi_x"))
        assert (await shop.payment()).state is S.PENDING
        (kept,) = await shop.fetch("SELECT payment, effect FROM payment_event WHERE event = 'evt_1'")
        assert tuple(kept) == (None, "")

    in_shop(postgres_dsn, story)


def test_an_event_with_the_providers_ids_alone_finds_its_order(postgres_dsn):
    async def story(shop):
        row = await ordered(shop)
        shop.till.choose(row.id)
        await shop.said(shop.till.webhook(row.id, "evt_1", named=""))
        assert (await shop.payment()).state is S.PAID

    in_shop(postgres_dsn, story)


def test_two_orders_of_one_bot_are_two(postgres_dsn):
    async def story(shop):
        await shop.inbox.accept(shop.buyer, (message("anna", "mug"), message("anna", "cup"), message("ben", "mug2")))
        await shop.settled()
        rows = await shop.payments()
        assert {row.reference for row in rows} == {"mug", "cup", "mug2"}
        assert len({row.id for row in rows}) == len({row.key for row in rows}) == len(shop.till.pages) == 3

    in_shop(postgres_dsn, story)


def test_words_of_the_bots_own_stand_above_the_button(postgres_dsn):
    from botstead.operate.payments.paying import message as written

    pay = Pay(amount=300, currency="JPY", title="Tea", text="**Tea**, hot", label="Yes")
    shown = written(pay, "https://x.example")
    assert (shown.text, shown.plain, shown.buttons[0][0].label) == ("**Tea**, hot", False, "Yes")
