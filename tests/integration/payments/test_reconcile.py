"""Asking after what was not heard of, and the double that ships."""

import random

from botstead.core.errors import EgressBroken, EgressError, EgressTimeout, EgressUnsent, HandlerFailed
from botstead.core.messages import Kind
from botstead.core.money import PaymentState
from botstead.integrations.testpay.models import Clicked, event_of
from botstead.operate.payments.reconcile import EXPIRES
from botstead.telemetry.catalog import VITALS
from tests.doubles.till import Till
from tests.integration.payments.shop import BASE, in_shop
from tests.integration.payments.test_paying import attempts, ordered, paid
from tests.integration.pipeline.road import message, until

S = PaymentState


async def asked(shop):
    """One turn of the loop, and what comes of its questions."""
    await shop.overdue()
    await shop.reconcile.turn()
    await shop.settled()
    return await shop.payment()


def test_a_lost_webhook_is_found(postgres_dsn):
    async def story(shop):
        row = await ordered(shop)
        shop.till.choose(row.id)
        await shop.reconcile.turn()
        assert shop.till.calls["look"] == 0, "it is not overdue yet"
        assert (await asked(shop)).state is S.PAID
        assert [payment.state for payment in shop.news] == [S.PAID]
        await shop.said(shop.till.webhook(row.id, "evt_late"))
        assert len(shop.news) == 1

    in_shop(postgres_dsn, story)


def test_a_fault_in_a_providers_code_keeps_nobody_else_waiting(postgres_dsn):
    async def story(shop):
        for person in ("anna", "ben"):
            await shop.inbox.accept(shop.buyer, (message(person, person),))
        await shop.settled()
        for row in await shop.payments():
            shop.till.choose(row.id)
        shop.till.faults["look"].append(KeyError("a field that is not there"))
        await shop.overdue()
        await shop.reconcile.turn()
        await shop.settled()
        assert sorted(row.state for row in await shop.payments()) == [S.PAID, S.PENDING]

    in_shop(postgres_dsn, story)


def test_it_asks_less_and_less_often(postgres_dsn):
    async def story(shop):
        await ordered(shop)
        waits = []
        for _ in range(8):
            await asked(shop)
            (row,) = await shop.fetch("SELECT extract(epoch FROM ask_at - clock_timestamp())::float8 AS wait FROM payment")
            waits.append(round(row["wait"] / 60))
        assert waits == [10, 20, 40, 80, 160, 320, 360, 360]
        assert shop.till.calls["look"] == 8

    in_shop(postgres_dsn, story)


def test_an_approved_order_is_captured_when_the_provider_is_back(postgres_dsn):
    async def story(shop):
        row = await ordered(shop)
        shop.till.choose(row.id)
        shop.till.faults["capture"].append(EgressUnsent(after=3600.0))
        await shop.said(shop.till.webhook(row.id, "evt_1"))
        assert (await shop.payment()).state is S.APPROVED
        assert await shop.count("dead_letter") == 0
        assert (await asked(shop)).state is S.PAID
        assert shop.till.charges == {row.id: 1}

    in_shop(postgres_dsn, story, till=Till(approves=True))


def test_what_nobody_pays_expires(postgres_dsn):
    async def story(shop):
        await ordered(shop)
        await shop.fetch("UPDATE payment SET created_at = created_at - make_interval(secs => $1)", EXPIRES - 60)
        assert (await asked(shop)).state is S.PENDING
        await shop.fetch("UPDATE payment SET created_at = created_at - interval '2 minutes'")
        expired = await asked(shop)
        assert (expired.state, expired.detail) == (S.EXPIRED, "Nobody paid in time.")
        assert [payment.state for payment in shop.news] == [S.EXPIRED]

    in_shop(postgres_dsn, story)


def test_money_that_takes_days_does_not_expire(postgres_dsn):
    async def story(shop):
        row = await ordered(shop)
        await shop.said(shop.till.webhook(row.id, "evt_1", S.PENDING, payment="pi_slow"))
        await shop.fetch("UPDATE payment SET created_at = created_at - interval '3 days'")
        assert (await asked(shop)).state is S.PENDING

    in_shop(postgres_dsn, story)


def test_paid_but_not_answered_for_is_shown_until_the_bot_has_done_its_part(postgres_dsn):
    async def story(shop):
        broken = True

        async def sell(incoming):
            if broken and incoming.event.kind is Kind.PAYMENT:
                raise HandlerFailed("Out of mugs.", after=0.02)
            return await shop._sell(incoming)

        shop.handlers[shop.buyer.bot]._function = sell
        row = await ordered(shop)
        shop.till.choose(row.id)
        await shop.inbox.accept(shop.account, (shop.till.webhook(row.id, "evt_1"),))

        async def parked():
            return await shop.count("dead_letter") == 1

        await until(parked, seconds=30)
        await shop.reconcile.turn()
        assert (await shop.payment()).state is S.PAID
        assert (VITALS.unfulfilled.shown, list(VITALS.unfulfilled_since.shown)) == ({(): 1}, [()])
        broken = False
        from botstead.pipeline.partitions import partition_of
        from botstead.store.letters import Letters

        ((letter,),) = await shop.fetch("SELECT id FROM dead_letter")
        await Letters(shop.postgres, partition_of).replay(letter)
        await shop.settled()
        await shop.reconcile.turn()
        assert (await shop.payment()).state is S.FULFILLED
        assert (VITALS.unfulfilled.shown, VITALS.unfulfilled_since.shown) == ({(): 0}, {})
        assert [payment.state for payment in shop.news] == [S.PAID]

    in_shop(postgres_dsn, story)


