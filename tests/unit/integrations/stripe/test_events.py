"""Signed events of Stripe: nobody else's are taken, each finds its order's lane, and their order does not matter."""

from __future__ import annotations

import asyncio
import base64
import functools
import hmac
import itertools
import json
import random

import msgspec
import pytest
import stripe
from hypothesis import given, settings
from hypothesis import strategies as st

from botstead.core.errors import Rejected, Unreadable
from botstead.core.messages import Delivery, Event, Kind
from botstead.core.money import PaymentState
from botstead.core.ports import Account
from botstead.core.secret import Secret
from botstead.integrations.stripe.parse import EVENTS, news, parse
from botstead.integrations.stripe.verify import verify
from botstead.operate.payments.state import Books, move
from botstead.processes.prove.till import things
from tests.doubles.stripe import StripeDouble, signature

NOW = 1_700_000_000.0
SECRET, OLD = "whsec_bm90IGJhc2U2NCBoZXJl", "whsec_b2xkIG9uZQ=="
S = PaymentState


def account(**secrets: str) -> Account:
    given_secrets = {name: Secret(value) for name, value in (secrets or {"webhook_secret": SECRET}).items()}
    return Account(id=7, public_id="x", kind="stripe", bot=1, bot_name="shop", secrets=given_secrets)


def delivery(body: bytes, *headers: bytes) -> Delivery:
    return Delivery(body, tuple((b"stripe-signature", header) for header in headers))


def check(body: bytes, *headers: bytes, at: Account | None = None) -> None:
    verify(delivery(body, *headers), at or account(), NOW)


def test_of_10_000_forged_deliveries_none_is_taken():
    chance, body = random.Random(3), b'{"id":"evt_1","type":"charge.refunded","data":{"object":{}}}'
    good = signature(body, SECRET, at=NOW).encode()
    check(body, good)
    taken = 0
    for _ in range(10_000):
        forged_body, header = bytearray(body), bytearray(good)
        match chance.randrange(7):
            case 0:
                forged_body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
            case 1:
                header = bytearray(signature(body, f"whsec_{chance.random()}", at=NOW).encode())
            case 2:
                spot = chance.randrange(13, 13 + 67)
                header[spot] = chance.choice([byte for byte in range(256) if byte != header[spot]])
            case 3:
                header = bytearray(
                    signature(body, SECRET, at=NOW + chance.choice([-1, 1]) * chance.randrange(301, 10**8)).encode()
                )
            case 4:
                header = bytearray(good.replace(b"v1=", chance.choice([b"v0=", b"v2=", b"V1=", b"v1 =", b""])))
            case 5:
                header = bytearray(good.replace(b"t=1700000000", b"t=%d" % chance.randrange(1_699_999_700, 1_700_000_000)))
            case 6:
                header = bytearray(chance.randbytes(chance.randrange(200)))
        try:
            check(bytes(forged_body), bytes(header))
        except Rejected:
            continue
        taken += 1
    assert taken == 0


@given(
    body=st.binary(max_size=300),
    header=st.binary(max_size=300),
    parts=st.lists(st.sampled_from([b"t=1700000000", b"v1=", b"v1=aa", b",", b"=", b"t=", b"\xff"]), max_size=6),
)
@settings(max_examples=200, deadline=None)
def test_hostile_bytes_are_rejected_and_raise_nothing_else(body, header, parts):
    for given_header in (header, b",".join(parts)):
        with pytest.raises(Rejected):
            check(body, given_header)


def test_the_secret_is_taken_whole_and_rolls():
    body = b"{}"
    decoded = base64.b64decode(SECRET.removeprefix("whsec_"))
    with pytest.raises(Rejected):  # as Standard Webhooks would read a secret with the same prefix
        check(body, b"t=1700000000,v1=" + hmac.new(decoded, b"1700000000.{}", "sha256").hexdigest().encode())
    both = account(webhook_secret=SECRET, webhook_secret_previous=OLD)
    for header in (signature(body, SECRET, at=NOW), signature(body, OLD, at=NOW), signature(body, "whsec_x", OLD, at=NOW)):
        check(body, header.encode(), at=both)
    with pytest.raises(Rejected):
        check(body, signature(body, OLD, at=NOW).encode())
    for nobody in (account(key="sk_test_1"), account(webhook_secret="")):
        with pytest.raises(Rejected):
            check(body, signature(body, "", at=NOW).encode(), at=nobody)
    with pytest.raises(Rejected):  # two headers are ambiguous
        check(body, signature(body, SECRET, at=NOW).encode(), signature(body, SECRET, at=NOW).encode())


@pytest.mark.parametrize(("off", "taken"), [(299, True), (301, False), (-299, True), (-301, False)])
def test_a_timestamp_may_be_five_minutes_off_to_either_side(off, taken):
    header = signature(b"{}", SECRET, at=NOW - off).encode()
    if taken:
        check(b"{}", header)
    else:
        with pytest.raises(Rejected):
            check(b"{}", header)


def test_the_official_client_signs_as_we_read():
    made = stripe.WebhookSignature._compute_signature(f"{int(NOW)}.{{}}", SECRET)
    check(b"{}", f"t={int(NOW)},v1={made}".encode())


