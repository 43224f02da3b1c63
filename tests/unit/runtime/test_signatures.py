"""Nobody but the holder of the secret gets past a verifier, and no input makes one raise anything but `Rejected`."""

import base64
import hashlib
import hmac
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from botstead.core.errors import Invalid, Rejected
from botstead.core.secret import Secret
from botstead.runtime.signatures import (
    discord_verify,
    hex_hmac_verify,
    meta_verify,
    paypal_message,
    paypal_verify,
    shared_token_verify,
    slack_verify,
    standard_webhooks_sign,
    standard_webhooks_verify,
    stripe_verify,
)
from tests.doubles import paypal_signing

VECTORS = Path(__file__).parents[3] / "../shared/vectors/signatures.json"
NOW = 1_700_000_000.0
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC_BYTES = PRIVATE.public_key().public_bytes_raw()
PUBLIC = "whpk_" + base64.b64encode(PUBLIC_BYTES).decode()
PRIVATE_TEXT = "whsk_" + base64.b64encode(bytes(range(32)) + PUBLIC_BYTES).decode()

Headers = dict[str, bytes]


def header(vector: dict[str, Any], name: str) -> bytes | None:
    value = vector["headers"].get(name)
    return None if value is None else value.replace("@now", str(int(NOW))).encode()


def body_of(vector: dict[str, Any]) -> bytes:
    body: str = vector["body"]
    return b"\xff" if body == "\\xff" else body.encode()


def secrets_of(vector: dict[str, Any]) -> list[Secret]:
    return [Secret(vector.get("secret", "a secret of the operator"))]


def run_slack(vector: dict[str, Any]) -> None:
    slack_verify(
        body=body_of(vector),
        timestamp=header(vector, "X-Slack-Request-Timestamp"),
        signature=header(vector, "X-Slack-Signature"),
        secrets=secrets_of(vector),
        now=vector.get("now", NOW),
    )


def run_standard(vector: dict[str, Any]) -> None:
    standard_webhooks_verify(
        body=body_of(vector),
        message_id=header(vector, "webhook-id"),
        timestamp=header(vector, "webhook-timestamp"),
        signature=header(vector, "webhook-signature"),
        secrets=[Secret(vector.get("secret", SECRET))],
        now=vector.get("now", NOW),
    )


def run_standard_key(vector: dict[str, Any]) -> None:
    """A published key pair without a published signature: what it signs, it verifies."""
    signature = standard_webhooks_sign(body=b"{}", message_id="m", timestamp=int(NOW), secrets=[Secret(vector["secret_key"])])
    assert signature.startswith("v1a,")
    standard_webhooks_verify(
        body=b"{}",
        message_id=b"m",
        timestamp=b"%d" % NOW,
        signature=signature.encode(),
        secrets=[Secret(vector["public_key"])],
        now=NOW,
    )


def run_hex(vector: dict[str, Any]) -> None:
    hex_hmac_verify(body=body_of(vector), signature=vector["mac"].encode(), secrets=secrets_of(vector))


def run_stripe(vector: dict[str, Any]) -> None:
    secret = vector.get("secret", "whsec_test_secret")
    given, at = header(vector, "Stripe-Signature") if "headers" in vector else b"t=@now,v1=<correct>", int(NOW)
    assert given is not None
    if b"+1000000" in given:
        at += 1_000_000
        given = given.replace(b"%d+1000000" % NOW, b"%d" % at)
    correct = hmac.new(secret.encode(), b"%d." % at + body_of(vector), hashlib.sha256).hexdigest().encode()
    signature = given.replace(b"@now", b"%d" % at).replace(b"<correct>", correct)
    stripe_verify(body=body_of(vector), signature=signature, secrets=[Secret(secret)], now=NOW)


def run_meta(vector: dict[str, Any]) -> None:
    meta_verify(body=body_of(vector), signature=header(vector, "X-Hub-Signature-256"), secrets=secrets_of(vector))


def run_discord(vector: dict[str, Any]) -> None:
    discord_verify(
        body=body_of(vector),
        timestamp=header(vector, "X-Signature-Timestamp"),
        signature=header(vector, "X-Signature-Ed25519"),
        public_keys=[vector["public_key"]],
    )


def run_ed25519(vector: dict[str, Any]) -> None:
    """Discord's scheme is Ed25519 over timestamp and body; the published messages are split between the two."""
    message = bytes.fromhex(vector["message_hex"])
    if not message:
        pytest.skip("the empty message cannot hold a timestamp, and every scheme here demands one")
    discord_verify(
        body=message[1:], timestamp=message[:1], signature=vector["signature"].encode(), public_keys=[vector["public_key"]]
    )


