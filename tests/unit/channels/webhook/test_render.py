"""What goes out is what the protocol says, and checks with the official library."""

from __future__ import annotations

import base64
import json
import tomllib
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook as Official

import botstead.channels.webhook as package
from botstead.channels.webhook.api import judge, judge_error
from botstead.channels.webhook.render import TYPES, render
from botstead.core.errors import EgressBroken, EgressRefused, EgressTimeout, EgressUnsent
from botstead.core.messages import (
    Action,
    AnswerButton,
    Attachment,
    Button,
    Delete,
    Edit,
    Outcome,
    Pay,
    Reason,
    Refund,
    Response,
    Send,
    Typing,
)
from botstead.core.ports import Account, Sending
from botstead.core.secret import Secret
from botstead.runtime.signatures import standard_webhooks_sign

KEY = "whsec_" + base64.b64encode(b"k" * 32).decode()
ACCOUNT = Account(id=1, public_id="p", kind="webhook", bot=1, bot_name="shop", settings={"url": "https://example.org/replies"})
NOW = 1_800_000_000.9
SIGN = partial(standard_webhooks_sign, secrets=[Secret(KEY)])


def rendered(action: Action):
    call = render(Sending(id=77, conversation="abc", action=action), ACCOUNT, now=NOW, sign=SIGN)
    return call, json.loads(call.body)


def test_a_message_with_everything():
    action = Send(
        "**hi**",
        buttons=((Button("Yes", value="y"), Button("No")), (Button("More", url="https://example.org"),)),
        attachments=(Attachment(kind="image", url="https://example.org/a.png"),),
        reply_to="msg_1",
    )
    call, body = rendered(action)
    assert (call.method, call.url) == ("POST", "https://example.org/replies")
    assert body == {
        "type": "message.created",
        "timestamp": "2027-01-15T08:00:00Z",
        "data": {
            "id": "77",
            "conversation": "abc",
            "bot": "shop",
            "text": "**hi**",
            "buttons": [
                [{"label": "Yes", "value": "y"}, {"label": "No", "value": "No"}],
                [{"label": "More", "url": "https://example.org"}],
            ],
            "attachments": [{"kind": "image", "url": "https://example.org/a.png"}],
            "reply_to": "msg_1",
        },
    }
    assert {name: call.headers[name] for name in ("webhook-id", "webhook-timestamp")} == {
        "webhook-id": "77",
        "webhook-timestamp": "1800000000",
    }


@pytest.mark.parametrize(
    ("action", "kind", "fields"),
    [
        (Edit("m1", "new", plain=True), "message.edited", {"target": "m1", "text": "new", "plain": True}),
        (Delete("m1"), "message.deleted", {"target": "m1"}),
        (Typing(), "typing.started", {}),
        (AnswerButton("p1", "ok"), "button.answered", {"press": "p1", "text": "ok"}),
    ],
)
def test_every_other_action(action, kind, fields):
    _, body = rendered(action)
    assert body["type"] == kind
    assert body["data"] == {"id": "77", "conversation": "abc", "bot": "shop", **fields}


def test_no_action_is_forgotten():
    assert set(TYPES) == set(Action.__args__) - {Pay, Refund}  # those become a message before a channel sees them


@given(text=st.text(), conversation=st.text(), number=st.integers(1, 2**63 - 1))
def test_what_we_sign_the_official_library_accepts(text, conversation, number):
    call = render(Sending(id=number, conversation=conversation, action=Send(text)), ACCOUNT, now=_now(), sign=SIGN)
    body = Official(KEY).verify(call.body, dict(call.headers))
    assert body["data"]["conversation"] == conversation
    assert body["data"].get("text", "") == text


def _now() -> float:
    import time

    return time.time()


@pytest.mark.parametrize(
    ("status", "header", "outcome", "reason", "after", "counted"),
    [
        (200, None, Outcome.SENT, Reason.NONE, None, True),
        (204, None, Outcome.SENT, Reason.NONE, None, True),
        (302, None, Outcome.FAILED, Reason.INVALID, None, True),
        (400, None, Outcome.FAILED, Reason.INVALID, None, True),
        (401, None, Outcome.FAILED, Reason.REVOKED, None, True),
        (404, "9", Outcome.FAILED, Reason.INVALID, None, True),
        (408, None, Outcome.LATER, Reason.UNAVAILABLE, None, True),
        (410, None, Outcome.FAILED, Reason.GONE, None, True),
        (429, "7", Outcome.LATER, Reason.THROTTLED, 7.0, False),
        (429, "soon", Outcome.LATER, Reason.THROTTLED, None, False),
        (500, None, Outcome.LATER, Reason.UNAVAILABLE, None, True),
        (502, None, Outcome.LATER, Reason.UNAVAILABLE, None, True),
        (503, "Fri, 15 Jan 2027 08:01:00 GMT", Outcome.LATER, Reason.UNAVAILABLE, 59.1, True),
        (504, "0", Outcome.LATER, Reason.UNAVAILABLE, 0.0, True),
    ],
)
def test_what_an_answer_means(  # noqa: PLR0917  one column of the table each
    status, header, outcome, reason, after, counted
):
    headers = {"retry-after": header} if header else {}
    receipt = judge(Response(status=status, headers=headers), Sending(id=77, conversation="abc", action=Send("x")), now=NOW)
    assert (receipt.outcome, receipt.reason, receipt.counted) == (outcome, reason, counted)
    assert receipt.after == (pytest.approx(after) if after is not None else None)


@pytest.mark.parametrize(
    ("body", "external"),
    [
        (b'{"id":"m9"}', "m9"),
        (b'{"id":9}', "9"),
        (b"", "77"),
        (b"OK", "77"),
        (b"\xff", "77"),
        (b'{"id":null}', "77"),
        (b'{"id":"' + b"x" * 201 + b'"}', "77"),
        (b'{"id":"a\\nb"}', "77"),
        (b"[" * 9_999, "77"),
    ],
)
def test_a_receiver_may_name_the_message(body, external):
    receipt = judge(Response(status=200, body=body), Sending(id=77, conversation="abc", action=Send("x")), now=NOW)
    assert (receipt.outcome, receipt.external_id) == (Outcome.SENT, external)


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        (EgressTimeout(), Outcome.UNKNOWN, Reason.TIMEOUT),
        (EgressBroken(), Outcome.UNKNOWN, Reason.UNAVAILABLE),
        (EgressUnsent(), Outcome.LATER, Reason.UNAVAILABLE),
        (EgressRefused(), Outcome.FAILED, Reason.REFUSED),
    ],
)
def test_what_silence_means(error, outcome, reason):
    receipt = judge_error(error)
    assert (receipt.outcome, receipt.reason) == (outcome, reason)


def test_the_manifest_says_what_the_code_does():
    folder = Path(package.__file__).parent
    manifest = tomllib.loads((folder / "manifest.toml").read_text())
    assert manifest["kind"] == package.KIND.kind
    assert set(manifest["actions"]) == {action.__struct_config__.tag for action in TYPES}
    for rule, state in tomllib.loads((folder / "quality.toml").read_text()).items():
        assert state in ("done", "todo") or state["why"], rule
