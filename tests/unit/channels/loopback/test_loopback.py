"""The loopback believes only the canary, and never raises anything but a refusal."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.channels.loopback import KIND
from botstead.channels.loopback.health import made
from botstead.channels.loopback.parse import Chirp
from botstead.channels.loopback.render import render
from botstead.core.errors import Invalid, Rejected, Unreadable
from botstead.core.messages import Delivery, Kind, Outcome, Send
from botstead.core.ports import Account, Sending
from botstead.core.secret import Secret

NOW = 1_700_000_000.0
SECRETS = {name: Secret(value) for name, value in made().secrets.items()}
ACCOUNT = Account(id=7, public_id="ch_x", kind="loopback", bot=1, bot_name="canary", secrets=SECRETS)
CHIRP = Chirp(conversation="probe-3", key="probe-3-17", text="probe-3-17")


def delivery(account: Account = ACCOUNT, chirp: Chirp = CHIRP) -> Delivery:
    call = render(chirp, account, base="http://127.0.0.1:1", now=NOW, timeout=5.0)
    return Delivery(call.body, tuple((name.encode(), value.encode()) for name, value in call.headers.items()))


def test_what_it_renders_it_verifies_and_parses():
    found = delivery()
    KIND.verify(found, ACCOUNT, NOW + 10)
    (event,) = KIND.parse(found, ACCOUNT).events
    assert (event.kind, event.conversation, event.key, event.text) == (Kind.MESSAGE, "probe-3", "probe-3-17", "probe-3-17")


def test_nobody_else_is_believed():
    other = msgspec.structs.replace(ACCOUNT, secrets={name: Secret(value) for name, value in made().secrets.items()})
    for account, now in ((other, NOW), (msgspec.structs.replace(ACCOUNT, secrets={}), NOW), (ACCOUNT, NOW + 301)):
        with pytest.raises(Rejected):
            KIND.verify(delivery(), account, now)
    changed = msgspec.structs.replace(delivery(), body=delivery().body.replace(b"17", b"18"))
    with pytest.raises(Rejected):
        KIND.verify(changed, ACCOUNT, NOW)


NAMES = st.sampled_from([b"webhook-id", b"webhook-timestamp", b"webhook-signature"])


@given(st.binary(max_size=200), st.lists(st.tuples(NAMES, st.binary(max_size=80)), max_size=5))
def test_hostile_bytes_are_refused_and_nothing_else(body, headers):
    with pytest.raises(Rejected):
        KIND.verify(Delivery(body, tuple(headers)), ACCOUNT, NOW)
    with pytest.raises(Unreadable):
        KIND.parse(Delivery(body), ACCOUNT)


def test_it_confirms_what_it_is_given():
    receipt = asyncio.run(KIND.deliver(Sending(id=5, conversation="probe-3", action=Send(text="x")), ACCOUNT, None))
    assert (receipt.outcome, receipt.external_id) == (Outcome.SENT, "5")


def test_operators_cannot_make_or_change_one():
    for settings, secrets in (({}, {}), ({"a": 1}, dict(made().secrets)), ({}, {"hook_secret": "x", "more": "y"})):
        with pytest.raises(Invalid, match="belongs to the canary"):
            KIND.prepare(settings, secrets)
    kept = made().secrets
    assert KIND.prepare({}, kept).secrets == kept  # so that it can be renamed or disabled
