"""From actions to Bot API calls: within every limit, nothing cut away, no secret in sight."""

from __future__ import annotations

import html
import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from botstead.channels.markdown import read
from botstead.channels.telegram.render import as_plain_text, render
from botstead.core.errors import Invalid
from botstead.core.messages import AnswerButton, Attachment, Button, Delete, Edit, Send, Typing
from tests.doubles.telegram_rules import Rules, refusal, utf16, without_tags

RULES = Rules()
PHOTO = Attachment("image", "photo-id")


def calls(action, conversation="7"):
    """Method and fields of each call; each one is held to the Bot API's rules."""
    rendered = []
    for call in render(action, conversation):
        method, fields = call.url.rpartition("/")[2], json.loads(call.body)
        assert not RULES.violations(method, fields)
        assert refusal(method, fields) is None
        rendered.append((method, fields))
    return rendered


def test_a_call_holds_a_placeholder_and_ends_before_the_lease():
    (call,) = render(Send("hi"), "7", base="https://bots.example.org")
    assert call.url == "https://bots.example.org/bot{secret:token}/sendMessage"
    assert (call.method, call.headers, call.service) == ("POST", {"content-type": "application/json"}, "telegram")
    assert call.timeout < 10


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (Send("hi"), {"text": "hi"}),
        (Send("**hi** <b> & co"), {"text": "<b>hi</b> &lt;b&gt; &amp; co", "parse_mode": "HTML"}),
        (Send("a < b & c"), {"text": "a < b & c"}),
        (Send("**hi**", plain=True), {"text": "**hi**"}),
        (Send("*a* ~~b~~ `c`"), {"text": "<i>a</i> <s>b</s> <code>c</code>", "parse_mode": "HTML"}),
        (Send("```py\nx<1\n```"), {"text": '<pre><code class="language-py">x&lt;1</code></pre>', "parse_mode": "HTML"}),
        (Send("```\nx\n```"), {"text": "<pre>x</pre>", "parse_mode": "HTML"}),
        (Send("> a\n> > b"), {"text": "<blockquote>a\n\nb</blockquote>", "parse_mode": "HTML"}),
        (Send("**a `b`**"), {"text": "<b>a </b><code>b</code>", "parse_mode": "HTML"}),
        (
            Send('[a](https://example.org/?x="1"&y)'),
            {"text": '<a href="https://example.org/?x=%221%22&amp;y">a</a>', "parse_mode": "HTML"},
        ),
    ],
)
def test_texts(action, expected):
    assert calls(action) == [("sendMessage", {"chat_id": 7, **expected})]


@pytest.mark.parametrize(
    ("conversation", "place"),
    [
        ("7", {"chat_id": 7}),
        ("-1001234567890", {"chat_id": -1001234567890}),
        ("@friends", {"chat_id": "@friends"}),
        ("-1001234567890/42", {"chat_id": -1001234567890, "message_thread_id": 42}),
    ],
)
def test_where_to(conversation, place):
    assert calls(Send("hi"), conversation) == [("sendMessage", {**place, "text": "hi"})]
    assert calls(Typing(), conversation) == [("sendChatAction", {**place, "action": "typing"})]


def test_buttons_and_reference():
    rows = ((Button("Yes", "y"), Button("Site", url="https://example.org")), (), (Button("No"),))
    assert calls(Send("Sure?", buttons=rows, reply_to="5")) == [
        (
            "sendMessage",
            {
                "chat_id": 7,
                "text": "Sure?",
                "reply_markup": {
                    "inline_keyboard": [
                        [{"text": "Yes", "callback_data": "y"}, {"text": "Site", "url": "https://example.org"}],
                        [{"text": "No", "callback_data": "No"}],
                    ]
                },
                "reply_parameters": {"message_id": 5, "allow_sending_without_reply": True},
            },
        )
    ]


