"""What a child prints: kept in a rotated file, its last lines in memory, and shown on the terminal."""

from __future__ import annotations

import logging
import logging.handlers
import zlib
from collections import deque
from collections.abc import Callable
from pathlib import Path

import click

FILE_SIZE = 10_000_000
"""Bytes after which a log file is put aside …"""
FILES_KEPT = 2
"""… and how many of those are kept besides the current one."""
LAST_LINES = 8
"""Lines kept in memory, for saying why a child ended."""
LINE_LIMIT = 16_384
"""Bytes after which a line is cut in two, so that a child that prints no line ends cannot fill our memory."""
COLOURS = ("cyan", "green", "yellow", "blue", "magenta", "bright_cyan", "bright_green", "bright_yellow", "bright_blue")

Echo = Callable[[str, str], None]
"""Given an instance name and a line of its, show it."""


class ChildLog:
    """The log of one instance, over all its restarts."""

    def __init__(self, path: Path, *, echo: Echo) -> None:
        """Open the file for appending.

        Args:
            path: the log file, named for the instance.
            echo: called with each line.
        """
        self.path = path
        self.last: deque[str] = deque(maxlen=LAST_LINES)
        self._echo = echo
        self._rest = b""
        self._file = logging.handlers.RotatingFileHandler(
            path, maxBytes=FILE_SIZE, backupCount=FILES_KEPT, encoding="utf-8", errors="replace"
        )

    def feed(self, data: bytes) -> None:
        """Take what the child printed.

        Args:
            data: bytes as read, cut anywhere.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(line)
        if len(self._rest) > LINE_LIMIT:
            self.flush()

    def flush(self) -> None:
        """Take an unfinished line as finished: its writer is gone."""
        if self._rest:
            self._line(self._rest)
        self._rest = b""

    def close(self) -> None:
        """Close the file."""
        self.flush()
        self._file.close()

    def _line(self, raw: bytes) -> None:
        text = raw.decode("utf-8", "replace").rstrip()
        self._file.emit(logging.makeLogRecord({"msg": text}))
        if text:
            self.last.append(text)
            self._echo(self.path.stem, text)


def on_terminal(instance: str, line: str) -> None:
    """Show a line with its instance's name in a colour of its own.

    Args:
        instance: the instance.
        line: what it printed.
    """
    colour = COLOURS[zlib.crc32(instance.encode()) % len(COLOURS)]
    click.echo(f"{click.style(f'{instance:>11}', fg=colour)} {line}", err=True)


def nowhere(_instance: str, _line: str) -> None:
    """Show nothing: the file has it."""