@given(
    body=st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.text(max_size=5) | st.integers(),
            lambda inner: st.dictionaries(
                st.sampled_from(["id", "type", "data", "object", "created", "metadata"]), inner, max_size=5
            ),
            max_leaves=12,
        )
        .map(json.dumps)
        .map(str.encode),
    )
)
@settings(max_examples=300, deadline=None)
def test_hostile_events_are_unreadable_or_kept_and_never_fail(body):
    try:
        (event,) = parse(delivery(body)).events
    except Unreadable:
        return
    assert bytes(event.raw) == body
    news(event)


def test_deep_and_thin_events_are_refused_in_words():
    deep = b'{"id":"evt_1","type":"charge.refunded","data":{"object":' + b'{"a":' * 200_000 + b"1" + b"}" * 200_002
    with pytest.raises(Unreadable):
        parse(delivery(deep))
    with pytest.raises(Unreadable, match="snapshot"):
        parse(delivery(b'{"id":"evt_1","object":"v2.core.event","type":"v1.billing.meter.error_report_triggered"}'))


def test_what_is_of_no_order_is_kept_in_no_lane():
    (event,) = parse(delivery(b'{"id":"evt_9","type":"customer.created","created":5,"data":{"object":{"id":"cus_1"}}}')).events
    assert (event.kind, event.conversation, event.key, event.at) == (Kind.UNKNOWN, "", "evt_9", 5.0)
    (odd,) = parse(delivery(b'{"id":"evt_9","type":"charge.refunded","data":{"object":{"id":7}}}')).events
    assert odd.kind is Kind.UNKNOWN
    assert news(odd) is None


@functools.cache
def happened(*outcomes: str, refunds: tuple[int, ...] = ()) -> tuple[bytes, ...]:
    """The bodies of all events of a page that ended so."""

    async def story() -> list[bytes]:
        double = StripeDouble()
        double.hooks.hold()
        fields = {"client_reference_id": "pay_1", "success_url": "https://x.example", "metadata": {"order": "pay_1"}}
        page = things.page(
            "cs_1", fields | {"payment_intent_data": {"metadata": {"order": "pay_1"}}}, 1250, "eur", url="http://x"
        )
        double.sessions["cs_1"] = page
        for outcome in outcomes:
            await double.pay("cs_1", outcome)
        for amount in refunds:
            (intent,) = double.intents
            double.give_back({"payment_intent": intent, "amount": str(amount), "metadata": {"order": "pay_1"}})
        return [body for _, body in double.hooks._held or []]

    return tuple(asyncio.run(story()))


STORIES = [
    (("paid",), (), S.PAID, 0),
    (("declined", "declined", "paid"), (), S.PAID, 0),
    (("later", "arrived"), (250,), S.PAID, 250),
    (("later", "bounced"), (), S.FAILED, 0),
    (("declined", "expired"), (), S.EXPIRED, 0),
    (("paid",), (250, 1000), S.REFUNDED, 1250),
]


@pytest.mark.parametrize(("outcomes", "refunds", "state", "refunded"), STORIES)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_in_whatever_order_and_how_often_they_come_the_end_is_the_same(outcomes, refunds, state, refunded, data):
    bodies = happened(*outcomes, refunds=refunds)
    arriving = data.draw(st.permutations(bodies + bodies[: data.draw(st.integers(0, len(bodies)))]))
    books = Books(state=S.PENDING, amount=1250, currency="EUR")
    for body in arriving:
        (event,) = parse(delivery(body)).events
        assert event.conversation == "pay_1"
        again = msgspec.json.decode(msgspec.json.encode(event), type=Event)
        said = news(again)
        assert said is not None
        books = move(books, said).books
    assert (books.state, books.refunded, books.held) == (state, refunded, False)


def test_every_event_that_we_ask_for_is_read_and_the_sdk_reads_it_too():
    kinds = set()
    for body in itertools.chain.from_iterable(happened(*outcomes, refunds=refunds) for outcomes, refunds, *_ in STORIES):
        event = stripe.Webhook.construct_event(body, signature(body, SECRET), SECRET)
        kinds.add(event.type)
    assert kinds <= set(EVENTS)
    dispute = b'{"id":"evt_1","type":"charge.dispute.created","data":{"object":{"id":"dp_1","reason":"fraudulent","payment_intent":"pi_1"}}}'
    said = news(parse(delivery(dispute)).events[0])
    assert (said.state, said.payment, said.amount) == (S.PAID, "pi_1", 0)
    failed = b'{"id":"evt_1","type":"refund.failed","data":{"object":{"id":"re_1","status":"failed","failure_reason":"lost_or_stolen_card","metadata":{"order":"pay_1"}}}}'
    told = news(parse(delivery(failed)).events[0])
    assert (told.order, told.refunded, "lost_or_stolen_card" in told.detail) == ("pay_1", 0, True)


def test_a_completed_page_that_is_unpaid_is_not_paid():
    (body,) = happened("later")
    assert json.loads(body)["type"] == "checkout.session.completed"
    assert news(parse(delivery(body)).events[0]).state is S.PENDING
