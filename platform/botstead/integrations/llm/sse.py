"""Server-sent events from pieces of bytes that may be cut anywhere.

Lines end in CR, LF or CRLF; a line that begins with a colon is a comment; an empty line ends an event.
https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from __future__ import annotations

from typing import Final

from botstead.integrations.llm.errors import LlmNonsense

LONGEST: Final = 1_048_576
"""Bytes of one event at most."""
_BOM: Final = b"\xef\xbb\xbf"


class Events:
    """Collects pieces of bytes and gives the data of each event once it is whole. Other fields are passed over."""

    def __init__(self) -> None:
        """Begin a stream."""
        self._rest = bytearray()
        self._data: list[str] = []
        self._size = 0
        self._begun = False
        self._after_cr = False

    def feed(self, piece: bytes) -> list[str]:
        """Take the next bytes, and return the data of the events that they complete.

        Args:
            piece: any bytes, cut anywhere.

        Raises:
            LlmNonsense: an event is larger than `LONGEST`.
        """
        self._rest += piece
        if not self._begun:
            if len(self._rest) < len(_BOM) and _BOM.startswith(self._rest):
                return []
            self._begun = True
            self._rest = self._rest.removeprefix(_BOM)
        found = self._events()
        if self._size + len(self._rest) > LONGEST:
            raise LlmNonsense("an event of the stream is larger than a mebibyte")
        return found

    def end(self) -> list[str]:
        """Return what the stream holds although its last empty line never came: some servers leave it out."""
        self._begun = True
        found = self._events()
        if self._rest:
            self._line(bytes(self._rest))
            self._rest.clear()
        return [*found, *self._dispatched()]

    def _events(self) -> list[str]:
        found: list[str] = []
        start = 0
        rest = self._rest
        while (end := _end_of_line(rest, start)) >= 0:
            if self._after_cr and end == start and rest[end] == 0x0A:
                self._after_cr = False  # the second half of a CRLF
            else:
                self._after_cr = rest[end] == 0x0D
                line = bytes(rest[start:end])
                found += self._line(line) if line else self._dispatched()
            start = end + 1
        del rest[:start]
        return found

    def _line(self, line: bytes) -> list[str]:
        field, _, value = line.partition(b":")
        if field == b"data":
            value = value.removeprefix(b" ")
            self._size += len(value)
            self._data.append(value.decode(errors="replace"))
        return []

    def _dispatched(self) -> list[str]:
        if not self._data:
            return []
        data, self._data, self._size = "\n".join(self._data), [], 0
        return [data]


def _end_of_line(data: bytearray, start: int) -> int:
    ends = [place for place in (data.find(b"\n", start), data.find(b"\r", start)) if place >= 0]
    return min(ends, default=-1)
