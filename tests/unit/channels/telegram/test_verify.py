"""Only who returns the secret is believed; whatever else comes is `Rejected` and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.channels.telegram import KIND
from botstead.core.errors import Rejected
from botstead.core.messages import Delivery
from botstead.core.ports import Account
from botstead.core.secret import Secret

HEADER = b"x-telegram-bot-api-secret-token"


def account(**secrets: str) -> Account:
    given_secrets = {name: Secret(value) for name, value in (secrets or {"hook_secret": "right"}).items()}
    return Account(id=1, public_id="p", kind="telegram", bot=1, bot_name="b", secrets=given_secrets)


def delivery(*values: bytes) -> Delivery:
    return Delivery(body=b"{}", headers=((b"host", b"x"), *((HEADER, value) for value in values)))


def test_the_secret_opens():
    KIND.verify(delivery(b"right"), account(), 0.0)


@pytest.mark.parametrize("value", [b"new", b"old"])
def test_while_a_secret_is_rotated_both_open(value):
    KIND.verify(delivery(value), account(hook_secret="new", hook_secret_previous="old"), 0.0)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([], "missing"),
        ([b"right", b"right"], "malformed"),
        ([b""], "malformed"),
        ([b"x" * 257], "malformed"),
        ([b"wrong"], "signature"),
        ([b"righ"], "signature"),
        ([b"right "], "signature"),
        (["ríght".encode()], "signature"),
        ([b"\xff\xfe"], "signature"),
    ],
)
def test_everything_else_is_refused_with_a_reason(values, reason):
    with pytest.raises(Rejected) as refused:
        KIND.verify(delivery(*values), account(), 0.0)
    assert refused.value.reason == reason


def test_without_a_secret_nobody_gets_in():
    with pytest.raises(Rejected) as refused:
        KIND.verify(delivery(b"right"), account(token="1:a"), 0.0)
    assert refused.value.reason == "unknown"


@given(st.lists(st.binary(max_size=300), max_size=3), st.binary(max_size=20))
def test_no_other_error_ever(values, body):
    one = Delivery(body=body, headers=tuple((HEADER, value) for value in values))
    if values == [b"right"]:
        return
    with pytest.raises(Rejected):
        KIND.verify(one, account(), 0.0)
