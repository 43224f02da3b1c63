"""Forged, replayed and malformed deliveries: none gets in, and each is a `Rejected`."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook as Official

from botstead.channels.webhook import KIND
from botstead.core.errors import Rejected
from botstead.core.messages import Delivery
from botstead.core.ports import Account
from botstead.core.secret import Secret

NOW = 1_800_000_000
KEY = "whsec_" + base64.b64encode(b"k" * 32).decode()
OLD = "whsec_" + base64.b64encode(b"o" * 32).decode()
OTHER = "whsec_" + base64.b64encode(b"x" * 32).decode()
BODY = b'{"conversation":"abc","text":"hi"}'


def account(**secrets: str) -> Account:
    return Account(
        id=1, public_id="p", kind="webhook", bot=1, bot_name="b", secrets={name: Secret(value) for name, value in secrets.items()}
    )


ACCOUNT = account(hook_secret=KEY, hook_secret_previous=OLD)


def delivery(body: bytes = BODY, *, key: str = KEY, at: int = NOW, name: str = "msg_1") -> Delivery:
    signature = Official(key).sign(name, datetime.fromtimestamp(at, UTC), body.decode())
    return signed(body, name.encode(), str(at).encode(), signature.encode())


def signed(body: bytes, name: bytes, at: bytes, signature: bytes) -> Delivery:
    return Delivery(body=body, headers=((b"webhook-id", name), (b"webhook-timestamp", at), (b"webhook-signature", signature)))


def accepted(given: Delivery, to: Account = ACCOUNT, now: float = NOW) -> bool:
    try:
        KIND.verify(given, to, now)
    except Rejected:
        return False
    return True


@pytest.mark.parametrize("key", [KEY, OLD])
def test_both_secrets_of_a_rotation_are_accepted(key):
    assert accepted(delivery(key=key))


@pytest.mark.parametrize(("age", "expected"), [(0, True), (299, True), (-299, True), (301, False), (-301, False)])
def test_the_window_is_five_minutes_to_either_side(age, expected):
    assert accepted(delivery(at=NOW - age)) is expected


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (delivery(key=OTHER), "signature"),
        (signed(BODY + b" ", *[value for _, value in delivery().headers]), "signature"),
        (signed(BODY, b"msg_2", *[value for _, value in delivery().headers][1:]), "signature"),
        (Delivery(body=BODY), "missing"),
        (Delivery(body=BODY, headers=delivery().headers * 2), "missing"),
        (delivery(name="m" * 257), "malformed"),
        (signed(BODY, b"a b", b"1", b"v1,x"), "malformed"),
        (signed(BODY, b"\xff", b"1", b"v1,x"), "malformed"),
        (delivery(at=NOW - 301), "replay"),
        (delivery(at=NOW + 301), "clock"),
    ],
)
def test_each_refusal_is_counted_under_its_reason(changed, reason):
    with pytest.raises(Rejected) as caught:
        KIND.verify(changed, ACCOUNT, NOW)
    assert caught.value.reason == reason


@pytest.mark.parametrize("secrets", [{}, {"hook_secret": ""}, {"hook_secret": "whsec_"}, {"send_secret": KEY}])
def test_an_installation_without_a_secret_accepts_nobody(secrets):
    empty = base64.b64encode(hmac.digest(b"", b"msg_1.%d.%b" % (NOW, BODY), hashlib.sha256)).decode()
    assert not accepted(signed(BODY, b"msg_1", str(NOW).encode(), f"v1,{empty}".encode()), account(**secrets))
    assert not accepted(delivery(), account(**secrets))


def forgeries(chance: random.Random):
    """Deliveries that are almost right: one part of a valid one changed, in every way that attackers try."""
    body, name, at = BODY, b"msg_1", str(NOW).encode()
    right = dict(delivery().headers)[b"webhook-signature"]
    changes = [
        lambda: (_flipped(body, chance), name, at, right),
        lambda: (body, name, at, b"v1," + _flipped(right[3:], chance)),
        lambda: (body, _flipped(name, chance), at, right),
        lambda: (body, name, str(NOW + chance.choice([*range(-99, 0), *range(1, 100)])).encode(), right),
        lambda: (body, name, at, right[: chance.randrange(len(right) - 1)]),
        lambda: (
            body,
            name,
            at,
            chance.choice([b"", b"v1", b"v1,", b"v1a,", b"v2,", b"v1, ", b",", b" "])
            + chance.randbytes(chance.randrange(40)).replace(b" ", b""),
        ),
        lambda: (body, name, at, b"v1a" + right[2:]),
        lambda: (body, name, at, Official(OTHER).sign("msg_1", datetime.fromtimestamp(NOW, UTC), body.decode()).encode()),
        lambda: (chance.randbytes(chance.randrange(50)), name, at, right),
        lambda: (body + at, name, at, right),
        lambda: (body, name, "١٢٣".encode(), right),
        lambda: (body, name + b"." + at, at, right),
    ]
    while True:
        yield signed(*chance.choice(changes)())


def _flipped(text: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(text))
    return text[:at] + bytes([text[at] ^ (1 << chance.randrange(8))]) + text[at + 1 :]


def test_of_ten_thousand_forgeries_none_is_accepted():
    right = dict(delivery().headers)
    tries = 0
    for forged in forgeries(random.Random(7)):
        given = dict(forged.headers)
        if given == right and forged.body == BODY:
            continue
        if (
            base64_of(given[b"webhook-signature"]) == base64_of(right[b"webhook-signature"])
            and forged.body == BODY
            and given[b"webhook-id"] == b"msg_1"
            and given[b"webhook-timestamp"] == str(NOW).encode()
        ):
            continue
        assert not accepted(forged), forged
        tries += 1
        if tries == 10_000:
            break


def base64_of(signature: bytes) -> bytes:
    """What the signature says, whatever its spelling: the last character of base64 has bits that mean nothing."""
    try:
        return base64.b64decode(signature.removeprefix(b"v1,"))
    except ValueError:
        return signature


@given(
    body=st.binary(max_size=64),
    headers=st.lists(
        st.tuples(st.sampled_from([b"webhook-id", b"webhook-timestamp", b"webhook-signature", b"x"]), st.binary(max_size=64)),
        max_size=5,
    ),
    now=st.floats(0, 4e9),
)
def test_only_rejected_escapes(body, headers, now):
    assert not accepted(Delivery(body=body, headers=tuple(headers)), now=now)