def test_the_double_serves_a_bot_without_an_account(postgres_dsn):
    async def story(shop):
        row = await ordered(shop)
        assert (row.provider, row.url) == ("testpay", f"{BASE}/pay/{row.id}")
        shop.account = await shop.directory.number(row.account)
        await shop.desk.click(row.id, paid=True)
        await shop.said(event_of(Clicked(row.id, "pay", row.amount, row.currency)))
        assert [payment.state for payment in shop.news] == [S.PAID]
        await shop.inbox.accept(shop.buyer, (message("anna", "r1", f"refund {row.id} 250"),))
        await shop.settled()
        assert (await shop.payment()).refunded == 250
        again = await shop.registry.ensure_webchat("shop", kind="testpay")
        assert again.id == row.account

    in_shop(postgres_dsn, story, real=False)


def test_a_choice_on_the_doubles_page_that_got_lost_is_found(postgres_dsn):
    async def story(shop):
        row = await ordered(shop)
        await shop.desk.click(row.id, paid=False)
        await shop.desk.click(row.id, paid=True)
        assert (await asked(shop)).state is S.FAILED

    in_shop(postgres_dsn, story, real=False)


def test_where_there_is_a_real_account_the_double_takes_nothing(postgres_dsn):
    async def story(shop):
        await shop.inbox.accept(shop.buyer, (message("anna", "1", "mug testpay"), message("ben", "2", "mug")))
        await shop.settled()
        assert [row.provider for row in await shop.payments()] == ["stripe"]

    in_shop(postgres_dsn, story)


def test_forty_payments_among_faults_charge_once_each_and_lose_none(postgres_dsn):
    chance = random.Random(2)
    till = Till(approves=True)
    for what in ("open", "capture", "look"):
        faults: list[EgressError | None] = [EgressTimeout(), EgressBroken(), EgressUnsent(), None, None, None, None]
        till.faults[what].extend(chance.choices(faults, k=30))

    async def story(shop):
        people = [f"p{number}" for number in range(40)]
        await shop.inbox.accept(shop.buyer, tuple(message(person, person) for person in people))
        await until(lambda: len(shop.till.pages) >= 20)
        await shop.end(next(iter(shop.tasks)), drain=False)
        await shop.worker()
        await shop.settled(30)
        rows = await shop.payments()
        assert len(rows) == len(shop.till.pages) == 40
        for row in rows:
            shop.till.choose(row.id)
        events = [shop.till.webhook(row.id, f"evt_{row.id}") for row in rows if chance.random() < 0.7]
        events += [shop.till.webhook(row.id, f"late_{row.id}", S.PENDING) for row in rows if chance.random() < 0.5]
        events += chance.choices(events, k=20)
        chance.shuffle(events)
        await shop.inbox.accept(shop.account, events[:40])
        await shop.end(next(iter(shop.tasks)), drain=False)
        await shop.worker()
        await shop.inbox.accept(shop.account, events[40:])
        await shop.settled(30)
        for _ in range(20):
            await shop.overdue()
            await shop.reconcile.turn()
            await shop.settled(30)
            if {row.state for row in await shop.payments()} == {S.FULFILLED}:
                break
        rows = await shop.payments()
        assert {row.state for row in rows} == {S.FULFILLED}
        assert shop.till.charges == dict.fromkeys((row.id for row in rows), 1)
        assert sorted(payment.id for payment in shop.news if payment.state is S.PAID) == sorted(row.id for row in rows)
        assert (await shop.ledger.unsettled()).unknown == 0

    in_shop(postgres_dsn, story, till=till)


def test_a_refund_that_stays_unknown_is_not_asked_after_at_every_turn(postgres_dsn):
    async def story(shop):
        row = await paid(shop)
        await shop.ledger.begin(row.id, "refund", "k1", 500)
        await shop.overdue()
        before = shop.till.calls["look"]
        for _ in range(3):
            await shop.reconcile.turn()
        assert shop.till.calls["look"] == before + 1
        await shop.fetch("UPDATE payment_attempt SET at = at - interval '8 hours', ended_at = ended_at - interval '10 minutes'")
        await shop.reconcile.turn()
        assert shop.till.calls["look"] == before + 1  # the longer it has lasted, the rarer
        await shop.fetch("UPDATE payment_attempt SET ended_at = ended_at - interval '1 hour'")
        await shop.reconcile.turn()
        assert shop.till.calls["look"] == before + 2

    in_shop(postgres_dsn, story)


def test_a_refund_nobody_knows_of_is_given_up_after_a_day(postgres_dsn):
    async def story(shop):
        row = await paid(shop)
        await shop.ledger.begin(row.id, "refund", "k1", 500)
        await shop.overdue()
        await shop.reconcile.turn()
        assert (await attempts(shop, row))[-1][:2] == ("refund", "pending")
        await shop.fetch(
            "UPDATE payment_attempt SET at = at - make_interval(secs => $1), ended_at = NULL WHERE key = 'k1'", EXPIRES
        )
        await shop.reconcile.turn()
        assert (await attempts(shop, row))[-1][:2] == ("refund", "failed")

    in_shop(postgres_dsn, story)