def test_a_long_text_keeps_its_buttons_for_the_end_and_its_reference_for_the_beginning():
    text = "\n\n".join(f"**{number}** " + "word " * 200 for number in range(12))
    parts = [fields for _, fields in calls(Send(text, buttons=((Button("OK"),),), reply_to="5"))]
    assert ["reply_markup" in part for part in parts] == [False, False, True]
    assert ["reply_parameters" in part for part in parts] == [True, False, False]
    assert all(part["text"].startswith("<b>") and part["parse_mode"] == "HTML" for part in parts)


def test_4096_fit_and_4097_do_not():
    assert len(calls(Send("a" * 4096))) == 1
    assert len(calls(Send("😀" * 2048))) == 1
    assert [len(fields["text"]) for _, fields in calls(Send("a" * 4097))] == [4096, 1]
    assert [len(fields["text"]) for _, fields in calls(Send("a" + "😀" * 2048))] == [2048, 1]
    assert len(calls(Send("**" + "&" * 4096 + "**"))) == 1


def test_a_text_becomes_the_caption_of_one_file():
    buttons = {"inline_keyboard": [[{"text": "OK", "callback_data": "OK"}]]}
    assert calls(Send("**Look**", attachments=(PHOTO,), buttons=((Button("OK"),),))) == [
        (
            "sendPhoto",
            {"chat_id": 7, "photo": "photo-id", "caption": "<b>Look</b>", "parse_mode": "HTML", "reply_markup": buttons},
        )
    ]


def test_a_text_too_long_for_a_caption_goes_before_the_file():
    methods = [method for method, _ in calls(Send("a" * 1025, attachments=(PHOTO,)))]
    assert methods == ["sendMessage", "sendPhoto"]


def test_several_files_follow_one_another():
    files = (PHOTO, Attachment("file", url="https://example.org/a.pdf", caption="The paper"))
    assert calls(Send("Look", attachments=files)) == [
        ("sendPhoto", {"chat_id": 7, "photo": "photo-id", "caption": "Look"}),
        ("sendDocument", {"chat_id": 7, "document": "https://example.org/a.pdf", "caption": "The paper"}),
    ]


def test_a_caption_too_long_goes_on_as_text():
    sent = calls(Send(attachments=(Attachment("video", "v", caption="a" * 1000 + "\n\n" + "b" * 1000),)))
    assert [(method, fields.get("caption", fields.get("text"))) for method, fields in sent] == [
        ("sendVideo", "a" * 1000),
        ("sendMessage", "b" * 1000),
    ]


@pytest.mark.parametrize(
    ("attachment", "method", "fields"),
    [
        (Attachment("audio", "a"), "sendAudio", {"audio": "a"}),
        (Attachment("voice", "v"), "sendVoice", {"voice": "v"}),
        (Attachment("sticker", "s"), "sendSticker", {"sticker": "s"}),
        (Attachment("location", "59.91,10.75"), "sendLocation", {"latitude": 59.91, "longitude": 10.75}),
        (Attachment("contact", "+47", name="Bo"), "sendContact", {"phone_number": "+47", "first_name": "Bo"}),
    ],
)
def test_other_attachments(attachment, method, fields):
    assert calls(Send(attachments=(attachment,))) == [(method, {"chat_id": 7, **fields})]


def test_what_takes_no_caption_follows_the_text():
    assert [method for method, _ in calls(Send("here", attachments=(Attachment("location", "1,2"),)))] == [
        "sendMessage",
        "sendLocation",
    ]


def test_edits():
    assert calls(Edit("5", "*new*")) == [
        ("editMessageText", {"chat_id": 7, "message_id": 5, "text": "<i>new</i>", "parse_mode": "HTML"})
    ]
    keyboard = {"inline_keyboard": [[{"text": "OK", "callback_data": "OK"}]]}
    assert calls(Edit("5", buttons=((Button("OK"),),))) == [
        ("editMessageReplyMarkup", {"chat_id": 7, "message_id": 5, "reply_markup": keyboard})
    ]


