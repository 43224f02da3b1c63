"""Giving money back: once for each time that it is asked for, and never more than came."""

import pytest

from botstead.core.errors import EgressTimeout, EgressUnsent, PaymentRefused
from botstead.core.messages import Event, Kind, Refund
from botstead.core.money import PaymentState
from tests.integration.payments.shop import in_shop
from tests.integration.payments.test_paying import attempts, ordered, paid
from tests.integration.pipeline.road import message, until

S = PaymentState


async def asked(shop, text, key):
    await shop.inbox.accept(shop.buyer, (message("anna", key, text),))
    await shop.settled()
    return await shop.payment()


def test_all_of_it_goes_back_and_the_bot_hears_of_it(postgres_dsn):
    async def story(shop):
        row = await paid(shop)
        after = await asked(shop, f"refund {row.id}", "r1")
        assert (after.state, after.refunded) == (S.REFUNDED, 1250)
        assert [payment.state for payment in shop.news] == [S.PAID, S.REFUNDED]
        assert shop.network.texts("anna")[-1] == "mug: refunded 1250"
        assert list(shop.till.refunds.values()) == [(row.id, 1250)]
        await shop.said(shop.till.webhook(row.id, "evt_9"))
        assert len(shop.news) == 2
        again = await asked(shop, f"refund {row.id}", "r2")
        assert again.refunded == 1250
        assert len(shop.till.refunds) == 1
        (letter,) = await shop.fetch("SELECT error FROM dead_letter")
        assert "0.00 EUR can go back" in letter["error"]

    in_shop(postgres_dsn, story)


def test_parts_add_up_and_no_more_than_came_goes_back(postgres_dsn):
    async def story(shop):
        row = await paid(shop)
        await shop.reconcile.turn()
        assert (await asked(shop, f"refund {row.id} 500", "r1")).refunded == 500
        assert (await asked(shop, f"refund {row.id} 800", "r2")).refunded == 500
        (letter,) = await shop.fetch("SELECT error FROM dead_letter")
        assert letter["error"] == "Of this payment 7.50 EUR can go back, not 8.00 EUR."
        after = await asked(shop, f"refund {row.id}", "r3")
        assert (after.state, after.refunded) == (S.REFUNDED, 1250)
        assert [(news.state, news.refunded) for news in shop.news] == [(S.PAID, 0), (S.FULFILLED, 500), (S.REFUNDED, 1250)]

    in_shop(postgres_dsn, story)


def test_a_refund_that_may_have_arrived_is_repeated_under_its_key(postgres_dsn):
    async def story(shop):
        row = await paid(shop)
        shop.till.faults["refund"].extend([EgressTimeout(), EgressUnsent()])
        after = await asked(shop, f"refund {row.id} 500", "r1")
        assert after.refunded == 500
        assert list(shop.till.refunds.values()) == [(row.id, 500)]
        assert (await attempts(shop, row))[-1] == ("refund", "done", 3)

    in_shop(postgres_dsn, story)


def test_a_refund_of_which_nobody_heard_again_is_found_by_asking(postgres_dsn):
    async def story(shop):
        row = await paid(shop)
        shop.till.faults["refund"].extend([EgressTimeout()] * 20)
        await shop.inbox.accept(shop.buyer, (message("anna", "r1", f"refund {row.id} 500"),))
        await until(lambda: shop.till.calls["refund"])

        async def unknown():
            return (await attempts(shop, row))[-1][:2] == ("refund", "unknown")

        await until(unknown)
        await shop.end(next(iter(shop.tasks)), drain=False)
        await shop.overdue()
        await shop.reconcile.turn()
        assert (await attempts(shop, row))[-1][:2] == ("refund", "done")
        await shop.worker()

        async def known():
            return (await shop.payment()).refunded == 500

        await until(known)
        assert len(shop.till.refunds) == 1

    in_shop(postgres_dsn, story)


def test_a_refusal_is_a_letter_and_can_be_asked_for_again(postgres_dsn):
    async def story(shop):
        row = await paid(shop)
        shop.till.faults["refund"].append(PaymentRefused("Not enough balance."))
        after = await asked(shop, f"refund {row.id}", "r1")
        assert (after.state, after.refunded) == (S.PAID, 0)
        assert (await attempts(shop, row))[-1] == ("refund", "failed", 1)
        assert (await asked(shop, f"refund {row.id}", "r2")).state is S.REFUNDED

    in_shop(postgres_dsn, story)


@pytest.mark.parametrize("wanted", ["pay_AAAAAAAAAAAAAAAAAAAAAAAA", "nonsense", ""])
def test_what_is_no_payment_cannot_go_back(postgres_dsn, wanted):
    async def story(shop):
        await ordered(shop)
        await asked(shop, f"refund {wanted}", "r1")
        assert not shop.till.refunds
        (letter,) = await shop.fetch("SELECT reason, error FROM dead_letter")
        assert tuple(letter) == ("invalid", "There is no such payment.")

    in_shop(postgres_dsn, story)


def test_another_bot_cannot_give_it_back(postgres_dsn):
    async def story(shop):
        row = await paid(shop)
        other = await shop.bot("thief", shop._sell)
        await shop.inbox.accept(other, (message("eve", "r1", f"refund {row.id}"),))
        await shop.settled()
        assert not shop.till.refunds

    in_shop(postgres_dsn, story)


def test_it_goes_back_from_the_accounts_own_lane_when_the_chat_is_gone(postgres_dsn):
    async def story(shop):
        row = await paid(shop)
        ask = Event(kind=Kind.SEND, conversation=row.id, key="api:1", actions=(Refund(payment=row.id),))
        await shop.said(ask)
        assert (await shop.payment()).state is S.REFUNDED

    in_shop(postgres_dsn, story)
