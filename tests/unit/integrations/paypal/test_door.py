"""What PayPal cannot have sent is refused at the door, whatever the bytes."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given, settings
from hypothesis import strategies as st

from botstead.core.errors import Rejected, Unreadable
from botstead.core.messages import Delivery, Event, Kind
from botstead.core.money import PaymentState
from botstead.core.ports import Account
from botstead.integrations.paypal.parse import news, parse
from botstead.integrations.paypal.verify import of_delivery, of_event, verify
from botstead.runtime.signatures import paypal_verify
from tests.doubles import paypal_signing as signing

NOW = 1_700_000_000.0
WEBHOOK = "8PT597110X687430L"
URL = "https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-a5cafa77"
BODY = b'{"id":"WH-1","event_type":"PAYMENT.CAPTURE.COMPLETED","resource":{"id":"CAP1","amount":{"currency_code":"EUR","value":"12.50"}}}'
RECORDED = Path(__file__).parent / "recorded"


def account(**settings_: str) -> Account:
    return Account(id=8, public_id="x", kind="paypal", bot=1, bot_name="shop", settings={"webhook_id": WEBHOOK} | settings_)


def delivery(headers: dict[str, str], body: bytes = BODY) -> Delivery:
    return Delivery(
        body, tuple((name.lower().encode(), value.encode("utf-8", "surrogateescape")) for name, value in headers.items())
    )


def signed(body: bytes = BODY, **how) -> dict[str, str]:
    return signing.headers(body, **({"webhook_id": WEBHOOK, "cert_url": URL, "at": NOW} | how))


def known(url: str):
    return signing.key(0).public_key() if url == URL else None


def check(headers: dict[str, str], body: bytes = BODY, at: Account | None = None, knows=known) -> None:
    verify(delivery(headers, body), at or account(), NOW, knows)


def test_of_10_000_forged_deliveries_none_is_taken():
    chance, good = random.Random(11), signed()
    strangers = [signed(number=1), signed(webhook_id="WEBHOOK_ID"), signed(b"{}")]
    check(good)
    taken = 0
    for _ in range(10_000):
        headers, body = dict(good), bytearray(BODY)
        match chance.randrange(6):
            case 0:
                body[chance.randrange(len(body))] ^= 1 << chance.randrange(7)
            case 1:
                headers = dict(chance.choice(strangers))
            case 2:
                name = chance.choice(list(headers))
                spot = chance.randrange(len(headers[name]))
                other = chance.choice([char for char in "abcXYZ0189-:|/+= \n" if char != headers[name][spot]])
                headers[name] = headers[name][:spot] + other + headers[name][spot + 1 :]
            case 3:
                del headers[chance.choice(list(headers))]
            case 4:
                headers["PAYPAL-TRANSMISSION-SIG"] = base64.b64encode(chance.randbytes(256)).decode()
            case 5:
                headers["PAYPAL-TRANSMISSION-TIME"] = f"2023-11-{chance.randrange(10, 15)}T{chance.randrange(22):02d}:13:21Z"
        try:
            check(headers, bytes(body))
        except Rejected:
            continue
        if headers["PAYPAL-CERT-URL"] == URL:
            taken += 1  # with a certificate at another address at PayPal's it is for the worker to say
    assert taken == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://api.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com.evil.example/v1/notifications/certs/CERT-1",
        "https://api.paypal.com@evil.example/v1/notifications/certs/CERT-1",
        "https://evil.example/v1/notifications/certs/CERT-1",
        "https://evil.example#https://api.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com:8443/v1/notifications/certs/CERT-1",
        "https://apixpaypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com/v1/notifications/certs/../../../evil",
        "https://api.paypal.com/v1/notifications/certs/",
        "https://api.paypal.com/v1/notifications/certs/CERT-1?x=1",
        "https://api.paypal.com/v1/checkout/CERT-1",
        "https://API.PAYPAL.COM/v1/notifications/certs/CERT-1",
        "https://169.254.169.254/v1/notifications/certs/CERT-1",
        "file:///etc/passwd",
    ],
)
def test_a_certificate_is_at_paypals_own_hosts_only(url):
    with pytest.raises(Rejected):
        check(signed(cert_url=url), knows=lambda _: signing.key(0).public_key())


@pytest.mark.parametrize(
    ("environment", "host", "taken"),
    [
        ("live", "api.paypal.com", True),
        ("live", "api-m.paypal.com", True),
        ("live", "api.sandbox.paypal.com", False),
        ("sandbox", "api.sandbox.paypal.com", True),
        ("sandbox", "api-m.sandbox.paypal.com", True),
        ("sandbox", "api-m.paypal.com", False),
    ],
)
def test_money_of_the_sandbox_is_no_money(environment, host, taken):
    headers = signed(cert_url=f"https://{host}/v1/notifications/certs/CERT-1")
    if taken:
        check(headers, at=account(environment=environment))
    else:
        with pytest.raises(Rejected):
            check(headers, at=account(environment=environment))


@pytest.mark.parametrize(("off", "reason"), [(299, None), (-86_400 * 7, None), (301, "clock"), (-86_400 * 9, "replay")])
def test_a_delivery_may_be_as_old_as_the_inbox_remembers(off, reason):
    if reason is None:
        check(signed(at=NOW + off))
        return
    with pytest.raises(Rejected) as caught:
        check(signed(at=NOW + off))
    assert caught.value.reason == reason


def test_before_the_webhook_is_set_nothing_is_taken():
    with pytest.raises(Rejected) as caught:
        check(signed(), at=account(webhook_id=""))
    assert caught.value.reason == "unknown"


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_hostile_headers_are_rejected_and_raise_nothing_else(data):
    headers = {
        name: data.draw(
            st.one_of(
                st.just(value), st.text(max_size=60), st.sampled_from(["", "9999-99-99T99:99:99Z", "0001-01-01T00:00:00Z", "é"])
            )
        )
        for name, value in signed().items()
    }
    body = data.draw(st.binary(max_size=50))
    made = Delivery(body, tuple((name.lower().encode(), value.encode("utf-8", "replace")) for name, value in headers.items()))
    with pytest.raises(Rejected):
        verify(made, account(), NOW, known)


@given(
    body=st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.text(max_size=5) | st.integers(),
            lambda inner: st.dictionaries(
                st.sampled_from(["id", "event_type", "resource", "amount", "value", "custom_id"]), inner, max_size=5
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
        (event,) = parse(body, b'{"headers":{},"body":""}').events
    except Unreadable:
        return
    news(body.decode())
    assert event.conversation == "" or event.kind is Kind.STATUS


def test_what_is_kept_is_what_was_sent_byte_for_byte():
    body = b'{ "id" : "WH-\\u00e9" ,\n"event_type":"X.Y","resource":{"amount":1.0,"t":"\xc3\xa9\\u0000"}}'
    body = body.replace(b"WH-\\u00e9", b"WH-1")
    made = delivery(signed(body), body)
    (event,) = parse(body, msgspec.json.encode(of_delivery(made))).events
    again = msgspec.json.decode(msgspec.json.encode(event), type=Event)
    kept = of_event(again)
    assert kept is not None
    assert kept.body.encode() == body
    kept.check(account(), signing.key(0).public_key())
    assert of_event(Event(Kind.STATUS, "", "k", raw=msgspec.Raw(b'{"headers":{},"body":""}'))) is None
    assert of_event(Event(Kind.STATUS, "", "k", raw=msgspec.Raw(b"[" * 100_000))) is None


@pytest.mark.parametrize("shown", ["", '"status":"PENDING",', '"status":"REFUNDED",'])
def test_the_name_of_an_event_decides_whatever_the_capture_has_become(shown):
    for name, state in (("COMPLETED", PaymentState.PAID), ("PENDING", PaymentState.PENDING), ("DENIED", PaymentState.FAILED)):
        body = BODY.replace(b"COMPLETED", name.encode()).replace(b'"id":"CAP1",', b'"id":"CAP1",' + shown.encode())
        said = news(body.decode())
        assert said is not None
        assert said.state is state


def test_paypals_own_example_is_read():
    asked = json.loads((RECORDED / "verify_webhook_signature.json").read_text())
    headers = {
        "PAYPAL-TRANSMISSION-ID": asked["transmission_id"],
        "PAYPAL-TRANSMISSION-TIME": asked["transmission_time"],
        "PAYPAL-TRANSMISSION-SIG": asked["transmission_sig"],
        "PAYPAL-AUTH-ALGO": asked["auth_algo"],
        "PAYPAL-CERT-URL": signed()["PAYPAL-CERT-URL"],
    }
    body = json.dumps(asked["webhook_event"]).encode()
    kept = of_delivery(delivery(headers, body))
    (event,) = parse(body, msgspec.json.encode(kept)).events
    assert event.message_id == asked["webhook_event"]["id"]


def test_a_signature_has_one_form():
    message = b"1|2|3|4"
    made = base64.b64encode(signing.key(0).sign(message, PKCS1v15(), SHA256()))
    paypal_verify(message=message, signature=made, key=signing.key(0).public_key())
    for other in (made.rstrip(b"="), made + b"=", b" " + made, made + b"\n"):
        with pytest.raises(Rejected):
            paypal_verify(message=message, signature=other, key=signing.key(0).public_key())
