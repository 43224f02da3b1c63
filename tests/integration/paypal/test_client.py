"""Payments over the real way out to a double that is held to PayPal's published description."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from botstead.core.errors import EgressBroken, EgressResting, PaymentRefused
from botstead.core.money import PaymentState
from tests.doubles.provider_faults import ProviderFault
from tests.integration.paypal.shop import Shop, account, shop
from tests.integration.stripe.shop import Watch, order

HOUR = 3_600.0


def play(story, **options) -> None:
    async def run() -> None:
        async with shop(**options) as at:
            await story(at)

    asyncio.run(asyncio.wait_for(run(), 30))


def test_a_person_approves_and_is_charged_once_and_gets_it_back_in_two_parts():
    async def story(at: Shop) -> None:
        asked = order()
        page = await at.paypal.open(asked, at.account)
        assert (page.state, page.order) == (PaymentState.PENDING, asked.id)
        assert page.url.startswith(at.double.url)
        known = msgspec.structs.replace(asked, session=page.session)
        assert (await at.paypal.capture(known, at.account)).state is PaymentState.PENDING  # nobody has approved it
        await at.double.pay(page.session)
        approved = await at.paypal.look(known, at.account)
        assert (approved.state, approved.amount, approved.currency) == (PaymentState.APPROVED, 1250, "EUR")
        known = msgspec.structs.replace(known, key="00000000-0000-4000-8000-000000000001")  # the first key got «not approved»
        paid = await at.paypal.capture(known, at.account)
        assert (paid.state, paid.amount, paid.currency) == (PaymentState.PAID, 1250, "EUR")
        assert await at.paypal.capture(known, at.account) == paid
        known = msgspec.structs.replace(known, payment=paid.payment, key="00000000-0000-4000-8000-000000000002")
        assert (await at.paypal.capture(known, at.account)).state is PaymentState.PAID  # «already captured» is a success
        first = await at.paypal.refund(known, 250, "key-1", at.account)
        assert (first.state, first.refunded) == (PaymentState.PAID, 250)
        assert await at.paypal.refund(known, 250, "key-1", at.account) == first
        last = await at.paypal.refund(known, 1000, "key-2", at.account)
        assert (last.state, last.refunded) == (PaymentState.REFUNDED, 1250)
        assert (await at.paypal.look(known, at.account)).state is PaymentState.REFUNDED
        assert len(at.double.made("charge", asked.id)) == 1
        assert [one.amount for one in at.double.made("refund", asked.id)] == ["2.50", "10.00"]
        assert len(at.double.tokens) == 1

    play(story)


def test_a_capture_that_was_too_early_may_be_repeated_under_its_key():
    async def story(at: Shop) -> None:
        asked = order()
        page = await at.paypal.open(asked, at.account)
        known = msgspec.structs.replace(asked, session=page.session)
        assert (await at.paypal.capture(known, at.account)).state is PaymentState.PENDING
        await at.double.pay(page.session)
        assert (await at.paypal.capture(known, at.account)).state is PaymentState.PAID

    play(story)


@pytest.mark.parametrize(("amount", "currency", "sent"), [(1200, "JPY", "1200"), (40_000, "HUF", "400"), (99, "USD", "0.99")])
def test_amounts_are_written_as_paypal_reads_them(amount: int, currency: str, sent: str):
    async def story(at: Shop) -> None:
        asked = order(amount, currency)
        page = await at.paypal.open(asked, at.account)
        await at.double.pay(page.session)
        paid = await at.paypal.capture(msgspec.structs.replace(asked, session=page.session), at.account)
        assert (paid.amount, paid.currency) == (amount, currency)
        assert at.double.made("charge", asked.id)[0].amount == sent

    play(story)


@pytest.mark.parametrize(
    "fault",
    [
        ProviderFault(status=500, applied=True),
        ProviderFault(status=409),
        ProviderFault(kind="close", applied=True),
        ProviderFault(kind="nonsense"),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
def test_what_went_wrong_once_is_asked_again_under_the_same_key(fault: ProviderFault):
    async def story(at: Shop) -> None:
        asked = order()
        at.double.fault(msgspec.structs.replace(fault, on="POST /v2/checkout"))
        page = await at.paypal.open(asked, at.account)
        assert len(at.double.orders) == 1
        await at.double.pay(page.session)
        known = msgspec.structs.replace(asked, session=page.session)
        at.double.fault(msgspec.structs.replace(fault, on=f"POST /v2/checkout/orders/{page.session}/capture", times=1))
        assert (await at.paypal.capture(known, at.account)).state is PaymentState.PAID
        at.double.fault(msgspec.structs.replace(fault, on="POST /v2/payments", times=1))
        assert (await at.paypal.refund(known, 1250, "back", at.account)).state is PaymentState.REFUNDED
        assert len(at.double.made("charge", asked.id)) == len(at.double.made("refund", asked.id)) == 1

    play(story)


def test_after_six_hours_paypal_has_forgotten_the_key_and_is_asked_first():
    watch = Watch()

    async def story(at: Shop) -> None:
        asked = order()
        page = await at.paypal.open(asked, at.account)
        await at.double.pay(page.session)
        known = msgspec.structs.replace(asked, session=page.session)
        await at.paypal.capture(known, at.account)
        await at.paypal.refund(known, 250, "once", at.account)
        at.double.keys.shift = watch.ahead = 7 * HOUR
        calls = at.double.calls("POST /v2")
        assert (await at.paypal.capture(known, at.account)).state is PaymentState.PAID
        assert (await at.paypal.refund(known, 250, "once", at.account)).refunded == 250
        assert at.double.calls("POST /v2") == calls

    play(story, clock=watch)


def test_two_orders_of_paypals_for_one_of_ours_are_charged_once():
    watch = Watch()

    async def story(at: Shop) -> None:
        asked = order()
        first = await at.paypal.open(asked, at.account)
        at.double.keys.shift = watch.ahead = 7 * HOUR
        second = await at.paypal.open(asked, at.account)
        assert first.session != second.session
        for page in (first, second):
            await at.double.pay(page.session)
        known = msgspec.structs.replace(asked, session=first.session)
        assert (await at.paypal.capture(known, at.account)).state is PaymentState.PAID
        with pytest.raises(PaymentRefused, match="DUPLICATE_INVOICE_ID"):
            await at.paypal.capture(msgspec.structs.replace(asked, session=second.session, key="other"), at.account)
        assert len(at.double.made("charge", asked.id)) == 1

    play(story, clock=watch)


def test_orders_end_in_every_way_they_can():
    async def story(at: Shop) -> None:
        for outcomes, state in (
            (["declined"], PaymentState.PENDING),
            (["pending"], PaymentState.PENDING),
            (["pending", "arrived"], PaymentState.PAID),
            (["pending", "denied"], PaymentState.FAILED),
            (["gone"], PaymentState.EXPIRED),
        ):
            asked = order()
            page = await at.paypal.open(asked, at.account)
            known = msgspec.structs.replace(asked, session=page.session)
            await at.double.pay(page.session, outcomes[0])
            await at.paypal.capture(known, at.account)
            for outcome in outcomes[1:]:
                await at.double.pay(page.session, outcome)
            assert (await at.paypal.look(known, at.account)).state is state, outcomes
        assert (await at.paypal.look(order(), at.account)).state is PaymentState.PENDING

    play(story)


def test_one_token_serves_all_who_wait_and_is_replaced_before_it_ends():
    watch = Watch()

    async def story(at: Shop) -> None:
        await asyncio.gather(*(at.paypal.open(order(), at.account) for _ in range(10)))
        assert len(at.double.tokens) == at.double.calls("POST /v1/oauth2/token") == 1
        at.double.tokens.clear()  # PayPal takes it no more, before its time
        await at.paypal.open(order(), at.account)
        assert at.double.calls("POST /v1/oauth2/token") == 2
        assert all(secret not in repr(vars(at.paypal._tokens)) for secret in at.double.tokens)

    play(story, clock=watch)

    async def short(at: Shop) -> None:
        for _ in range(2):
            await at.paypal.open(order(), at.account)
        assert at.double.calls("POST /v1/oauth2/token") == 2  # it says 60 s, which is none

    play(short, token_seconds=60)


def test_a_no_is_told_in_words_and_without_secrets():
    async def story(at: Shop) -> None:
        with pytest.raises(PaymentRefused, match="client_secret") as caught:
            await at.paypal.open(order(), account(at.double.url, secret="not-the-secret"))
        assert "not-the-secret" not in str(caught.value)
        with pytest.raises(PaymentRefused, match="whole HUF"):
            await at.paypal.open(order(12_345, "HUF"), at.account)
        with pytest.raises(PaymentRefused, match="Nothing was paid"):
            await at.paypal.refund(order(), 1, "k", at.account)
        asked = order()
        page = await at.paypal.open(asked, at.account)
        await at.double.pay(page.session)
        known = msgspec.structs.replace(asked, session=page.session)
        await at.paypal.capture(known, at.account)
        with pytest.raises(PaymentRefused, match=r"REFUND_AMOUNT_EXCEEDED.*f00dcafe"):
            await at.paypal.refund(known, 1251, "too-much", at.account)
        with pytest.raises(PaymentRefused, match="not of the payment"):
            await at.paypal.look(order(session=page.session), at.account)
        at.double.fault(ProviderFault(status=429, retry_after=90))
        with pytest.raises(EgressResting):
            await at.paypal.look(known, at.account)

    play(story, strict=False)


def test_a_failure_that_lasts_is_an_unknown_outcome():
    async def story(at: Shop) -> None:
        at.double.fault(ProviderFault(status=503, on="POST /v2", times=9))
        with pytest.raises(EgressBroken, match="not known"):
            await at.paypal.open(order(), at.account)

    play(story)


def test_health_says_which_webhook_leads_here():
    async def story(at: Shop) -> None:
        bare = account(at.double.url, webhook_id="")
        told = await at.paypal.install(bare, None, "https://bots.example/hooks/x")
        assert told.status == "degraded"
        assert "PAYMENT.CAPTURE.COMPLETED" in told.facts["events"]
        at.double.hook("https://bots.example/hooks/x", "8PT597110X687430L")
        assert (
            "Set webhook_id to 8PT597110X687430L" in (await at.paypal.install(bare, None, "https://bots.example/hooks/x")).detail
        )
        assert (await at.paypal.health(at.account, None)).status == "ok"
        assert (await at.paypal.health(account(at.double.url, webhook_id="ANOTHER"), None)).status == "degraded"
        assert (await at.paypal.health(account(at.double.url, secret="wrong"), None)).status == "failing"

    play(story)
