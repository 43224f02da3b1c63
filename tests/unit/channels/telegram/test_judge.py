"""What an answer of Telegram, or its absence, means for a message."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.channels.telegram.api import judge, judge_error, unformattable
from botstead.core.errors import EgressBroken, EgressRefused, EgressTimeout, EgressUnsent
from botstead.core.messages import Outcome, Reason, Receipt, Response
from botstead.core.secret import Secret


def answer(status: int, description: str = "", *, headers=None, **parameters: object) -> Response:
    body = {"ok": False, "error_code": status, "description": description}
    if parameters:
        body["parameters"] = parameters
    return Response(status=status, headers=headers or {}, body=json.dumps(body).encode())


def ok(result: object) -> Response:
    return Response(status=200, body=json.dumps({"ok": True, "result": result}).encode())


@pytest.mark.parametrize(("result", "external_id"), [({"message_id": 5, "date": 1}, "5"), (True, ""), ([{"message_id": 5}], "")])
def test_success(result, external_id):
    assert judge(ok(result)) == Receipt(outcome=Outcome.SENT, external_id=external_id)


@pytest.mark.parametrize(
    ("response", "after"),
    [
        (answer(429, "Too Many Requests: retry after 3", retry_after=3), 3.0),
        (answer(429, "Too Many Requests", retry_after=0.5), 0.5),
        (answer(429, "Too Many Requests", headers={"retry-after": "7"}), 7.0),
        (answer(429, "Too Many Requests", headers={"retry-after": "soon"}), None),
        (answer(420, "FLOOD_WAIT", retry_after=9), 9.0),
    ],
)
def test_throttling_is_obeyed_exactly_and_does_not_count(response, after):
    receipt = judge(response)
    assert (receipt.outcome, receipt.reason, receipt.after, receipt.counted) == (Outcome.LATER, Reason.THROTTLED, after, False)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (403, "Forbidden: bot was blocked by the user"),
        (403, "Forbidden: user is deactivated"),
        (403, "Forbidden: bot was kicked from the supergroup chat"),
        (403, "Forbidden: bot is not a member of the channel chat"),
        (403, "Forbidden: the group chat was deleted"),
        (400, "Bad Request: chat not found"),
        (400, "Bad Request: CHAT NOT FOUND"),
        (400, "Bad Request: PEER_ID_INVALID"),
        (400, "Bad Request: message thread not found"),
    ],
)
def test_the_recipient_is_gone(status, words):
    receipt = judge(answer(status, words))
    assert (receipt.outcome, receipt.reason, receipt.detail) == (Outcome.FAILED, Reason.GONE, words)


def test_the_group_moved():
    receipt = judge(answer(400, "Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=-1001234567890))
    assert (receipt.outcome, receipt.reason, receipt.moved_to, receipt.after) == (
        Outcome.LATER,
        Reason.MOVED,
        "-1001234567890",
        0.0,
    )


@pytest.mark.parametrize("words", ["Bad Request: message is not modified: same", "Bad Request: message to delete not found"])
def test_what_is_so_already_is_done(words):
    assert judge(answer(400, words)).outcome is Outcome.SENT


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "Bad Request: query is too old and response timeout expired or query ID is invalid"),
        (400, "Bad Request: message is too long"),
        (413, "Request Entity Too Large"),
    ],
)
def test_what_never_will_be_taken(status, words):
    receipt = judge(answer(status, words))
    assert (receipt.outcome, receipt.reason) == (Outcome.FAILED, Reason.INVALID)


@pytest.mark.parametrize("response", [answer(401, "Unauthorized"), answer(404, "Not Found"), Response(status=404, body=b"")])
def test_the_token_is_revoked(response):
    receipt = judge(response)
    assert (receipt.outcome, receipt.reason) == (Outcome.FAILED, Reason.REVOKED)
    assert "BotFather" in receipt.detail


@pytest.mark.parametrize(
    "response", [answer(500, "Internal"), answer(502, "Bad Gateway"), answer(409, "Conflict"), Response(status=503)]
)
def test_telegram_is_away(response):
    receipt = judge(response)
    assert (receipt.outcome, receipt.reason, receipt.counted) == (Outcome.LATER, Reason.UNAVAILABLE, True)


@pytest.mark.parametrize(
    ("status", "outcome"), [(200, Outcome.UNKNOWN), (403, Outcome.LATER), (302, Outcome.LATER), (502, Outcome.LATER)]
)
def test_somebody_else_answered(status, outcome):
    assert judge(Response(status=status, body=b"<html>proxy</html>")).outcome is outcome


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        (EgressTimeout(), Outcome.UNKNOWN, Reason.TIMEOUT),
        (EgressBroken(), Outcome.UNKNOWN, Reason.UNAVAILABLE),
        (EgressUnsent(), Outcome.LATER, Reason.UNAVAILABLE),
        (EgressRefused(), Outcome.FAILED, Reason.REFUSED),
    ],
)
def test_no_answer(error, outcome, reason):
    receipt = judge_error(error)
    assert (receipt.outcome, receipt.reason) == (outcome, reason)


def test_only_formatting_is_refused():
    assert unformattable(answer(400, "Bad Request: can't parse entities: Unsupported start tag"))
    assert not unformattable(answer(400, "Bad Request: message is too long"))
    assert not unformattable(Response(status=400, body=b"can't parse entities"))


@pytest.mark.parametrize("status", [400, 403, 429, 500])
def test_an_answer_that_repeats_the_address_does_not_bring_the_token_in(status):
    """Neither whole, nor as the part of it that the limit leaves."""
    token = "123456:" + "Aa1-" * 10
    for before in ("", "x" * 280):
        receipt = judge(answer(status, f"{before} /bot{token}/sendMessage"), [Secret("other"), Secret(token)])
        assert "Aa1" not in receipt.detail
        assert "/bot…" in receipt.detail


def test_words_are_kept_short():
    assert len(judge(answer(400, "x" * 5000)).detail) == 300


@given(st.integers(100, 599), st.binary(max_size=80), st.dictionaries(st.just("retry-after"), st.text(max_size=5)))
def test_any_answer_gets_a_receipt(status, body, headers):
    for each in (
        body,
        b'{"ok":false,"description":"' + body + b'","parameters":{"retry_after":1e9}}',
        b'{"ok":true,"result":' + body + b"}",
    ):
        assert judge(Response(status=status, headers=headers, body=each)).outcome in Outcome
