"""A wall clock that is wrong for one process, and can be set while it runs: libfaketime, loaded into that process only.

Its monotonic clock stays right, as on a machine whose time of day was set. Source: https://github.com/wolfcw/libfaketime
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

FILE = "clock.txt"
PLACES = (
    "/usr/lib/*/faketime/libfaketimeMT.so.1",
    "/usr/lib*/faketime/libfaketimeMT.so.1",
    "/usr/local/lib/faketime/libfaketimeMT.so.1",
)
NOTICED = 1.0
"""Seconds after which a process looks at its clock's file again."""


class WrongClock(msgspec.Struct, frozen=True):
    """The clock of a process.

    Args:
        name: what the file is called, in the process's working folder.
        library: libfaketime.
    """

    name: str
    library: Path

    @property
    def wrap(self) -> tuple[str, ...]:
        """Command words that give a program this clock; right until it is set."""
        return (
            "env",
            f"LD_PRELOAD={self.library}",
            f"FAKETIME_TIMESTAMP_FILE={self.name}",
            f"FAKETIME_CACHE_DURATION={NOTICED:g}",
            "FAKETIME_DONT_FAKE_MONOTONIC=1",
            "FAKETIME_DISABLE_SHM=1",
        )

    def set(self, folder: Path, text: str) -> None:
        """Set it; noticed within a second.

        Args:
            folder: working folder of the process.
            text: "+3600" for an hour fast, "-3600" for an hour slow, "+0" for right, a date for one that stands still.
        """
        draft = folder / f"{self.name}.new"
        draft.write_text(text + "\n")
        draft.chmod(0o644)
        draft.rename(folder / self.name)


def library() -> Path | None:
    """Return libfaketime, the one for programs with threads; None where there is none."""
    if sys.platform != "linux":
        return None
    found = (path for place in PLACES for path in Path("/").glob(place.removeprefix("/")))
    return next(found, None)
