"""A planted secret is known again in every form, whatever stands around it, and nothing else is taken for one."""

from __future__ import annotations

import base64
import json
import random
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.processes.prove.canaries import MARK, Canaries

FORMS = {
    "plain": lambda text: text,
    "quoted": lambda text: quote(text, safe=b""),
    "every letter percent-encoded": lambda text: "".join(f"%{ord(each):02X}" for each in text).encode(),
    "every letter escaped": lambda text: "".join(f"\\u{ord(each):04x}" for each in text).encode(),
    "hex": lambda text: text.encode().hex(),
    "HEX": lambda text: text.encode().hex().upper(),
}


def planted(names=("one", "two", "three")) -> Canaries:
    made = Canaries(random.Random(1))
    for name in names:
        made.make(name, "https://x/{}?q=1")
    return made


def names(canaries: Canaries, content: bytes) -> list[str]:
    return [each.name for each in canaries.found(content)]


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@given(before=st.binary(max_size=50), after=st.binary(max_size=50))
def test_it_is_known_in_each_form(form, before, after):
    made = planted()
    shown = form(made.planted[1].text)
    shown = shown if isinstance(shown, bytes) else shown.encode()
    assert names(made, before + shown + after) == ["two"]


@given(before=st.binary(max_size=50), after=st.binary(max_size=50))
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_it_is_known_inside_base64_at_any_offset(encode, before, after):
    made = planted()
    inside = encode(before + made.planted[2].text.encode() + after)
    assert names(made, b'{"a": "' + inside + b'"}') == ["three"]


@given(st.integers(0, 15))
def test_half_of_it_is_enough(cut):
    """A line that was cut off, or a value of which only the end is shown."""
    made = planted()
    letters = "".join(made.planted[0].pieces)
    assert names(made, letters[: 32 - cut].encode()) == ["one"]
    assert names(made, letters[cut:].encode()) == ["one"]


@given(st.binary(max_size=300))
def test_nothing_else_is_taken_for_one(content):
    made = planted()
    assert names(made, content) == []
    assert names(made, content + MARK.encode() + content) == []


def test_a_key_without_a_mark_is_looked_for_by_its_ends():
    made = planted(())
    key = made.add("key", "0123456789abcdefXYZ0123456789abcdefQ")
    assert names(made, f"<{key[:16]}…>".encode()) == ["key"]
    assert names(made, json.dumps(base64.b64encode(f"ab{key}".encode()).decode()).encode()) == ["key"]
    assert names(made, key[2:17].encode()) == []


def test_each_of_many_is_told_apart():
    made = planted([str(number) for number in range(40)])
    content = b" ".join(each.text.encode() for each in made.planted[::2])
    assert names(made, content) == [each.name for each in made.planted[::2]]
    assert len({each.text for each in made.planted}) == 40