def run_paypal(vector: dict[str, Any]) -> None:
    """The certificate of the published vector is gone, so what it signed is compared, and a key of ours signs it."""
    message = paypal_message(
        body=body_of(vector),
        transmission_id=header(vector, "PAYPAL-TRANSMISSION-ID") or b"",
        timestamp=header(vector, "PAYPAL-TRANSMISSION-TIME") or b"",
        webhook_id=vector["webhook_id"].encode(),
    )
    assert message.decode() == vector["expect_message"]
    signature = base64.b64encode(paypal_signing.key(0).sign(message, PKCS1v15(), SHA256()))
    paypal_verify(message=message, signature=signature, key=paypal_signing.key(0).public_key())
    for wrong in (signature, header(vector, "PAYPAL-TRANSMISSION-SIG")):
        with pytest.raises(Rejected):
            paypal_verify(message=message, signature=wrong, key=paypal_signing.key(1).public_key())


SCHEMES: dict[str, Callable[[dict[str, Any]], None]] = {
    "slack-v0": run_slack,
    "standard-webhooks": run_standard,
    "standard-webhooks-ed25519-key": run_standard_key,
    "hmac-sha256-hex": run_hex,
    "stripe-v1": run_stripe,
    "meta-hub-sha256": run_meta,
    "discord-ed25519": run_discord,
    "ed25519": run_ed25519,
    "paypal-rsa-crc32": run_paypal,
}
NOT_SPOKEN = {
    "twilio-sha1-form": "there is no Twilio channel",
    "twilio-sha1-json": "there is no Twilio channel",
    "telegram-webapp-initdata": "Telegram mini apps are not served",
}


def vectors() -> list[Any]:
    if not VECTORS.exists():
        return [pytest.param(None, marks=pytest.mark.skip(reason="the shared signature vectors are not here"))]
    return [pytest.param(vector, id=vector["id"]) for vector in json.loads(VECTORS.read_text())["vectors"]]


@pytest.mark.parametrize("vector", vectors())
def test_a_published_vector_gets_the_published_verdict(vector: dict[str, Any]) -> None:
    if vector["scheme"] in NOT_SPOKEN:
        pytest.skip(NOT_SPOKEN[vector["scheme"]])
    run = SCHEMES[vector["scheme"]]
    if vector.get("expect", "valid") == "valid":
        run(vector)
    else:
        with pytest.raises(Rejected):
            run(vector)


def standard(body: bytes, headers: Headers, secrets: list[str] | None = None, now: float = NOW) -> None:
    standard_webhooks_verify(
        body=body,
        message_id=headers.get("id"),
        timestamp=headers.get("timestamp"),
        signature=headers.get("signature"),
        secrets=[Secret(secret) for secret in secrets or [SECRET]],
        now=now,
    )


def signed(body: bytes, *, secrets: list[str] | None = None, at: float = NOW, message_id: str = "msg_1") -> Headers:
    signature = standard_webhooks_sign(
        body=body, message_id=message_id, timestamp=int(at), secrets=[Secret(secret) for secret in secrets or [SECRET]]
    )
    return {"id": message_id.encode(), "timestamp": b"%d" % at, "signature": signature.encode()}


def slack(body: bytes, headers: Headers) -> None:
    slack_verify(
        body=body,
        timestamp=headers.get("timestamp"),
        signature=headers.get("signature"),
        secrets=[Secret("slack")],
        now=NOW,
    )


def stripe(body: bytes, headers: Headers) -> None:
    stripe_verify(body=body, signature=headers.get("signature"), secrets=[Secret("stripe")], now=NOW)


def meta(body: bytes, headers: Headers) -> None:
    meta_verify(body=body, signature=headers.get("signature"), secrets=[Secret("meta")])


def token(body: bytes, headers: Headers) -> None:
    shared_token_verify(headers.get("signature"), [Secret("the-telegram-token")])


def discord(body: bytes, headers: Headers) -> None:
    discord_verify(
        body=body,
        timestamp=headers.get("timestamp"),
        signature=headers.get("signature"),
        public_keys=[PUBLIC_BYTES.hex()],
    )


def digest(key: str, content: bytes) -> bytes:
    return hmac.new(key.encode(), content, hashlib.sha256).hexdigest().encode()


def paypal_signed(body: bytes, key: int) -> Headers:
    headers = {"id": b"a-b-c", "timestamp": b"2023-11-14T22:13:20Z"}
    made = paypal_signing.key(key).sign(paypal_text(body, headers), PKCS1v15(), SHA256())
    return headers | {"signature": base64.b64encode(made)}


