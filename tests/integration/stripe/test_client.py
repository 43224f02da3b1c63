"""Payments over the real way out to a double that is held to the types of Stripe's own client."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from botstead.core.errors import EgressBroken, EgressResting, PaymentRefused
from botstead.core.money import PaymentState
from botstead.core.tills import Standing
from tests.doubles.provider_faults import ProviderFault
from tests.integration.stripe.shop import KEY, Shop, Watch, account, order, shop

HOUR = 3_600


def test_a_person_pays_once_and_gets_it_back_in_two_parts():
    async def story(at: Shop) -> None:
        asked = order()
        page = await at.stripe.open(asked, at.account)
        assert (page.state, page.order, page.amount) == (PaymentState.PENDING, asked.id, 0)
        assert page.url.startswith("http")
        assert page.session
        known = msgspec.structs.replace(asked, session=page.session)
        assert (await at.stripe.look(known, at.account)).state is PaymentState.PENDING
        await at.double.pay(page.session)
        paid = await at.stripe.capture(known, at.account)
        assert (paid.state, paid.amount, paid.currency, paid.refunded) == (PaymentState.PAID, 1250, "EUR", 0)
        known = msgspec.structs.replace(known, payment=paid.payment)
        first = await at.stripe.refund(known, 250, "key-1", at.account)
        assert (first.state, first.refunded) == (PaymentState.PAID, 250)
        again = await at.stripe.refund(known, 250, "key-1", at.account)
        assert again == first
        assert (await at.stripe.look(known, at.account)).refunded == 250
        last = await at.stripe.refund(known, 1000, "key-2", at.account)
        assert (last.state, last.refunded) == (PaymentState.REFUNDED, 1250)
        assert (await at.stripe.look(known, at.account)).state is PaymentState.REFUNDED
        assert [one.amount for one in at.double.made("refund", asked.id)] == [250, 1000]
        assert [one.amount for one in at.double.made("charge", asked.id)] == [1250]

    play(story)


@pytest.mark.parametrize(
    ("amount", "currency", "sent"),
    [(1200, "JPY", 1200), (40, "ISK", 4000), (5000, "UGX", 500_000), (12_340, "KWD", 12_340), (700, "MGA", 7), (99, "USD", 99)],
)
def test_amounts_are_those_that_stripe_counts_in(amount: int, currency: str, sent: int):
    async def story(at: Shop) -> None:
        asked = order(amount, currency)
        page = await at.stripe.open(asked, at.account)
        await at.double.pay(page.session)
        assert at.double.made("charge", asked.id)[0].amount == sent
        found = await at.stripe.look(msgspec.structs.replace(asked, session=page.session), at.account)
        assert (found.amount, found.currency) == (amount, currency)
        back = await at.stripe.refund(msgspec.structs.replace(asked, session=page.session), amount, "all", at.account)
        assert (back.state, back.refunded) == (PaymentState.REFUNDED, amount)

    play(story)


@pytest.mark.parametrize(
    "fault",
    [
        ProviderFault(status=503, applied=True),
        ProviderFault(status=409),
        ProviderFault(kind="close", applied=True),
        ProviderFault(kind="broken"),
        ProviderFault(kind="nonsense"),
        ProviderFault(status=400, advice="true", times=1),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}-{fault.applied}",
)
def test_what_went_wrong_once_is_asked_again_under_the_same_key(fault: ProviderFault):
    async def story(at: Shop) -> None:
        asked = order()
        at.double.fault(msgspec.structs.replace(fault, on="POST /v1/checkout"))
        page = await at.stripe.open(asked, at.account)
        assert page.session
        assert len(at.double.sessions) == 1
        assert at.double.calls("POST /v1/checkout") == 2
        await at.double.pay(page.session)
        known = msgspec.structs.replace(asked, session=page.session, payment=(await look(at, asked, page)).payment)
        at.double.fault(msgspec.structs.replace(fault, on="POST /v1/refunds", times=1))
        assert (await at.stripe.refund(known, 1250, "back", at.account)).state is PaymentState.REFUNDED
        assert len(at.double.made("refund", asked.id)) == 1

    play(story)


async def look(at: Shop, asked, page: Standing) -> Standing:
    return await at.stripe.look(msgspec.structs.replace(asked, session=page.session), at.account)


def test_stripe_says_itself_that_another_try_is_of_no_use():
    async def story(at: Shop) -> None:
        at.double.fault(ProviderFault(status=500, advice="false", times=9))
        with pytest.raises(EgressBroken):
            await at.stripe.open(order(), at.account)
        assert at.double.calls("POST /v1/checkout") == 1

    play(story)


def test_a_failure_that_stripe_has_stored_is_not_repeated_for_ever():
    async def story(at: Shop) -> None:
        nothing, something = order(), order()
        at.double.fault(ProviderFault(status=500, stored=True))
        page = await at.stripe.open(nothing, at.account)
        assert len(at.double.sessions) == 1  # nothing was made by the first, so another was
        at.double.fault(ProviderFault(status=500, stored=True, applied=True))
        assert (await at.stripe.open(something, at.account)).session != page.session
        assert len(at.double.sessions) == 2  # the first had made it, and it was found

    play(story)


@pytest.mark.parametrize("times", [2, 3])
def test_nor_are_several_failures_stored_one_after_the_other(times: int):
    async def story(at: Shop) -> None:
        asked = order()
        at.double.fault(ProviderFault(status=500, stored=True, times=times, on="POST"))
        page = await at.stripe.open(asked, at.account)
        assert len(at.double.sessions) == 1
        await at.double.pay(page.session)
        known = msgspec.structs.replace(asked, session=page.session, payment=(await look(at, asked, page)).payment)
        at.double.fault(ProviderFault(status=500, stored=True, times=times, on="POST /v1/refunds"))
        assert (await at.stripe.refund(known, 250, "key-1", at.account)).refunded == 250
        assert [one.amount for one in at.double.made("refund", asked.id)] == [250]

    play(story)


@pytest.mark.parametrize("applied", [False, True])
def test_nor_is_a_refund_lost_to_a_stored_failure_or_made_twice(applied: bool):
    async def story(at: Shop) -> None:
        asked = order()
        page = await at.stripe.open(asked, at.account)
        await at.double.pay(page.session)
        known = msgspec.structs.replace(asked, session=page.session, payment=(await look(at, asked, page)).payment)
        at.double.fault(ProviderFault(status=500, stored=True, applied=applied, on="POST /v1/refunds"))
        for _ in range(2):
            said = await at.stripe.refund(known, 250, "key-1", at.account)
            assert (said.state, said.refunded) == (PaymentState.PAID, 250)
        assert [one.amount for one in at.double.made("refund", asked.id)] == [250]

    play(story)


def test_a_page_whose_answer_never_came_is_found_by_our_reference():
    async def story(at: Shop) -> None:
        asked = order()
        assert (await at.stripe.look(asked, at.account)).state is PaymentState.PENDING
        at.double.fault(ProviderFault(kind="close", applied=True, on="POST", times=3))
        with pytest.raises(EgressBroken):
            await at.stripe.open(asked, at.account)
        for _ in range(130):  # so that it is not on the first page of the list
            await at.stripe.open(order(), at.account)
        found = await at.stripe.look(asked, at.account)
        assert found.session
        assert found.order == asked.id
        assert found.url
        assert (await at.stripe.open(asked, at.account)).session == found.session

    play(story)


def test_after_a_day_stripe_has_forgotten_the_key_and_is_asked_first():
    watch = Watch()

    async def story(at: Shop) -> None:
        asked = order()
        page = await at.stripe.open(asked, at.account)
        await at.double.pay(page.session)
        paid = await look(at, asked, page)
        known = msgspec.structs.replace(asked, session=page.session, payment=paid.payment)
        await at.stripe.refund(known, 250, "once", at.account)
        at.double.keys.shift = watch.ahead = 25.0 * HOUR
        assert (await at.stripe.open(asked, at.account)).session == page.session
        assert (await at.stripe.refund(known, 250, "once", at.account)).refunded == 250
        assert len(at.double.sessions) == len(at.double.made("refund", asked.id)) == 1

    play(story, clock=watch)


def test_pages_end_in_every_way_they_can():
    async def story(at: Shop) -> None:
        for outcomes, state in (
            (["declined"], PaymentState.PENDING),
            (["declined", "paid"], PaymentState.PAID),
            (["later"], PaymentState.PENDING),
            (["later", "arrived"], PaymentState.PAID),
            (["later", "bounced"], PaymentState.FAILED),
            (["expired"], PaymentState.EXPIRED),
        ):
            asked = order()
            page = await at.stripe.open(asked, at.account)
            for outcome in outcomes:
                await at.double.pay(page.session, outcome)
            assert (await look(at, asked, page)).state is state, outcomes

    play(story)


def test_a_no_is_told_in_words_and_without_the_key():
    async def story(at: Shop) -> None:
        wrong = account(at.double.url, key="not-a-key")
        with pytest.raises(PaymentRefused, match="Replace the secret `key`") as caught:
            await at.stripe.open(order(), wrong)
        assert "not-a-key" not in str(caught.value)
        with pytest.raises(PaymentRefused, match="BOTSTEAD_PUBLIC_URL"):
            await at.stripe.open(order(return_url=""), at.account)
        with pytest.raises(PaymentRefused, match="fraction"):
            await at.stripe.open(order(12_345, "KWD"), at.account)
        with pytest.raises(PaymentRefused, match="No such object"):
            await at.stripe.look(order(session="cs_test_nobody"), at.account)
        with pytest.raises(PaymentRefused, match="Nothing was paid"):
            await at.stripe.refund(order(), 1, "k", at.account)
        asked = order()
        page = await at.stripe.open(asked, at.account)
        await at.double.pay(page.session)
        known = msgspec.structs.replace(asked, session=page.session)
        with pytest.raises(PaymentRefused, match="greater than unrefunded"):
            await at.stripe.refund(known, 1251, "too-much", at.account)
        with pytest.raises(PaymentRefused, match="not of the payment"):
            await at.stripe.look(order(session=page.session), at.account)

    play(story, strict=False)


def test_a_long_pause_is_obeyed_by_not_asking():
    async def story(at: Shop) -> None:
        at.double.fault(ProviderFault(status=429, retry_after=90, on="POST"))
        with pytest.raises(EgressResting) as caught:
            await at.stripe.open(order(), at.account)
        assert caught.value.after is None or caught.value.after > 60
        with pytest.raises(EgressResting):
            await at.stripe.open(order(), at.account)
        assert at.double.calls("POST /v1/checkout") == 1

    play(story)


def test_health_says_what_did_not_arrive():
    watch = Watch()

    async def story(at: Shop) -> None:
        assert (await at.stripe.health(at.account, None)).status == "ok"
        page = await at.stripe.open(order(), at.account)
        at.double.trouble.chance.lost = 1.0
        at.double.hook("http://127.0.0.1:9/nowhere", "whsec_x")
        await at.double.pay(page.session)
        watch.ahead = 1_200.0
        found = await at.stripe.health(at.account, None)
        assert (found.status, found.facts["undelivered"], found.facts["mode"]) == ("degraded", 1, "test")
        bare = msgspec.structs.replace(at.account, secrets={"key": at.account.secrets["key"]})
        told = await at.stripe.install(bare, None, "https://bots.example/hooks/x")
        assert (told.status, told.facts["hook_url"]) == ("degraded", "https://bots.example/hooks/x")
        assert "charge.refunded" in told.facts["events"]
        refused = await at.stripe.health(account(at.double.url, key="sk_test_"), None)
        assert (refused.status, KEY in refused.detail) == ("failing", False)

    play(story, clock=watch)


def play(story, **options) -> None:
    async def run() -> None:
        async with shop(**options) as at:
            await story(at)

    asyncio.run(asyncio.wait_for(run(), 30))
