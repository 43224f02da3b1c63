"""What commands write: tables for people, JSON for programs. Texts of strangers cannot steer the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
import msgspec
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

WIDE = 240
"""Columns when the output goes to a file or another program, so that nothing is cut."""
CONTROLS = dict.fromkeys((*range(32), *range(127, 160), 0x202D, 0x202E, 0x2066, 0x2067, 0x2068), "\ufffd")
"""Control characters, and those that turn the writing direction around."""


def shown(value: Any) -> str:
    """Write a value for people, on one line, without control characters.

    Args:
        value: from the API.
    """
    if value is None or value in ("", [], ()):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple | dict):
        value = ", ".join(map(str, value)) if _flat(value) else msgspec.json.encode(value).decode()
    return str(value).replace("\n", " ⏎ ").translate(CONTROLS)


def _flat(value: Any) -> bool:
    return not isinstance(value, dict) and all(isinstance(item, str) for item in value)


class Output:
    """Writes the results of one command."""

    def __init__(self, *, as_json: bool) -> None:
        """Prepare.

        Args:
            as_json: for programs.
        """
        self.as_json = as_json
        self._console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else WIDE, highlight=False)

    def table(self, rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, empty: str) -> None:
        """Write a list.

        Args:
            rows: from the API.
            columns: fields that people see.
            empty: what to say when there is nothing.
        """
        found = list(rows)
        if self.as_json:
            self._json(found)
            return
        if not found:
            click.echo(empty)
            return
        table = Table(*[column.replace("_", " ") for column in columns], box=None, header_style="bold", pad_edge=False)
        for row in found:
            table.add_row(*[Text(shown(row.get(column))) for column in columns])
        self._console.print(table)

    def record(self, record: Mapping[str, Any], *, hide: Iterable[str] = ()) -> None:
        """Write one thing, a field a line.

        Args:
            record: from the API.
            hide: fields that only programs see.
        """
        if self.as_json:
            self._json(record)
            return
        table = Table(box=None, show_header=False, pad_edge=False)
        for name in record:
            if name not in set(hide):
                table.add_row(Text(name.replace("_", " "), style="bold"), Text(shown(record[name])))
        self._console.print(table)

    def record_as(self, record: Mapping[str, Any], *, whole: Any) -> None:
        """Write one thing in words for people; programs get the whole answer.

        Args:
            record: what people see.
            whole: for programs.
        """
        self.record(whole if self.as_json else record)

    def record_with_table(
        self, record: Mapping[str, Any], rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, whole: Any
    ) -> None:
        """Write one thing and a list that belongs to it; programs get the whole answer.

        Args:
            record: the thing.
            rows: the list.
            columns: those of them that hold anything are shown.
            whole: for programs.
        """
        if self.as_json:
            self._json(whole)
            return
        found = list(rows)
        self.record(record)
        click.echo()
        self.table(found, [column for column in columns if any(row.get(column) for row in found)], empty="")

    def pictures(self, drawn: Iterable[RenderableType], *, whole: Any) -> None:
        """Write drawings, an empty line between them; programs get what they show.

        Args:
            drawn: for people.
            whole: for programs.
        """
        if self.as_json:
            self._json(whole)
            return
        for number, one in enumerate(drawn):
            if number:
                click.echo()
            self._console.print(one)

    def done(self, sentence: str, result: Any = None) -> None:
        """Say that something is done; programs get the result instead."""
        if self.as_json:
            self._json(result)
        else:
            click.echo(sentence.translate(CONTROLS))

    def _json(self, value: Any) -> None:
        click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