def genuine(name: str, body: bytes, secret: str | None = None, at: float = NOW) -> Headers:
    """What the provider itself would send."""
    stamp = b"%d" % at
    if name == "standard":
        return signed(body, at=at, secrets=[secret] if secret else None)
    if name == "slack":
        return {"timestamp": stamp, "signature": b"v0=" + digest(secret or "slack", b"v0:%b:%b" % (stamp, body))}
    if name == "stripe":
        return {"signature": b"t=%b,v1=%b" % (stamp, digest(secret or "stripe", b"%b.%b" % (stamp, body)))}
    if name in ("meta", "token"):
        return {
            "signature": b"sha256=" + digest(secret or "meta", body)
            if name == "meta"
            else (secret or "the-telegram-token").encode()
        }
    if name == "paypal":
        return paypal_signed(body, 0 if secret is None else 1)
    key = PRIVATE if secret is None else Ed25519PrivateKey.from_private_bytes(hashlib.sha256(secret.encode()).digest())
    return {"timestamp": stamp, "signature": key.sign(stamp + body).hex().encode()}


def paypal(body: bytes, headers: Headers) -> None:
    paypal_verify(message=paypal_text(body, headers), signature=headers.get("signature"), key=paypal_signing.key(0).public_key())


def paypal_text(body: bytes, headers: Headers) -> bytes:
    return paypal_message(
        body=body, transmission_id=headers.get("id", b""), timestamp=headers.get("timestamp", b""), webhook_id=b"WH1"
    )


VERIFIERS: dict[str, Callable[[bytes, Headers], None]] = {
    "standard": standard,
    "slack": slack,
    "stripe": stripe,
    "meta": meta,
    "token": token,
    "discord": discord,
    "paypal": paypal,
}
WRONG_SECRETS = {"standard": "whsec_" + base64.b64encode(bytes(32)).decode()}


@pytest.mark.parametrize("name", VERIFIERS)
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_arbitrary_bytes_are_rejected_and_nothing_else_is_raised(name: str, data: st.DataObject) -> None:
    headers = {
        part: data.draw(st.one_of(st.binary(max_size=80), st.sampled_from([b"%d" % NOW, b"v1,", b"v1a,AA", b"v0=", b"t=,v1="])))
        for part in ("id", "timestamp", "signature")
    }
    with pytest.raises(Rejected):
        VERIFIERS[name](data.draw(st.binary(max_size=200)), headers)


def forgeries(name: str, chance: random.Random) -> tuple[bytes, Headers]:
    """A genuine request with one thing wrong: each is a forgery that has worked on somebody."""
    body = json.dumps({"n": chance.random(), "text": "hi"}).encode()
    headers = genuine(name, body)
    signature = headers["signature"]
    kind = chance.randrange(9)
    if kind == 0:
        del headers["signature"]
    elif kind == 1:
        headers["signature"] = b""
    elif kind == 2:
        headers = genuine(name, body, WRONG_SECRETS.get(name, "another bot's secret"))
    elif kind == 3:
        headers["signature"] = signature[: chance.randrange(len(signature))]
    elif kind == 4:
        spot = chance.randrange(len(body))
        body = body[:spot] + bytes([body[spot] ^ (1 << chance.randrange(8))]) + body[spot + 1 :]
    elif kind == 5:
        body = json.dumps(json.loads(body), indent=1).encode()
    elif kind == 6:
        headers["signature"] = signature.upper()
    elif kind == 7:
        headers = {part: value.translate(bytes.maketrans(b"0123456789", b"1234567890")) for part, value in headers.items()}
    else:
        headers["signature"] = signature.replace(b"v1", b"v2").replace(b"v0", b"v1").replace(b"sha256", b"sha1") + b"\n"
    return body, headers


def test_none_of_10_000_forged_requests_is_accepted() -> None:
    chance, refused, accepted = random.Random(7), 0, []
    while refused + len(accepted) < 10_000:
        name = chance.choice(list(VERIFIERS))
        body, headers = forgeries(name, chance)
        if name == "token" and headers == genuine(name, body):
            continue  # a shared token says nothing of the body
        try:
            VERIFIERS[name](body, headers)
        except Rejected:
            refused += 1
        else:
            accepted.append((name, body, headers))
    assert accepted == []


@pytest.mark.parametrize("name", VERIFIERS)
def test_what_the_provider_signs_is_accepted(name: str) -> None:
    for body in (b"", b"{}", b"\xff\x00 not text", b"x" * 100_000):
        VERIFIERS[name](body, genuine(name, body))


@pytest.mark.parametrize("name", ["standard", "slack", "stripe"])
@pytest.mark.parametrize(("age", "reason"), [(301, "replay"), (-301, "clock"), (299, None), (-299, None)])
def test_a_timestamp_may_be_five_minutes_off(name: str, age: int, reason: str | None) -> None:
    headers = genuine(name, b"{}", at=NOW - age)
    if reason is None:
        VERIFIERS[name](b"{}", headers)
    else:
        with pytest.raises(Rejected) as refused:
            VERIFIERS[name](b"{}", headers)
        assert refused.value.reason == reason


