"""The log of another process, read as it grows."""

from __future__ import annotations

from pathlib import Path
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class LogFile(Generic[T]):
    """JSON, one object a line."""

    def __init__(self, path: Path, kind: type[T]) -> None:
        """Read nothing yet.

        Args:
            path: the file; it may not be there yet.
            kind: what each line is.
        """
        self.path = path
        self._decode = msgspec.json.Decoder(kind).decode
        self._read = 0
        self._rest = b""

    def new(self) -> list[T]:
        """Return what was written whole since the last look, in order."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as log:
            log.seek(self._read)
            found = log.read()
        self._read += len(found)
        *lines, self._rest = (self._rest + found).split(b"\n")
        return [self._decode(line) for line in lines]
