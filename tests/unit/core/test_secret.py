"""A secret shows itself to nobody but `reveal`."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.core.secret import Secret, hidden, repeats

VALUE = "hunter2-very-secret"


@pytest.mark.parametrize(
    "show",
    [
        str,
        repr,
        ascii,
        lambda s: f"{s}",
        lambda s: f"{s!r:>40}",
        lambda s: f"{s:>40}",
        "{0} {0!r}".format,
        lambda s: repr([s, {"k": s}]),
        lambda s: str(dir(s)),
        lambda s: logging.LogRecord("n", 20, "p", 1, "token %s", (s,), None).getMessage(),
        lambda s: str(KeyError(s)),
    ],
)  # fmt: skip
def test_no_way_of_writing_shows_it(show):
    assert VALUE not in show(Secret(VALUE))


@pytest.mark.parametrize(
    "encode", [pickle.dumps, json.dumps, msgspec.json.encode, msgspec.msgpack.encode, copy.copy, copy.deepcopy]
)
def test_no_way_of_copying_takes_it(encode):
    with pytest.raises(TypeError) as caught:
        encode(Secret(VALUE))
    assert VALUE not in "".join(traceback.format_exception(caught.value))


def test_it_is_neither_key_nor_equal():
    with pytest.raises(TypeError):
        hash(Secret(VALUE))
    assert Secret(VALUE) != Secret(VALUE)
    assert Secret(VALUE) != VALUE
    assert not hasattr(Secret(VALUE), "__dict__")


@given(st.text(st.characters(exclude_categories=["Cs"])), st.binary())
def test_it_matches_its_own_bytes_only(value, other):
    secret = Secret(value)
    assert secret.matches(value.encode())
    assert secret.matches(other) == (other == value.encode())
    assert secret.reveal() == value


@pytest.mark.parametrize("value", ["123:AA-b_c", "p/w d+é", ""])
def test_somebody_elses_words_lose_it(value):
    said = f"Not Found: /bot{value}/send?key={quote(value, safe='')}!"
    assert hidden(said, [Secret("other"), Secret(value)]) == (said if not value else "Not Found: /bot…/send?key=…!")


@pytest.mark.parametrize("value", ["123:AA-b_c", 'p/w d+é"', "x\ny"])
def test_it_is_known_in_somebody_elses_bytes(value):
    for form in (value, quote(value, safe=""), json.dumps(value)):
        assert repeats(f"so {form}!".encode(), [Secret("other"), Secret(value)])
    assert not repeats(b"so \xff" + value[:-1].encode(), [Secret(value), Secret("")])
