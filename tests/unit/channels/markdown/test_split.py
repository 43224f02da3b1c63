"""Long texts become parts that fit, cut where people would."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.channels.markdown import Mark, Run, Style, literal, read, split, utf16_length

texts = st.text(st.sampled_from("ab é😀\n.`*>-"), max_size=200)


def parts_of(text: str, limit: int, **options) -> list[str]:
    return ["".join(run.text for run in part) for part in split(literal(text), limit, **options)]


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("short", 10, ["short"]),
        ("one two\n\nthree", 10, ["one two", "three"]),
        ("one\n\ntwo\n\nthree", 10, ["one\n\ntwo", "three"]),
        ("one two\nthree", 10, ["one two", "three"]),
        ("one two three", 10, ["one two", "three"]),
        ("abcdefghijkl", 10, ["abcdefghij", "kl"]),
        ("one two\n\nthree", 7, ["one two", "three"]),
        ("a\n\n" + "b" * 12, 10, ["a", "b" * 10, "bb"]),
        ("    deep indent", 6, ["    de", "ep", "indent"]),
        ("", 10, []),
        (" " * 30, 10, []),
        ("a" + " " * 30 + "b", 10, ["a" + " " * 9, "b"]),
    ],
)
def test_cut_at_the_best_border(text, limit, expected):
    assert [part.rstrip() for part in parts_of(text, limit)] == [part.rstrip() for part in expected]


def test_the_first_part_may_be_shorter():
    assert parts_of("one two three four", 14, first=5) == ["one", "two three four"]


def test_a_blank_line_in_code_is_no_paragraph():
    runs = read("start\n\n```\nab\n\ncd\n```")
    parts = split(runs, 12)
    assert [[run.text for run in part] for part in parts] == [["start"], ["ab\n\ncd"]]


def test_formatting_goes_on_in_the_next_part():
    bold = (Style(Mark.BOLD),)
    assert split((Run("one two three", bold),), 8) == ((Run("one two", bold),), (Run("three", bold),))


def test_astral_characters_count_twice_and_stay_whole():
    parts = parts_of("😀" * 5, 4, length=utf16_length)
    assert parts == ["😀😀", "😀😀", "😀"]


@given(texts, st.integers(4, 40))
def test_every_part_fits_and_no_word_is_lost(text, limit):
    runs = read(text)
    parts = split(runs, limit, length=utf16_length, first=limit - 1)
    whole = "".join(run.text for run in runs)
    together = "".join(run.text for part in parts for run in part)
    assert re.sub(r"\s", "", together) == re.sub(r"\s", "", whole)
    for part in parts:
        shown = "".join(run.text for run in part)
        assert shown.strip()
        assert utf16_length(shown) <= limit
    assert len(parts) <= max(1, len(whole))


@given(st.text(max_size=50))
def test_utf16_length(text):
    assert utf16_length(text) == sum(2 if ord(character) > 0xFFFF else 1 for character in text)
