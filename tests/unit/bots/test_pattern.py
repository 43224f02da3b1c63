"""Patterns: what they take, what they refuse, and that writing and reading are inverse."""

from __future__ import annotations

import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.bots.pattern import Pattern, button_regex


@pytest.mark.parametrize(
    ("pattern", "text", "taken"),
    [
        ("weather <city>", "weather Oslo", {"city": "Oslo"}),
        ("weather <city>", "WEATHER  New   York ", {"city": "New   York"}),
        ("weather <city>", "weather", None),
        ("weather", "weather Oslo", None),
        ("/weather [<city>]", "weather", {}),
        ("remind [<who>] <what...>", "remind buy milk", {"who": "buy", "what": "milk"}),
        ("remind [<who>] <what...>", "remind milk", {"what": "milk"}),
        ("order status <id>", "order status 7", {"id": "7"}),
        ("order status <id>", "order 7", None),
        ("turn <lamp> [now]", "turn kitchen now", {"lamp": "kitchen"}),
        ("turn <lamp> [now]", "turn kitchen", {"lamp": "kitchen"}),
        ("turn <lamp> [now]", "turn kitchen later", None),
    ],
)
def test_it_takes_what_it_says(pattern, text, taken):
    assert Pattern.parse(pattern).match(text) == taken


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("", "must begin with a word"),
        ("<city>", "must begin with a word"),
        ("[weather] now", "must begin with a word"),
        ("weather <a> <a>", "twice"),
        ("weather <rest...> now", "must stand last"),
        ("weather <class>", "word of Python"),
        ("weather <2x>", "neither"),
        ("weather [<city>", "neither"),
        ("weather <>", "neither"),
    ],
)
def test_mistakes_are_named(pattern, why):
    with pytest.raises(ValueError, match=why):
        Pattern.parse(pattern)


words = st.text(st.characters(codec="utf-8", exclude_categories=("Z", "C"), exclude_characters="<>[]/@"), min_size=1, max_size=8)
names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: not keyword.iskeyword(name))


@st.composite
def patterns(draw):
    """A pattern without optional parts, and values for its placeholders."""
    holes = draw(st.lists(names, unique=True, max_size=4))
    pieces = [draw(words), *draw(st.permutations([*(f"<{name}>" for name in holes), *draw(st.lists(words, max_size=3))]))]
    values = {name: draw(words) for name in holes}
    if pieces[-1].startswith("<"):
        values[pieces[-1][1:-1]] = " ".join(draw(st.lists(words, min_size=1, max_size=3)))
    return " ".join(pieces), values


@given(patterns())
def test_matching_reads_back_what_formatting_wrote(drawn):
    text, values = drawn
    pattern = Pattern.parse(text)
    assert pattern.match(pattern.format(values)) == values
    assert Pattern.parse(str(pattern)) == pattern


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_is_read_or_refused(pattern, text):
    try:
        parsed = Pattern.parse(pattern)
    except ValueError:
        return
    taken = parsed.match(text)
    assert taken is None or set(taken) <= set(parsed.names)


def test_button_patterns_are_exact_or_take_the_rest():
    assert button_regex("buy").fullmatch("buyer") is None
    assert button_regex("buy:<item>:<n>").fullmatch("buy:a b:2").groupdict() == {"item": "a b", "n": "2"}
    assert button_regex("a.b").fullmatch("axb") is None
    for wrong in ("", "<a><a>"):
        with pytest.raises(ValueError, match="empty or has a name twice"):
            button_regex(wrong)
