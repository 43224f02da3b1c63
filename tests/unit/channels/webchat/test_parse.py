"""What the page posts, and what it must not."""

from __future__ import annotations

import json
import uuid
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.channels.webchat.parse import TEXT_LIMIT, parse_posted
from botstead.core.errors import Invalid, Unreadable
from botstead.core.messages import Kind

VISITOR = str(uuid.UUID(int=1))
FRESH = uuid.UUID(int=2)
OWN = uuid.UUID(int=3)


def parse(body):
    return parse_posted(body if isinstance(body, bytes) else json.dumps(body).encode(), visitor=VISITOR, fresh=FRESH)


def test_a_text_becomes_a_message():
    event = parse({"text": "one\r\ntwo\0", "id": str(OWN), "later": "fields"})
    assert (event.kind, event.conversation, event.text) == (Kind.MESSAGE, VISITOR, "one\ntwo")
    assert event.key == f"{VISITOR}.{OWN}"
    assert event.message_id == str(OWN)
    assert event.author.id == VISITOR


def test_a_button_carries_its_label_and_its_message():
    event = parse({"button": "yes", "text": "Yes, please", "message": 12, "id": str(OWN)})
    assert (event.kind, event.button, event.text, event.message_id, event.press) == (
        Kind.BUTTON,
        "yes",
        "Yes, please",
        "12",
        str(OWN),
    )
    assert parse({"button": "yes"}).text == "yes"
    assert parse({"button": "yes"}).message_id == ""


def test_without_an_id_a_fresh_one_is_taken():
    assert parse({"text": "x", "id": None}).key == f"{VISITOR}.{FRESH}"


@given(st.text(min_size=1, max_size=200))
def test_any_text_comes_through_or_is_refused(text):
    try:
        event = parse({"text": text})
    except (Invalid, Unreadable):
        assert not text.replace("\0", "").strip() or any(0xD800 <= ord(sign) < 0xE000 for sign in text)
    else:
        assert event.text == text.replace("\0", "").replace("\r\n", "\n")


@given(
    st.one_of(
        st.binary(max_size=100),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=9),
            lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["text", "button", "id", "message"]), inner),
        ),
    )
)
def test_garbage_only_ever_gets_our_own_errors(body):
    with suppress(Invalid, Unreadable):
        assert parse(body).key


def test_the_limit_counts_characters():
    assert parse({"text": "ü" * TEXT_LIMIT})
    with pytest.raises(Invalid, match="8001"):
        parse({"text": "ü" * (TEXT_LIMIT + 1)})


def test_the_message_says_which_field_is_wrong():
    with pytest.raises(Invalid, match=r"\$\.text"):
        parse({"text": 5})
