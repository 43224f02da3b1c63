"""Setting up a PayPal account, its amounts, and the certificates that are trusted."""

from __future__ import annotations

import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.channels.registry import manifest_of
from botstead.core.errors import EgressBroken, EgressResting, Invalid, PaymentRefused
from botstead.core.messages import Outcome, Response
from botstead.core.secret import Secret
from botstead.integrations.paypal.account import SECRETS, SETTINGS, prepare
from botstead.integrations.paypal.amounts import Amount, to_paypal
from botstead.integrations.paypal.client import PayPal
from botstead.integrations.paypal.errors import Refused, require
from botstead.integrations.paypal.models import ours, refund_key
from botstead.runtime.certificates import Unreadable, leaf_key, trusted
from botstead.runtime.egress import EgressClient
from botstead.runtime.outside import Outside
from tests.doubles import paypal_signing as signing
from tests.doubles.paypal_rules import wrong
from tests.integration.stripe.shop import play_alone

BOTH = {"client_id": "A1", "client_secret": "B2"}
ROOTS = [signing.authority_pem()]


@given(amount=st.integers(1, 10**9), currency=st.sampled_from(["EUR", "USD", "JPY", "HUF", "TWD", "PLN"]))
def test_amounts_go_there_and_back_or_are_refused(amount: int, currency: str):
    try:
        sent = to_paypal(amount, currency)
    except PaymentRefused:
        assert currency in {"HUF", "TWD"}
        assert amount % 100
        return
    assert sent.units == amount
    assert not list(wrong({"currency_code": sent.currency_code, "value": sent.value}, "money", closed=True))
    assert ("." in sent.value) is (currency not in {"JPY", "HUF", "TWD"})


@pytest.mark.parametrize("value", ["", "x", "NaN", "Infinity", "1e999999999", "9" * 400])
def test_an_amount_that_cannot_be_read_is_none(value):
    assert Amount("EUR", value).units == 0


def test_an_order_and_a_refund_share_one_field():
    assert (ours("pay_a-1"), refund_key("pay_a-1")) == ("pay_a-1", "")
    assert (ours("pay_a-1.k-2"), refund_key("pay_a-1.k-2")) == ("pay_a-1", "k-2")
    assert (ours("somebody's"), refund_key("")) == ("", "")


@pytest.mark.parametrize(
    ("settings", "secrets", "words"),
    [
        ({}, {}, "client_id is needed"),
        ({}, {"client_id": "A"}, "client_secret is needed"),
        ({"environment": "test"}, BOTH, "live or sandbox"),
        ({"enviroment": "live"}, BOTH, "Did you mean environment"),
        ({"webhook_id": "a b"}, BOTH, "letters and digits"),
        ({"authority": "x"}, BOTH, "api_base"),
    ],
)
def test_a_mistake_is_named_with_the_next_step(settings, secrets, words):
    with pytest.raises(Invalid, match=words):
        prepare(settings, secrets)


def test_what_is_set_up_is_trimmed():
    made = prepare({"webhook_id": " 8PT1 ", "environment": "sandbox"}, {"client_id": " A1\n", "client_secret": "B2"})
    assert made.settings == {"webhook_id": "8PT1", "environment": "sandbox"}
    assert made.secrets == BOTH
    assert prepare({}, BOTH).settings == {"environment": "live"}


@pytest.mark.parametrize(
    ("status", "error"), [(500, EgressBroken), (409, EgressBroken), (429, EgressResting), (401, PaymentRefused), (422, Refused)]
)
def test_an_answer_that_is_no_success_says_what_to_do(status, error):
    body = b'{"name":"UNPROCESSABLE_ENTITY","debug_id":"f00","details":[{"issue":"X","description":"No."}]}'
    with pytest.raises(error) as caught:
        require(Response(status=status, headers={"retry-after": "7"}, body=body), now=0.0)
    assert type(caught.value) is error
    if isinstance(caught.value, Refused):
        assert (caught.value.issues, "f00" in str(caught.value)) == ({"X"}, True)


@pytest.mark.parametrize(
    ("how", "fine"),
    [
        ({}, True),
        ({"which": "strangers"}, False),
        ({"name": "paypal.com.evil.example"}, False),
        ({"name": "evilpaypal.com"}, False),
        ({"days": -1}, False),
    ],
)
def test_a_certificate_is_of_a_name_below_paypals_and_of_an_authority_that_we_trust(how, fine):
    pem = signing.certificate(**how)
    assert trusted(pem, suffix=".paypal.com", now=time.time(), roots=ROOTS) is fine
    assert not trusted(pem, suffix=".paypal.com", now=time.time())  # the usual authorities know none of these
    assert leaf_key(pem).key_size == 2048


@given(st.binary(max_size=300))
def test_what_is_no_certificate_is_refused(pem):
    for junk in (pem, b"-----BEGIN CERTIFICATE-----\n" + pem + b"\n-----END CERTIFICATE-----\n"):
        assert not trusted(junk, suffix=".paypal.com", now=0.0, roots=ROOTS)
        with pytest.raises(Unreadable):
            leaf_key(junk)


def test_a_chain_is_not_endless():
    with pytest.raises(Unreadable):
        leaf_key(signing.certificate() * 9)


def test_the_manifest_names_what_the_code_takes():
    async def story() -> None:
        egress = EgressClient(allow=[])
        kind = PayPal(Outside(egress))
        manifest = manifest_of(kind)
        assert (manifest.kind, set(manifest.settings), set(manifest.secrets)) == (kind.kind, set(SETTINGS), set(SECRETS))
        assert (await kind.deliver(None, None, None)).outcome is Outcome.FAILED
        await egress.close()

    play_alone(story)


@pytest.mark.parametrize("field", ["message", "name", "debug_id", "details"])
def test_words_that_repeat_what_was_asked_lose_the_secrets(field):
    said = f"{'x' * 200} Authorization: Bearer A21canary/+= and pair"
    told = [{"issue": "X", "description": said}] if field == "details" else said
    body = msgspec.json.encode({"name": "N", "debug_id": "d", field: told})
    with pytest.raises(Refused) as refused:
        require(Response(status=422, body=body), now=0.0, secrets=[Secret("A21canary/+="), Secret("pair")])
    assert "Bearer … and …" in refused.value.message
    assert "canary" not in refused.value.message
