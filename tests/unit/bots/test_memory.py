"""State: what goes in comes back, what would not is refused by its place, what did not change is not written."""

from __future__ import annotations

import enum

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.bots.memory import STATE_LIMIT, Memory, encode_state
from botstead.bots.questions import Pending
from botstead.core.errors import HandlerFailed
from botstead.core.messages import Event, Kind

texts = st.text(st.characters(codec="utf-8"), max_size=20)
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=20
)
states = st.dictionaries(texts.filter(lambda key: not key.startswith("$")), values, max_size=5)


def same(one, other) -> bool:
    """Equal, and of the same types: 1, 1.0 and True are three things."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@given(states)
def test_what_goes_in_comes_back(state):
    memory = Memory(b"{}")
    memory.data.update(state)
    stored = memory.encode()
    assert same(Memory(stored or b"{}").data, state)


@given(states)
def test_reading_is_no_change(state):
    memory = Memory(encode_state(state))
    assert memory.data == state
    assert memory.encode() is None


def test_a_change_deep_inside_is_a_change():
    memory = Memory(b'{"cart":[{"n":1}]}')
    memory.data["cart"][0]["n"] = 2
    assert memory.encode() == b'{"cart":[{"n":2}]}'


class Color(enum.StrEnum):
    RED = "red"


LOOP: list = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ((1, 2), r"conversation.state\['x'\] is a tuple"),
        ({1}, "is a set"),
        (b"x", "is a bytes"),
        (Color.RED, "is a Color"),
        ({"a": [1, float("nan")]}, r"\['x'\]\['a'\]\[1\] is the number nan"),
        (float("inf"), "the number inf"),
        (2**64, "beyond 64 bits"),
        ({1: 2}, "has the key 1"),
        (LOOP, "contains itself"),
        ("\ud800", "UnicodeEncodeError"),
        ("x" * STATE_LIMIT, "it may take 65,536"),
    ],
)
def test_what_would_not_come_back_is_refused_by_its_place(value, why):
    memory = Memory(b"{}")
    memory.data["x"] = value
    with pytest.raises(HandlerFailed, match=why):
        memory.encode()


def test_our_own_keys_are_refused():
    memory = Memory(b"{}")
    memory.data["$ask"] = 1
    with pytest.raises(HandlerFailed, match="begin with"):
        memory.encode()


@given(states)
def test_a_pending_question_lies_beside_the_state_and_is_not_seen(state):
    memory = Memory(encode_state(state))
    memory.pending = Pending(handler="h", event=Event(Kind.MESSAGE, "c", "k", text="$ask"), before=state, until=5.0)
    stored = memory.encode()
    again = Memory(stored)
    assert again.data == state
    assert again.pending == memory.pending
    assert again.encode() is None
    again.pending = None
    assert again.encode() == encode_state(state)


def test_a_question_of_an_unknown_form_is_forgotten():
    memory = Memory(b'{"a":1,"$ask":{"version":9}}')
    assert memory.pending is None
    assert memory.data == {"a": 1}
    assert memory.encode() == b'{"a":1}'


def test_a_text_that_mentions_the_mark_is_no_question():
    stored = msgspec.json.encode({"said": '"$ask"', "in": {"$ask": 1}})
    memory = Memory(stored)
    assert memory.pending is None
    assert memory.encode() is None
