"""Events of PayPal: kept as they came, believed only after the certificate has been fetched and followed to an authority."""

from __future__ import annotations

import asyncio
import json
import time

import msgspec
import pytest

from botstead.core.errors import EgressError, Rejected
from botstead.core.messages import Delivery, Event
from botstead.core.money import PaymentState
from tests.doubles import paypal_signing as signing
from tests.doubles.paypal import CERTIFICATE
from tests.integration.paypal.shop import WEBHOOK, Shop, shop
from tests.integration.paypal.test_client import play
from tests.integration.stripe.shop import order


def delivery(body: bytes, headers: dict[str, str]) -> Delivery:
    return Delivery(body, tuple((name.lower().encode(), value.encode()) for name, value in headers.items()))


async def paid(at: Shop) -> list[bytes]:
    """Pay and refund; the bodies of all events."""
    at.double.hook("http://127.0.0.1:9/", WEBHOOK)
    at.double.hooks.hold()
    asked = order()
    page = await at.paypal.open(asked, at.account)
    known = msgspec.structs.replace(asked, session=page.session)
    await at.double.pay(page.session)
    await at.paypal.capture(known, at.account)
    await at.paypal.refund(known, 250, "part", at.account)
    return [body for _, body in at.double.hooks._held or []]


def kept(at: Shop, sent: Delivery) -> Event:
    """What the inbox keeps of a delivery, and gives back."""
    event = at.paypal.parse(sent, at.account).events[0]
    return msgspec.json.decode(msgspec.json.encode(event), type=Event)


def signed(at: Shop, body: bytes, **how) -> Delivery:
    return delivery(body, signing.headers(body, **({"webhook_id": WEBHOOK, "cert_url": at.double.url + CERTIFICATE} | how)))


def test_what_was_signed_is_believed_and_means_what_it_says():
    async def story(at: Shop) -> None:
        bodies = await paid(at)
        told = []
        for body in bodies:
            sent = signed(at, body)
            at.paypal.verify(sent, at.account, time.time())
            event = kept(at, sent)
            assert json.loads(bytes(event.raw))["body"].encode() == body
            assert await at.paypal.confirm(event, at.account)
            told.append(at.paypal.news(event, at.account))
        assert [one.state for one in told] == [PaymentState.APPROVED, PaymentState.PAID, PaymentState.PAID]
        assert {one.order for one in told} == {at.double.taken[0].order}
        assert (told[1].amount, told[1].payment, told[2].refunded) == (1250, told[2].payment, 250)
        assert at.double.calls(f"GET {CERTIFICATE}") == 1

    play(story)


@pytest.mark.parametrize(
    ("how", "certificate"),
    [
        ({"webhook_id": "WEBHOOK_ID"}, {}),  # what PayPal's simulator signs for
        ({"number": 1}, {}),
        ({}, {"number": 1}),
        ({}, {"missing": True}),
    ],
    ids=["simulator", "other-key", "other-certificate", "no-certificate"],
)
def test_what_is_not_signed_for_us_has_no_effect(how, certificate):
    async def story(at: Shop) -> None:
        body = (await paid(at))[1]
        at.double.certificate = b"" if certificate.pop("missing", False) else signing.certificate(**certificate)
        assert not await at.paypal.confirm(kept(at, signed(at, body, **how)), at.account)
        changed = body.replace(b"1", b"2", 1)
        sent = signed(at, body)
        assert not await at.paypal.confirm(kept(at, msgspec.structs.replace(sent, body=changed)), at.account)

    play(story)


@pytest.mark.parametrize(
    "certificate",
    [{"which": "strangers"}, {"name": "paypal.com.evil.example"}, {"days": -1}],
    ids=["authority", "name", "expired"],
)
def test_a_certificate_that_cannot_be_followed_is_asked_about(certificate):
    async def story(at: Shop) -> None:
        body = (await paid(at))[1]
        at.double.certificate = signing.certificate(**certificate)
        event = kept(at, signed(at, body))
        assert await at.paypal.confirm(event, at.account)
        assert at.double.calls("POST /v1/notifications/verify-webhook-signature") == 1
        at.double.believed = False
        assert not await at.paypal.confirm(event, at.account)
        assert at.paypal._certificates.known(at.double.url + CERTIFICATE) is None

    play(story)


def test_a_certificate_that_is_known_refuses_at_the_door():
    async def story(at: Shop) -> None:
        now = time.time()
        body = (await paid(at))[1]
        forged = signed(at, body, number=1)
        at.paypal.verify(forged, at.account, now)  # nothing is known yet: the worker will say
        assert await at.paypal.confirm(kept(at, signed(at, body)), at.account)
        with pytest.raises(Rejected):
            at.paypal.verify(forged, at.account, now)
        at.paypal.verify(signed(at, body), at.account, now)

    play(story)


def test_nobody_keeps_paypals_event_out_by_sending_its_id_first():
    async def story(at: Shop) -> None:
        body = (await paid(at))[1]
        forged, real = kept(at, signed(at, body, number=1)), kept(at, signed(at, body))
        assert forged.key != real.key
        assert forged.message_id == real.message_id

    play(story)


def test_while_paypal_cannot_be_asked_nothing_is_decided():
    async def story() -> None:
        async with shop() as at:
            event = kept(at, signed(at, (await paid(at))[1]))
            account = at.account
            paypal = at.paypal
            await at.double.__aexit__(None)
            with pytest.raises(EgressError):
                await paypal.confirm(event, account)
            await at.double.__aenter__()

    asyncio.run(asyncio.wait_for(story(), 30))
