"""What commands write, and how addresses are built. No network."""

from __future__ import annotations

from urllib.parse import unquote

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from botstead.processes.cli.client import address
from botstead.processes.cli.doctor import without_password
from botstead.processes.cli.output import CONTROLS, Output, shown
from botstead.processes.cli.secrets import named


@given(st.text())
def test_no_text_steers_the_terminal(text):
    assert not set(map(ord, shown(text))) & set(CONTROLS)


@given(st.lists(st.text(min_size=1), min_size=1, max_size=4))
def test_addresses_keep_their_parts(parts):
    path = address(*parts)
    assert [unquote(part) for part in path.split("/")[1:]] == parts


def test_values_for_people():
    assert [shown(value) for value in (None, "", (), True, False, ["a", "b"], {"a": 1}, 0, "a\nb")] == [
        "-",
        "-",
        "-",
        "yes",
        "no",
        "a, b",
        '{"a":1}',
        "0",
        "a ⏎ b",
    ]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgres://me:hush@db:5432/x", "postgres://me:•••@db:5432/x"),
        ("postgres://db/x?user=me&password=hush", "postgres://db/x?user=me&password=•••"),
        ("postgres://db/x?password=hush&user=me", "postgres://db/x?password=•••&user=me"),
        ("valkey://:hush@127.0.0.1:1/0", "valkey://:•••@127.0.0.1:1/0"),
        ("https://bots.example.org", "https://bots.example.org"),
        ("info", "info"),
        ("http://[broken", "•••"),
    ],
)
def test_passwords_are_masked(text, masked):
    assert without_password(text) == masked


def test_pairs():
    assert named(["a=1", "b=x=y"], "--setting") == {"a": "1", "b": "x=y"}
    for wrong in (["a"], ["a=1", "a=2"]):
        with pytest.raises(click.UsageError):
            named(wrong, "--setting")


def test_tables_and_records(capsys):
    out = Output(as_json=False)
    out.table([{"name": "[bold]x[/bold]", "n": 1}], ["name", "n"], empty="none")
    out.table([], ["name"], empty="none")
    out.record({"a": 1, "b": [1, 2]})
    written = capsys.readouterr().out
    assert "[bold]x[/bold]" in written
    assert "none" in written
    assert "[1,2]" in written