@pytest.mark.parametrize("stamp", [b"", b"abc", b"-1", b"1e9", "１７００００００００".encode(), b" 1700000000", b"9" * 400])
def test_a_timestamp_is_ascii_digits(stamp: bytes) -> None:
    for name in ("standard", "slack"):
        with pytest.raises(Rejected):
            VERIFIERS[name](b"{}", genuine(name, b"{}") | {"timestamp": stamp})


def test_both_secrets_are_valid_during_a_rotation() -> None:
    old, new = SECRET, "whsec_" + base64.b64encode(bytes(range(24))).decode()
    for signer in (old, new):
        standard(b"{}", signed(b"{}", secrets=[signer]), [new, old])
    both = signed(b"{}", secrets=[new, old])
    for only in (old, new):
        standard(b"{}", both, [only])
    for given_token in (b"first", b"second"):
        shared_token_verify(given_token, [Secret("first"), Secret("second")])


def test_a_secret_may_lack_prefix_and_padding() -> None:
    bare = SECRET.removeprefix("whsec_").rstrip("=")
    standard(b"{}", signed(b"{}"), [bare])


def test_an_ed25519_signature_is_accepted_beside_an_hmac() -> None:
    headers = signed(b"{}", secrets=[SECRET, PRIVATE_TEXT])
    standard(b"{}", headers, [PUBLIC])
    standard(b"{}", headers, [SECRET])
    with pytest.raises(Rejected):
        standard(b"{} ", headers, [PUBLIC])


@pytest.mark.parametrize("secrets", [[], [""], ["whsec_"], ["whsec_c2hvcnQ="], ["whpk_AAAA"], ["whsec_é"], ["\ud800"]])
def test_without_a_usable_secret_nobody_gets_in(secrets: list[str]) -> None:
    empty_key = base64.b64encode(hmac.new(b"", b"msg_1.%d.{}" % NOW, hashlib.sha256).digest())
    with pytest.raises(Rejected):
        standard_webhooks_verify(
            body=b"{}",
            message_id=b"msg_1",
            timestamp=b"%d" % NOW,
            signature=b"v1," + empty_key,
            secrets=[Secret(secret) for secret in secrets],
            now=NOW,
        )


def test_an_empty_token_matches_nothing() -> None:
    for absent in (b"", None):
        with pytest.raises(Rejected) as refused:
            shared_token_verify(absent, [Secret("")])
        assert refused.value.reason == "missing"


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "whsk_AAAA", PUBLIC, "whsec_not base64!"])
def test_signing_with_an_unusable_secret_says_so(secret: str) -> None:
    with pytest.raises(Invalid):
        signed(b"{}", secrets=[secret])


def test_an_id_with_a_dot_cannot_be_signed() -> None:
    with pytest.raises(Invalid):
        signed(b"{}", message_id="a.b")


@given(body=st.text(max_size=200), message_id=st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True))
@settings(max_examples=100, deadline=None)
def test_the_reference_library_agrees(body: str, message_id: str) -> None:
    now = datetime.now(UTC)
    oracle = Webhook(SECRET)
    theirs = {"id": message_id.encode(), "timestamp": b"%d" % now.timestamp()}
    theirs["signature"] = oracle.sign(message_id, now, body).encode()
    standard(body.encode(), theirs, now=now.timestamp())
    ours = signed(body.encode(), at=now.timestamp(), message_id=message_id)
    assert ours["signature"] == theirs["signature"]


@given(entries=st.lists(st.sampled_from(["v1,AAAA", "v1", "v2,x", ",", "v1a,%%", "GOOD"]), max_size=24))
@settings(max_examples=60, deadline=None)
def test_one_good_signature_in_a_list_is_enough_within_the_first_sixteen(entries: list[str]) -> None:
    good = signed(b"{}")
    headers = good | {"signature": " ".join(entries).encode().replace(b"GOOD", good["signature"])}
    if "GOOD" in entries[:16]:
        standard(b"{}", headers)
    else:
        with pytest.raises(Rejected):
            standard(b"{}", headers)


def test_a_generic_hmac_takes_another_hash_and_prefix() -> None:
    mac = hmac.new(b"key", b"body", hashlib.sha512).hexdigest()
    hex_hmac_verify(body=b"body", signature=b"sig=" + mac.encode(), secrets=[Secret("key")], prefix=b"sig=", algorithm="sha512")
    with pytest.raises(Rejected):
        hex_hmac_verify(body=b"body", signature=mac.encode(), secrets=[Secret("key")], prefix=b"sig=", algorithm="sha512")
