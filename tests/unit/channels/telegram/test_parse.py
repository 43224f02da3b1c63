"""From updates to events: what people say, press, send and do; and what no update may do to us."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from botstead.channels.telegram import KIND
from botstead.core.errors import Unreadable
from botstead.core.messages import Attachment, Delivery, Event, Kind, Person
from botstead.core.ports import Account

ACCOUNT = Account(id=1, public_id="p", kind="telegram", bot=1, bot_name="b")
ANN = {"id": 7, "is_bot": False, "first_name": "Ann", "last_name": "Lee", "username": "ann", "language_code": "nb"}
PERSON = Person("7", name="Ann Lee", username="ann", locale="nb")
PRIVATE = {"id": 7, "type": "private", "first_name": "Ann"}
GROUP = {"id": -1001234567890, "type": "supergroup", "title": "Friends"}


def parse(body: object) -> tuple[Event, ...]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return KIND.parse(Delivery(body=data), ACCOUNT).events


def one(**content: object) -> Event:
    (event,) = parse({"update_id": 10, **content})
    return event


def message(chat=PRIVATE, **more: object) -> dict[str, object]:
    return {"message_id": 5, "date": 1_700_000_000, "chat": chat, "from": ANN, **more}


def test_a_text():
    event = one(message=message(text="/weather Oslo"))
    assert msgspec.structs.replace(event, raw=Event.__struct_defaults__[-1]) == Event(
        Kind.MESSAGE, "7", "10", text="/weather Oslo", author=PERSON, message_id="5", at=1_700_000_000.0
    )


def test_the_raw_update_is_kept_to_the_byte():
    body = b'{"update_id":10, "message":{"message_id":5,"date":1,"chat":{"id":7,"type":"private"},"text":"a","new_field":[1.50]}}'
    (event,) = parse(body)
    assert bytes(event.raw) == body


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        ("message", Kind.MESSAGE),
        ("channel_post", Kind.MESSAGE),
        ("edited_message", Kind.EDITED),
        ("edited_channel_post", Kind.EDITED),
    ],
)
def test_where_a_text_may_stand(field, kind):
    event = one(**{field: message(GROUP, text="hi", edit_date=1_700_000_060)})
    assert (event.kind, event.text, event.conversation, event.group) == (kind, "hi", "-1001234567890", True)
    assert event.at == 1_700_000_060.0


def test_who_speaks_for_a_chat_is_the_chat():
    event = one(channel_post={**message(GROUP, text="news"), "sender_chat": {**GROUP, "username": "friends"}})
    assert event.author == Person("-1001234567890", name="Friends", username="friends")


def test_a_post_may_have_no_author():
    post = message(GROUP, text="news")
    del post["from"]
    assert one(channel_post=post).author is None


def test_an_answer_names_what_it_answers():
    assert one(message=message(text="yes", reply_to_message={"message_id": 3, "date": 1, "chat": PRIVATE})).reply_to == "3"


def test_a_topic_is_a_conversation_of_its_own():
    topic = {"message_thread_id": 42, "is_topic_message": True, "reply_to_message": {"message_id": 42}}
    event = one(message=message(GROUP, text="hi", **topic))
    assert (event.conversation, event.reply_to) == ("-1001234567890/42", "")
    topic["reply_to_message"] = {"message_id": 43}
    assert one(message=message(GROUP, text="hi", **topic)).reply_to == "43"


def test_a_thread_of_replies_is_no_topic():
    assert one(message=message(GROUP, text="hi", message_thread_id=42)).conversation == "-1001234567890"


@pytest.mark.parametrize(
    ("content", "attachment"),
    [
        (
            {"photo": [{"file_id": "s", "width": 9, "height": 9}, {"file_id": "l", "width": 90, "height": 90, "file_size": 8}]},
            Attachment("image", "l", size=8),
        ),
        (
            {"document": {"file_id": "d", "file_name": "a.pdf", "mime_type": "application/pdf", "file_size": 3}},
            Attachment("file", "d", name="a.pdf", mime="application/pdf", size=3),
        ),
        ({"audio": {"file_id": "a"}}, Attachment("audio", "a")),
        ({"voice": {"file_id": "v", "mime_type": "audio/ogg"}}, Attachment("voice", "v", mime="audio/ogg")),
        ({"video": {"file_id": "v"}}, Attachment("video", "v")),
        ({"video_note": {"file_id": "n", "length": 240}}, Attachment("video", "n")),
        ({"animation": {"file_id": "g"}, "document": {"file_id": "g"}}, Attachment("video", "g")),
        ({"sticker": {"file_id": "s", "emoji": "😀"}}, Attachment("sticker", "s")),
        ({"location": {"latitude": 59.91, "longitude": 10.75}}, Attachment("location", "59.91,10.75")),
        ({"contact": {"phone_number": "+47", "first_name": "Bo", "last_name": "Li"}}, Attachment("contact", "+47", name="Bo Li")),
    ],
)
def test_files_come_by_reference(content, attachment):
    event = one(message=message(caption="look", **content))
    assert (event.kind, event.text, event.attachments) == (Kind.MESSAGE, "look", (attachment,))


def test_a_pressed_button_tells_label_and_value():
    keyboard = {"inline_keyboard": [[{"text": "No", "callback_data": "n"}], [{"text": "Yes", "callback_data": "y"}]]}
    press = {"id": "4382", "from": ANN, "chat_instance": "1", "data": "y"}
    event = one(callback_query={**press, "message": message(text="Sure?", reply_markup=keyboard)})
    assert (event.kind, event.text, event.button, event.press, event.message_id) == (Kind.BUTTON, "Yes", "y", "4382", "5")
    assert (event.conversation, event.author) == ("7", PERSON)


def test_a_button_of_a_message_too_old_to_show():
    press = {"id": "4382", "from": ANN, "data": "y", "message": {"chat": PRIVATE, "message_id": 5, "date": 0}}
    event = one(callback_query=press)
    assert (event.kind, event.text, event.button) == (Kind.BUTTON, "y", "y")


@pytest.mark.parametrize("more", [{"inline_message_id": "x", "data": "y"}, {"game_short_name": "g", "message": message()}])
def test_presses_that_belong_to_no_chat_are_kept(more):
    assert one(callback_query={"id": "1", "from": ANN, **more}).kind is Kind.UNKNOWN


def change(before: str, after: str, *, chat=GROUP, user=ANN, date=1_700_000_000, **more: object) -> dict[str, object]:
    old, new = {"status": before, "user": user}, {"status": after, "user": user, **more}
    return {"chat": chat, "from": ANN, "date": date, "old_chat_member": old, "new_chat_member": new}


@pytest.mark.parametrize("field", ["my_chat_member", "chat_member"])
@pytest.mark.parametrize(
    ("before", "after", "more", "kind"),
    [
        ("left", "member", {}, Kind.JOINED),
        ("kicked", "administrator", {}, Kind.JOINED),
        ("left", "restricted", {"is_member": True}, Kind.JOINED),
        ("member", "kicked", {}, Kind.LEFT),
        ("creator", "left", {}, Kind.LEFT),
        ("member", "restricted", {"is_member": False}, Kind.LEFT),
        ("member", "administrator", {}, Kind.UNKNOWN),
        ("left", "kicked", {}, Kind.UNKNOWN),
    ],
)
def test_who_comes_and_goes(field, before, after, more, kind):
    event = one(**{field: change(before, after, **more)})
    assert (event.kind, event.conversation) == (kind, "-1001234567890")
    assert event.members == (() if kind is Kind.UNKNOWN else (PERSON,))


def test_a_join_told_twice_has_one_key():
    bo = {"id": 8, "is_bot": False, "first_name": "Bo"}
    service = parse({"update_id": 10, "message": message(GROUP, new_chat_members=[ANN, bo])})
    assert [(event.kind, event.members[0].id) for event in service] == [(Kind.JOINED, "7"), (Kind.JOINED, "8")]
    assert [event.key for event in service] == [
        one(chat_member=change("left", "member")).key,
        one(chat_member=change("left", "member", user=bo)).key,
    ]
    left = one(message=message(GROUP, left_chat_member=ANN))
    assert left.key == one(chat_member=change("member", "left")).key
    assert left.key != one(chat_member=change("member", "left", date=1_700_000_001)).key


@pytest.mark.parametrize(
    "content",
    [
        message({"id": -5, "type": "group"}, migrate_to_chat_id=-1001234567890),
        message(GROUP, migrate_from_chat_id=-5),
    ],
)
def test_a_group_that_moves(content):
    event = one(message=content)
    assert (event.kind, event.conversation, event.moved_to) == (Kind.MOVED, "-5", "-1001234567890")


@pytest.mark.parametrize(
    "content",
    [
        {"message_reaction": {"chat": GROUP, "message_id": 5, "date": 1, "old_reaction": [], "new_reaction": []}},
        {"inline_query": {"id": "1", "from": ANN, "query": "", "offset": ""}},
        {"something_of_2031": {"deep": [1, {"x": None}]}},
        {"message": message(GROUP, new_chat_title="New")},
        {"message": message(poll={"id": "1"})},
        {},
    ],
)
def test_what_we_do_not_know_is_kept(content):
    event = one(**content)
    assert (event.kind, event.key) == (Kind.UNKNOWN, "10")
    assert json.loads(bytes(event.raw)) == {"update_id": 10, **content}


def test_nul_becomes_a_replacement_character():
    ann = {**ANN, "first_name": "A\0", "last_name": ""}
    event = one(message={**message(text="a\0b"), "from": ann})
    assert (event.text, event.author and event.author.name) == ("a\ufffdb", "A\ufffd")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"update_id":"10"}',
        b'{"update_id":1.5}',
        b'{"update_id":-1}',
        b'{"update_id":true}',
        b'{"update_id":' + b"9" * 30 + b"}",
        b'{"update_id":' + b"9" * 5000 + b"}",
        b'{"update_id":10,"x":1e99999}',
        b'{"update_id":10,"x":"\xff"}',
        b'{"update_id":10,"\xff":1}',
        b'{"update_id":10,"x":"\xed\xa0\x80"}',
        b'{"update_id":10,"x":"\\ud800"}',
        b'{"update_id":10,"x":"a\x00b"}',
        b'{"update_id":10,"x":' + b"[" * 64 + b"]" * 64 + b"}",
        b'{"update_id":10,"x":' + b'{"a":' * 300_000 + b"1" + b"}" * 300_000 + b"}",
        b"[" * 1_000_000,
        b'{"update_id":10} trailing',
        b'\xef\xbb\xbf{"update_id":10}',
        b'{"update_id":10,"message":{}}',
        b'{"update_id":10,"message":[]}',
        b'{"update_id":10,"message":{"message_id":5,"chat":{"id":"7","type":"private"}}}',
        b'{"update_id":10,"message":{"message_id":' + b"9" * 20 + b',"chat":{"id":7,"type":"private"}}}',
        b'{"update_id":10,"message":{"message_id":5,"chat":{"id":7,"type":"private"},"text":7}}',
    ],
)
def test_what_is_no_update_is_unreadable(body):
    with pytest.raises(Unreadable):
        parse(body)


def test_deep_but_not_too_deep():
    assert parse(b'{"update_id":10,"x":' + b"[" * 63 + b"]" * 63 + b"}")[0].kind is Kind.UNKNOWN
    wide = b'{"update_id":10,"x":[' + b"[]," * 5000 + b"[]]}"
    assert parse(wide)[0].kind is Kind.UNKNOWN


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
NAMES = """
    update_id message chat id from type date message_id text photo callback_query data my_chat_member old_chat_member
    new_chat_member user status new_chat_members reply_to_message x
"""
names = st.sampled_from(NAMES.split())
trees = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5))


@given(trees)
@example({"update_id": 2**63 - 1})
@example({"update_id": 2**63})
@example({"update_id": 1, "message": {"message_id": 1, "chat": {"id": -(2**63)}, "date": 2**62, "text": "x"}})
def test_any_json(tree):
    body = json.dumps(tree).encode()
    check(body)


@given(st.binary(max_size=60))
def test_any_bytes(body):
    check(body)
    check(b'{"update_id":10,"message":{"message_id":5,"chat":{"id":7},"text":"' + body + b'"}}')


def check(body: bytes) -> None:
    """Events that can be stored and read again, or `Unreadable`."""
    try:
        events = parse(body)
    except Unreadable:
        return
    stored = msgspec.json.encode(events)
    stored.decode()
    assert "\0" not in "".join(event.text + event.conversation + event.key for event in events)
    assert msgspec.json.decode(stored, type=tuple[Event, ...])
