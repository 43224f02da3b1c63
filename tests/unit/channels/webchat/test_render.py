"""From rows of the history to what a browser is shown."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.channels.webchat.render import render
from botstead.core.messages import AnswerButton, Attachment, Button, Delete, Edit, Event, Kind, Send, Typing
from botstead.store.chat import Row


def row(direction: int, body: str, payload) -> Row:
    text = payload if payload is None or isinstance(payload, str) else msgspec.json.encode(payload).decode()
    return Row(5, direction, body, text, 100.5)


def test_a_reply_with_buttons_and_files():
    action = Send(
        buttons=((Button("A"), Button("B", "b")), (), (Button("C", url="https://c"),)),
        attachments=(Attachment("file", url="https://f"),),
    )
    frame = render(row(1, "hi", action))
    assert frame.event == "message"
    assert msgspec.to_builtins(frame.data) == {
        "id": 5,
        "direction": "out",
        "text": "hi",
        "buttons": (
            ({"label": "A", "value": "A", "url": ""}, {"label": "B", "value": "b", "url": ""}),
            ({"label": "C", "value": "", "url": "https://c"},),
        ),
        "at": 100.5,
        "attachments": ({"kind": "file", "url": "https://f"},),
    }


def test_a_row_without_payload_is_a_plain_one():
    assert render(row(1, "hi", None)).data.text == "hi"
    assert render(row(0, "hi", None)).data.direction == "in"


def test_what_the_visitor_said():
    said = Event(Kind.MESSAGE, "", "", message_id="own")
    pressed = Event(Kind.BUTTON, "", "", button="b", press="own", message_id="4")
    assert (render(row(0, "hi", said)).data.key, render(row(0, "hi", said)).data.plain) == ("own", True)
    shown = render(row(0, "B", pressed)).data
    assert (shown.key, shown.button, shown.target) == ("own", "b", 4)


def test_changes_name_their_target():
    edit = render(row(1, "new", Edit("3", buttons=((Button("A"),),))))
    assert (edit.event, edit.data.target, edit.data.text, len(edit.data.buttons)) == ("edit", 3, "new", 1)
    delete = render(row(1, "", Delete("3")))
    assert (delete.event, delete.data.target) == ("delete", 3)


def test_signals_are_no_messages():
    assert render(row(1, "", Typing())).event == "typing"
    notice = render(row(1, "Saved", AnswerButton("p")))
    assert (notice.event, notice.data.direction, notice.data.id) == ("notice", "system", None)


@pytest.mark.parametrize(
    ("direction", "payload"),
    [
        (2, Send()),
        (0, Event(Kind.JOINED, "", "")),
        (0, Event(Kind.STATUS, "", "")),
        (0, "{"),
        (1, "{"),
        (1, '{"type":"hologram"}'),
        (1, AnswerButton("p")),
        (1, Edit("not ours")),
        (1, Delete("9223372036854775808")),
        (1, Delete("²")),
    ],
)
def test_the_rest_is_hidden(direction, payload):
    assert render(row(direction, "", payload)) is None


@given(st.integers(0, 3), st.text(max_size=30), st.one_of(st.none(), st.text(max_size=30)))
def test_no_row_breaks_it(direction, body, payload):
    render(row(direction, body, payload))
