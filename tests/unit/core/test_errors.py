"""The tree of errors is the one that is drawn, and each one speaks for itself."""

from __future__ import annotations

import inspect
import re

import pytest

from botstead.core import errors
from botstead.core.errors import BotsteadError

ALL = [thing for _, thing in inspect.getmembers(errors, inspect.isclass) if issubclass(thing, BotsteadError)]


def drawn() -> dict[str, str]:
    """Each name in the drawing with the name of its parent."""
    parents, stack = {}, []
    for line in inspect.getdoc(errors).splitlines():
        found = re.match(r"^([│├└─ ]*)([A-Z]\w+)(?:\s|$)", line)
        if found is None or (not found[1] and found[2] != "BotsteadError"):
            continue
        depth = len(found[1]) // 4
        stack[depth:] = [found[2]]
        parents[found[2]] = stack[depth - 1] if depth else "Exception"
    return parents


def test_the_tree_is_as_drawn():
    assert drawn() == {error.__name__: error.__bases__[0].__name__ for error in ALL}


@pytest.mark.parametrize("error", ALL)
def test_the_docstring_is_the_message_and_a_sentence(error):
    made = error()
    assert made.message == str(made) == inspect.cleandoc(error.__doc__)
    assert made.message[0].isupper()
    assert made.message.endswith(".")
    assert made.after is None


@pytest.mark.parametrize("error", ALL)
def test_own_words_and_a_wait_are_kept(error):
    made = error("Own words.", after=2.5)
    assert (made.message, str(made), made.after) == ("Own words.", "Own words.", 2.5)


@pytest.mark.parametrize("error", ALL)
def test_codes_and_statuses_are_well_formed(error):
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", error.code)
    assert 400 <= error.status < 600
    assert error.retry in ("never", "later", "after")
    if issubclass(error, errors.RequestError):
        assert 400 <= error.status < 500
        assert error.expected
    if "Retry-After" in drawn_line(error):
        assert error.retry == "after"
    said = re.search(rf"{error.__name__}\s+(\d{{3}})", errors.__doc__)
    if said:
        assert error.status == int(said[1])


def drawn_line(error) -> str:
    return next(line for line in errors.__doc__.splitlines() if re.search(rf"\b{error.__name__}\b", line))


def test_codes_are_unique():
    codes = [error.code for error in ALL]
    assert len(set(codes)) == len(codes)


def test_a_rejection_says_why_for_counting_only():
    error = errors.Rejected(reason="clock")
    assert error.reason == "clock"
    assert "clock" not in error.message
