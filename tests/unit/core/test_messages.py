"""What travels the road survives being written and read, and what is ambiguous is refused."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.core.messages import (
    Action,
    AnswerButton,
    Attachment,
    Button,
    Delete,
    Delivery,
    Edit,
    Event,
    Kind,
    Person,
    Receipt,
    Response,
    Send,
    Typing,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
BUTTON = st.builds(Button, label=TEXT, value=TEXT, url=TEXT)
ATTACHMENT = st.builds(
    Attachment, kind=TEXT, reference=TEXT, url=TEXT, name=TEXT, mime=TEXT, size=st.integers(0, 2**53), caption=TEXT
)
ROWS = st.lists(st.lists(BUTTON, max_size=2).map(tuple), max_size=2).map(tuple)
ACTION = st.one_of(
    st.builds(
        Send, text=TEXT, buttons=ROWS, attachments=st.lists(ATTACHMENT, max_size=2).map(tuple), reply_to=TEXT, plain=st.booleans()
    ),
    st.builds(Edit, target=TEXT, text=TEXT, buttons=ROWS, plain=st.booleans()),
    st.builds(Delete, target=TEXT),
    st.builds(Typing),
    st.builds(AnswerButton, press=TEXT, text=TEXT),
)
PERSON = st.builds(Person, id=TEXT, name=TEXT, username=TEXT, locale=TEXT, is_bot=st.booleans())
EVENT = st.builds(
    Event,
    kind=st.sampled_from(Kind),
    conversation=TEXT,
    key=TEXT,
    text=TEXT,
    author=st.one_of(st.none(), PERSON),
    button=TEXT,
    attachments=st.lists(ATTACHMENT, max_size=2).map(tuple),
    members=st.lists(PERSON, max_size=2).map(tuple),
    at=st.floats(0, 2e9),
    actions=st.lists(ACTION, max_size=2).map(tuple),
)


@given(ACTION)
def test_actions_come_back_as_they_were(action):
    assert msgspec.json.decode(msgspec.json.encode(action), type=Action) == action


@given(EVENT)
def test_events_come_back_as_they_were(event):
    written = msgspec.json.encode(event)
    back = msgspec.json.decode(written, type=Event)
    assert msgspec.structs.replace(back, raw=event.raw) == event
    assert bytes(back.raw) == b"null"


def test_raw_travels_untouched():
    raw = msgspec.Raw(b'{"a" : 1.00, "b":"\\u00e9", "a":2}')
    event = Event(kind=Kind.UNKNOWN, conversation="", key="k", raw=raw)
    assert bytes(msgspec.json.decode(msgspec.json.encode(event), type=Event).raw) == bytes(raw)


def test_a_header_given_twice_is_as_good_as_none():
    delivery = Delivery(b"", ((b"x", b"1"), (b"y", b"2"), (b"y", b"2")))
    assert (delivery.header(b"x"), delivery.header(b"y"), delivery.header(b"z")) == (b"1", None, None)


@given(TEXT, TEXT)
def test_a_button_sends_its_value_or_else_its_label(label, value):
    assert Button(label, value).token == (value or label)


@pytest.mark.parametrize(
    "made", [Send(text="a"), Event(kind=Kind.MESSAGE, conversation="c", key="k"), Receipt(outcome="sent"), Delivery(b"")]
)
def test_values_are_frozen(made):
    with pytest.raises(AttributeError):
        setattr(made, msgspec.structs.fields(made)[0].name, "other")


def test_a_response_that_is_no_json_says_so():
    assert Response(status=200, body=b'{"a":1}').json() == {"a": 1}
    with pytest.raises(msgspec.DecodeError):
        Response(status=200, body=b"<html>").json()
