"""Slack's answers and what they mean; whatever comes, one of our errors or a post."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.core.messages import Response
from botstead.integrations.slack.errors import (
    SlackChannelUnknown,
    SlackError,
    SlackInvalid,
    SlackKeyRefused,
    SlackThrottled,
    SlackUnavailable,
)
from botstead.integrations.slack.models import LONGEST_TEXT, Posted, Webhook, body, escaped, read, webhook

RECORDED = Path(__file__).parent / "recorded" / "slack"


def answer(body: bytes, status: int = 200) -> Response:
    return Response(status=status, body=body)


def test_the_documented_answer_is_a_post():
    assert read(answer((RECORDED / "posted.json").read_bytes()), after=None) == Posted(
        channel="C123ABC456", ts="1503435956.000247"
    )
    assert read(answer(b"ok"), after=None) == Posted()


@pytest.mark.parametrize(
    ("raw", "status", "kind"),
    [
        ((RECORDED / "too_many_attachments.json").read_bytes(), 200, SlackInvalid),
        ((RECORDED / "missing_scope.json").read_bytes(), 200, SlackKeyRefused),
        (b'{"ok":false,"error":"ratelimited"}', 429, SlackThrottled),
        (b"", 429, SlackThrottled),
        (b'{"ok":false,"error":"fatal_error"}', 200, SlackUnavailable),
        (b"<html>", 503, SlackUnavailable),
        (b"<html>", 200, SlackUnavailable),
        (b'{"ok":true}', 500, SlackUnavailable),
        (b"invalid_payload", 400, SlackInvalid),
        (b"action_prohibited", 403, SlackKeyRefused),
        (b"channel_not_found", 404, SlackChannelUnknown),
        (b"channel_is_archived", 410, SlackChannelUnknown),
        (b"moved", 302, SlackInvalid),
    ],
)
def test_what_is_no_success_has_its_kind(raw, status, kind):
    with pytest.raises(kind) as refused:
        read(answer(raw, status), after=None)
    assert type(refused.value) is kind
    assert str(status) in refused.value.message


@given(
    st.one_of(st.binary(max_size=200), st.sampled_from([b"ok", b'{"ok":true}', b'{"ok":1}', b"[" * 5000])), st.integers(100, 599)
)
def test_any_answer_is_read_or_an_error_of_ours(raw, status):
    with contextlib.suppress(SlackError):
        assert isinstance(read(answer(raw, status), after=None), Posted)
        assert status == 200


def test_words_of_strangers_do_not_reach_the_message():
    with pytest.raises(SlackError) as refused:
        read(answer(b'{"ok":false,"error":"see xoxb-1 at http://evil"}'), after=None)
    assert "evil" not in refused.value.message


def test_a_webhook_is_taken_apart_and_anything_else_is_none():
    assert webhook("https://hooks.slack.com/services/T1/B2/x3") == Webhook(
        "https://hooks.slack.com", ("services", "T1", "B2", "x3")
    )
    for text in (
        "xoxb-1",
        "https://hooks.slack.com",
        "https://u:p@hooks.slack.com/a",
        "https://h/a?b=c",
        "https://h/a b",
        "ftp://h/a",
    ):
        assert webhook(text) is None, text


@given(st.text(max_size=50))
def test_escaped_text_has_no_markup_left(text):
    assert "<" not in escaped(text)
    assert escaped(text).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == text


@pytest.mark.parametrize(
    ("channel", "text"), [("#a", ""), ("#a", "  "), ("#a", "x" * (LONGEST_TEXT + 1)), ("a\nb", "x"), ("#a", "\ud800")]
)
def test_what_slack_would_cut_or_misread_is_refused(channel, text):
    with pytest.raises(SlackInvalid):
        body(channel, text, "")
