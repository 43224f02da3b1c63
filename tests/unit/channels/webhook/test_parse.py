"""From bodies to events: nothing is lost, nothing escapes but `Unreadable`."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.channels.webhook import KIND
from botstead.core.errors import Unreadable
from botstead.core.messages import Attachment, Delivery, Kind, Person
from botstead.core.ports import Account

ACCOUNT = Account(id=1, public_id="p", kind="webhook", bot=1, bot_name="b")
HEADERS = ((b"webhook-id", b"msg_1"), (b"webhook-timestamp", b"1800000000"))


def parse(body: object, headers=HEADERS):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return KIND.parse(Delivery(body=data, headers=headers), ACCOUNT).events


def test_a_message():
    body = b'{"conversation": "abc", "text": "hi", "author": {"id": "7", "name": "Ada"}, "extra": [1, 2]}'
    (event,) = parse(body)
    assert (event.kind, event.conversation, event.key, event.text) == (Kind.MESSAGE, "abc", "msg_1", "hi")
    assert event.author == Person(id="7", name="Ada")
    assert event.message_id == "msg_1"
    assert event.at == 1_800_000_000
    assert bytes(event.raw) == body


def test_a_pressed_button_and_a_file():
    (event,) = parse(
        {
            "conversation": "abc",
            "id": "e7",
            "button": "yes",
            "attachments": [{"kind": "file", "url": "https://example.org/a.pdf"}],
        }
    )
    assert (event.kind, event.button, event.text, event.press, event.message_id) == (Kind.BUTTON, "yes", "yes", "e7", "e7")
    assert event.attachments == (Attachment(kind="file", url="https://example.org/a.pdf"),)
    assert event.key == "msg_1"


def test_numbers_are_taken_as_ids():
    (event,) = parse({"conversation": 42, "text": "hi", "author": {"id": 7}})
    assert (event.conversation, event.author.id) == ("42", "7")


def test_a_list_gives_each_event_a_key_of_its_own():
    first, second, third = parse(
        {"events": [{"conversation": "a", "text": "1"}, {"conversation": "b", "text": "2", "id": "own"}, {"ping": True}]}
    )
    assert [event.key for event in (first, second, third)] == ["msg_1/0", "own", "msg_1/2"]
    assert third.kind is Kind.UNKNOWN
    assert json.loads(bytes(third.raw)) == {"ping": True}


@pytest.mark.parametrize(
    "body",
    [
        {"type": "invoice.paid", "data": {"id": 1}},
        {"conversation": "abc"},
        {"conversation": "", "text": "x"},
        {"conversation": "a\0b", "text": "x"},
        {"conversation": "a" * 201, "text": "x"},
        {"conversation": "abc", "text": 7},
        {"conversation": "abc", "text": "x", "author": "Ada"},
        {"events": {"conversation": "abc", "text": "x"}},
        [{"conversation": "abc", "text": "x"}],
        "text",
        None,
    ],
)
def test_what_is_no_event_of_ours_is_kept_as_it_is(body):
    (event,) = parse(body)
    assert (event.kind, event.conversation, event.key) == (Kind.UNKNOWN, "", "msg_1")
    assert json.loads(bytes(event.raw)) == body


def test_a_hundred_events_are_taken_and_one_more_is_not():
    event = {"conversation": "a", "text": "1"}
    assert len(parse({"events": [event] * 100})) == 100
    assert parse({"events": []}) == ()
    with pytest.raises(Unreadable, match="at most 100"):
        parse({"events": [event] * 101})


def test_the_character_that_postgres_cannot_keep_is_dropped():
    (event,) = parse({"conversation": "a", "text": "x\0y", "author": {"id": "1", "name": "A\0"}})
    assert (event.text, event.author.name) == ("xy", "A")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b'"\xff"',
        b'{"text":"\\ud800"}',
        b"[" * 100_000,
        b"[" * 65 + b"]" * 65,
        b'{"a":' * 70 + b"1" + b"}" * 70,
        b"NaN",
    ],
)
def test_what_is_no_json_is_unreadable(body):
    with pytest.raises(Unreadable):
        parse(body)


def test_sixty_four_levels_are_readable():
    (event,) = parse(b"[" * 64 + b"]" * 64)
    assert event.kind is Kind.UNKNOWN


@pytest.mark.parametrize(
    "headers", [(), ((b"webhook-id", b""),), ((b"webhook-id", b"\xff"),), ((b"webhook-id", b"a" * 257),), HEADERS[:1] * 2]
)
def test_without_a_usable_id_nothing_is_taken(headers):
    with pytest.raises(Unreadable):
        parse({"conversation": "a", "text": "x"}, headers)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
EVENT = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("conversation", "id", "text", "author", "button", "attachments", "events"), JSON)
)


@given(
    body=st.binary()
    | JSON.map(msgspec.json.encode)
    | EVENT.map(msgspec.json.encode)
    | st.lists(EVENT, max_size=5).map(lambda events: msgspec.json.encode({"events": events})),
    name=st.binary(max_size=20),
    at=st.binary(max_size=15),
)
def test_only_unreadable_escapes_and_events_fit_the_store(body, name, at):
    try:
        events = parse(body, ((b"webhook-id", name), (b"webhook-timestamp", at)))
    except Unreadable:
        return
    for event in events:
        assert event.key
        assert len(event.key) <= 260
        assert "\0" not in event.key + event.conversation + event.text
        assert bool(event.conversation) == (event.kind is not Kind.UNKNOWN)
        msgspec.json.decode(event.raw)
        msgspec.json.decode(msgspec.json.encode(event))
