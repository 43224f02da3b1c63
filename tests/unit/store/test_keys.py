"""API keys as text: made, taken apart, refused."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from botstead.store.keys import CRC_LENGTH, DIGITS, Key, Principal, base62, checksum, mint, read

KEY = re.compile(r"bsk_[0-9A-Za-z]{12}_[0-9A-Za-z]{36}")


def test_a_new_key_has_the_shape_that_scanners_know():
    key = mint()
    assert KEY.fullmatch(key.text())
    assert read(key.text()) == key
    assert key.secret not in repr(key)
    assert mint() != key


@given(st.integers(min_value=0, max_value=62**6 - 1))
def test_base62_is_read_back(number):
    text = base62(number, 6)
    value = 0
    for digit in text:
        value = value * 62 + DIGITS.index(digit)
    assert (value, len(text)) == (number, 6)


@given(st.text() | st.from_regex(r"bsk_[0-9A-Za-z]{12}_[0-9A-Za-z]{36}\n?", fullmatch=True))
def test_any_text_is_read_or_refused(text):
    key = read(text)
    assert key is None or key.text() == text


@given(st.text(alphabet=DIGITS, min_size=12, max_size=12), st.text(alphabet=DIGITS, min_size=30, max_size=30))
def test_every_key_is_read_back(identifier, secret):
    assert read(Key(identifier, secret).text()) == Key(identifier, secret)


@given(st.data())
def test_one_wrong_character_is_noticed(data):
    text = mint().text()
    place = data.draw(st.integers(min_value=0, max_value=len(text) - 1))
    other = data.draw(st.sampled_from([digit for digit in DIGITS if digit != text[place]]))
    assert read(text[:place] + other + text[place + 1 :]) is None


def test_digits_of_other_scripts_are_refused():
    text = mint().text()
    assert read(text[:-1] + "٣") is None
    assert read(text + "\n") is None
    assert read(f" {text}") is None


def test_the_checksum_covers_everything_before_it():
    assert len(checksum("bsk_a_b")) == CRC_LENGTH
    assert checksum("bsk_a_b") != checksum("bsk_a_c")


def test_admin_may_everything():
    assert Principal("k", frozenset({"admin"})).may("keys:write")
    assert not Principal("k", frozenset({"bots:read"})).may("bots:write")
