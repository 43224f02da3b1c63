"""Setting up a Stripe account, and amounts as Stripe counts them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.channels.registry import manifest_of
from botstead.core.errors import EgressBroken, EgressResting, Invalid, PaymentRefused
from botstead.core.messages import Outcome, Response
from botstead.core.secret import Secret
from botstead.integrations.stripe.account import SECRETS, SETTINGS, prepare
from botstead.integrations.stripe.amounts import from_stripe, to_stripe
from botstead.integrations.stripe.client import Stripe
from botstead.integrations.stripe.errors import FailureStored, require
from botstead.runtime.egress import EgressClient
from botstead.runtime.outside import Outside
from tests.integration.stripe.shop import play_alone

CURRENCIES = ["EUR", "USD", "JPY", "ISK", "UGX", "MGA", "KWD", "BHD", "HUF", "TWD", "XOF", "KRW"]


@given(amount=st.integers(1, 10**9), currency=st.sampled_from(CURRENCIES))
def test_amounts_go_there_and_back_or_are_refused(amount: int, currency: str):
    try:
        sent = to_stripe(amount, currency)
    except PaymentRefused:
        assert currency in {"MGA", "KWD", "BHD"}
        return
    assert from_stripe(sent, currency) == amount


def test_what_is_set_up_is_trimmed_and_checked():
    made = prepare({"api_base": "http://127.0.0.1:9400/"}, {"key": " rk_test_1\n", "webhook_secret": "whsec_1"})
    assert (made.settings, made.secrets) == (
        {"api_base": "http://127.0.0.1:9400"},
        {"key": "rk_test_1", "webhook_secret": "whsec_1"},
    )
    rolled = prepare({}, {"key": "sk_live_1", "key_previous": "sk_live_0", "webhook_secret_previous": "whsec_0"})
    assert set(rolled.secrets) == {"key", "key_previous", "webhook_secret_previous"}


@pytest.mark.parametrize(
    ("settings", "secrets", "words"),
    [
        ({}, {}, "key is needed"),
        ({}, {"key": "pk_test_1"}, "sk_ or rk_"),
        ({}, {"key": "sk_1", "webhook_secret": "sk_1"}, "whsec_"),
        ({}, {"key": "sk_1", "webhook_secert": "whsec_1"}, "Did you mean webhook_secret"),
        ({"api-base": "x"}, {"key": "sk_1"}, "api_base"),
        ({"api_base": "http://u:p@x"}, {"key": "sk_1"}, "address"),
        ({"api_base": 7}, {"key": "sk_1"}, "text"),
        ({}, {"key": "sk_1\u00e9"}, "cannot be in it"),
    ],
)
def test_a_mistake_is_named_with_the_next_step(settings, secrets, words):
    with pytest.raises(Invalid, match=words):
        prepare(settings, secrets)


@pytest.mark.parametrize(
    ("status", "headers", "error"),
    [
        (500, {}, EgressBroken),
        (500, {"idempotent-replayed": "true"}, FailureStored),
        (409, {}, EgressBroken),
        (429, {"retry-after": "7"}, EgressResting),
        (402, {}, PaymentRefused),
        (401, {}, PaymentRefused),
        (302, {}, PaymentRefused),
    ],
)
def test_an_answer_that_is_no_success_says_what_to_do(status, headers, error):
    body = b'{"error":{"message":"No such key: sk_test_secret","code":"x"}}'
    with pytest.raises(error) as caught:
        require(Response(status=status, headers=headers, body=body), [Secret("sk_test_secret")], now=0.0)
    assert type(caught.value) is error
    assert "sk_test_secret" not in str(caught.value)
    assert caught.value.after == (7.0 if status == 429 else None)


def test_the_manifest_names_what_the_code_takes():
    async def story() -> None:
        egress = EgressClient(allow=[])
        kind = Stripe(Outside(egress))
        manifest = manifest_of(kind)
        assert (manifest.kind, set(manifest.settings), set(manifest.secrets)) == (kind.kind, set(SETTINGS), set(SECRETS))
        assert not any(manifest.actions.values())
        assert (await kind.deliver(None, None, None)).outcome is Outcome.FAILED
        await egress.close()

    play_alone(story)
