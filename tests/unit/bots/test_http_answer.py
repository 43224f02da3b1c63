"""What an http bot may answer, and how each mistake is named."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.bots.http import HttpBot, read_answer, write_request
from botstead.core.errors import BotBroken, HandlerFailed
from botstead.core.messages import AnswerButton, Attachment, Button, Delete, Edit, Event, Kind, Person, Send, Typing
from botstead.core.ports import Effects, Incoming
from botstead.core.secret import Secret


def read(answer: object) -> Effects:
    return read_answer(answer if isinstance(answer, bytes) else json.dumps(answer).encode())


@pytest.mark.parametrize(
    "answer", [b"", b" \n", {}, {"actions": []}, {"actions": None}, {"text": ""}, {"text": None}, {"state": None}]
)
def test_nothing_to_do(answer):
    assert read(answer) == Effects()


def test_a_text():
    assert read({"text": "**hi**"}) == Effects(actions=(Send("**hi**"),))


def test_a_text_with_state():
    assert read({"text": "hi", "state": {"n": 1}}) == Effects(actions=(Send("hi"),), state=b'{"n":1}')


def test_every_action():
    answer = {
        "actions": [
            {"type": "typing"},
            {
                "type": "send",
                "text": "a",
                "plain": True,
                "buttons": [[{"label": "Yes", "value": "y"}], [{"label": "More", "url": "https://example.org"}]],
                "attachments": [{"kind": "image", "url": "https://example.org/a.png"}],
                "reply_to": "m",
            },
            {"type": "edit", "target": "m1", "text": "b"},
            {"type": "delete", "target": "m2"},
            {"type": "answer", "press": "p", "text": "ok"},
        ]
    }
    assert read(answer).actions == (
        Typing(),
        Send(
            "a",
            plain=True,
            buttons=((Button("Yes", value="y"),), (Button("More", url="https://example.org"),)),
            attachments=(Attachment(kind="image", url="https://example.org/a.png"),),
            reply_to="m",
        ),
        Edit("m1", "b"),
        Delete("m2"),
        AnswerButton("p", "ok"),
    )


def test_no_action_is_forgotten():
    kinds = {kind.__struct_config__.tag: kind for kind in (Send, Edit, Delete, Typing, AnswerButton)}
    for name, kind in kinds.items():
        needed = {"target": "m"} if kind in (Edit, Delete) else {"press": "p"} if kind is AnswerButton else {}
        assert isinstance(read({"actions": [{"type": name, **needed}]}).actions[0], kind)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"OK", "The bot's answer is not JSON."),
        (b"\xff", "The bot's answer is not JSON."),
        (b"[" * 9_999, "The bot's answer is not JSON."),
        ([], "The bot's answer is a list; it must be an object with actions or text, or empty."),
        ("hi", "The bot's answer is a text; it must be an object with actions or text, or empty."),
        (None, "The bot's answer is null; it must be an object with actions or text, or empty."),
        ({"action": []}, "The bot's answer has unknown field 'action': did you mean 'actions'?"),
        ({"zzz": 1}, "The bot's answer has unknown field 'zzz'; there are actions, text, state."),
        ({"text": "a", "actions": []}, "The bot's answer has both text and actions; give the text as an action of type send."),
        ({"text": 7}, "The bot's text is a number; it must be a text."),
        ({"actions": {"type": "send"}}, "The bot's actions are an object; they must be a list."),
        ({"actions": [{"type": "typing"}] * 101}, "The bot answered 101 actions; at most 100 are taken."),
        ({"actions": ["send"]}, "actions[0] is a text; it must be an object."),
        ({"actions": [{"text": "a"}]}, "actions[0] has no type; there are send, edit, delete, typing, answer, pay, refund."),
        ({"actions": [{"type": []}]}, "actions[0] has no type; there are send, edit, delete, typing, answer, pay, refund."),
        ({"actions": [{"type": "typing"}, {"type": "snd"}]}, "actions[1] has unknown type 'snd': did you mean 'send'?"),
        ({"actions": [{"type": "send", "txt": "a"}]}, "actions[0] has unknown field 'txt': did you mean 'text'?"),
        ({"actions": [{"type": "send", "text": 7}]}, "actions[0].text: Expected `str`, got `int`."),
        (
            {"actions": [{"type": "send", "buttons": [[{"value": "y"}]]}]},
            "actions[0].buttons[0][0]: Object missing required field `label`.",
        ),
        ({"actions": [{"type": "edit", "text": "a"}]}, "actions[0]: Object missing required field `target`."),
        ({"state": []}, "The bot's state is a list; it must be an object, or left out to keep the old one."),
        ({"state": True}, "The bot's state is true or false; it must be an object, or left out to keep the old one."),
    ],
)
def test_each_mistake_names_its_place(answer, message):
    with pytest.raises(HandlerFailed) as caught:
        read(answer)
    assert caught.value.message == message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=15,
)
ACTION = st.fixed_dictionaries(
    {"type": st.sampled_from(["send", "edit", "delete", "typing", "answer", "x"])},
    optional=dict.fromkeys(("text", "target", "press", "buttons", "attachments", "plain"), JSON),
)
ANSWER = st.fixed_dictionaries({}, optional={"text": JSON, "actions": st.lists(ACTION | JSON, max_size=4) | JSON, "state": JSON})


@given(st.binary() | JSON.map(msgspec.json.encode) | ANSWER.map(msgspec.json.encode))
def test_only_handler_failed_escapes_and_effects_can_be_kept(body):
    try:
        effects = read_answer(body)
    except HandlerFailed:
        return
    assert msgspec.json.decode(msgspec.json.encode(effects), type=Effects) == effects


def test_the_request_has_every_field_always():
    bare = Incoming(id=1, bot="b", channel="telegram", account=3, conversation="3.42", event=Event(Kind.JOINED, "42", "k"))
    body = json.loads(write_request(bare))
    assert body == {
        "version": 1,
        "id": "1",
        "bot": "b",
        "channel": "telegram",
        "conversation": "3.42",
        "attempt": 1,
        "received": 0.0,
        "trace": "",
        "event": {
            "kind": "joined",
            "conversation": "42",
            "text": "",
            "author": None,
            "message_id": "",
            "reply_to": "",
            "button": "",
            "press": "",
            "attachments": [],
            "members": [],
            "group": False,
            "at": 0.0,
            "payment": None,
            "raw": None,
        },
        "state": {},
    }


def test_the_request_carries_state_and_the_raw_event():
    event = Event(Kind.MESSAGE, "42", "k", text="ä", author=Person(id="7"), raw=msgspec.Raw(b'{"update_id": 1}'))
    body = json.loads(
        write_request(
            Incoming(id=2**60, bot="b", channel="telegram", account=3, conversation="3.42", event=event, state=b'{"n": 1}')
        )
    )
    assert (body["id"], body["state"], body["event"]["raw"], body["event"]["author"]) == (
        str(2**60),
        {"n": 1},
        {"update_id": 1},
        {"id": "7"},
    )


@pytest.mark.parametrize("secret", ["", "whsec_", "plain", "whpk_AAAA"])
def test_a_bot_without_a_usable_secret_is_broken(secret):
    with pytest.raises(BotBroken, match="http bot shouter"):
        HttpBot("shouter", url="http://127.0.0.1:1", secret=Secret(secret), egress=None)