def test_what_does_not_fit_an_edited_message_follows_it():
    first, second = calls(Edit("5", "a" * 4000 + "\n\n" + "b" * 4000, buttons=((Button("OK"),),)), "-1/9")
    assert (first[0], second[0]) == ("editMessageText", "sendMessage")
    assert "reply_markup" not in first[1]
    assert (second[1]["message_thread_id"], "reply_markup" in second[1]) == (9, True)


def test_small_things():
    assert calls(Delete("5")) == [("deleteMessage", {"chat_id": 7, "message_id": 5})]
    assert calls(AnswerButton("99"), "") == [("answerCallbackQuery", {"callback_query_id": "99"})]
    assert calls(AnswerButton("99", "x" * 300))[0][1]["text"] == "x" * 200


@pytest.mark.parametrize(
    ("action", "conversation", "word"),
    [
        (Send(""), "7", "nothing"),
        (Send(" \n "), "7", "nothing"),
        (Send("hi"), "", "chat"),
        (Send("hi"), "7/x", "chat"),
        (Send("hi"), "bob", "chat"),
        (Send("hi", reply_to="x"), "7", "message id"),
        (Send("hi", buttons=((Button("é" * 33),),)), "7", "64 bytes"),
        (Send("hi", buttons=((Button(""),),)), "7", "label"),
        (Send(attachments=(Attachment("hologram", "h"),)), "7", "hologram"),
        (Send(attachments=(Attachment("image"),)), "7", "reference"),
        (Send(attachments=(Attachment("location", "north"),)), "7", "latitude"),
        (Send(attachments=(Attachment("location", "nan,0"),)), "7", "latitude"),
        (Send("half \ud83d"), "7", "surrogate"),
        (Edit("five", "x"), "7", "message id"),
        (Delete(""), "7", "message id"),
    ],
)
def test_what_cannot_be_said_is_told(action, conversation, word):
    with pytest.raises(Invalid) as refused:
        render(action, conversation)
    assert word in refused.value.message


def test_the_same_without_formatting():
    (call,) = render(Send("**a** [b](https://example.org/?x&y) `<c>` &lt;"), "7")
    plain = json.loads(as_plain_text(call).body)
    assert plain == {"chat_id": 7, "text": "a b (https://example.org/?x&y) <c> <"}


texts = st.text(st.sampled_from("ab &<>;1*_~`[]()!#>-\n😀é\"'"), max_size=300)


@given(texts, st.integers(0, 2))
def test_any_text_is_within_the_rules_and_whole(text, files):
    action = Send(text, attachments=(PHOTO,) * files)
    if not text.strip() and not files:
        return
    sent = [fields.get("text", fields.get("caption", "")) for _, fields in calls(action)]
    shown = "".join(
        without_tags(part) if "parse_mode" in fields else part for part, (_, fields) in zip(sent, calls(action), strict=True)
    )
    assert re.sub(r"\s", "", shown) == re.sub(r"\s", "", "".join(run.text for run in read(text)))


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(1, 4000), st.text(st.sampled_from("a&<😀 \n*"), min_size=1, max_size=20))
def test_any_long_text_is_within_the_limit(times, piece):
    for _, fields in calls(Send("x" + piece * times)):
        shown = without_tags(fields["text"]) if "parse_mode" in fields else fields["text"]
        assert utf16(shown) <= 4096


@given(texts)
def test_plain_texts_go_out_as_they_are(text):
    if text.strip():
        ((_, fields),) = calls(Send(text, plain=True))
        assert fields["text"] == text


@given(texts)
def test_html_says_what_the_runs_say(text):
    if not text.strip():
        return
    for call in render(Send(text), "7"):
        fields = json.loads(call.body)
        if "parse_mode" in fields and "<a href" not in fields["text"]:
            plain = json.loads(as_plain_text(call).body)["text"]
            assert plain == html.unescape(re.sub(r"<[^>]+>", "", fields["text"])) == without_tags(fields["text"])
