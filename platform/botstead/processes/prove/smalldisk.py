"""A small disk that can be filled to the last byte and freed again: a file system in memory, mounted for an experiment.

Linux, as root: tmpfs(5), mount(8). It answers a write beyond its size with ENOSPC as a disk does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from botstead.processes.prove.severed import run

BALLAST = "ballast"
BLOCK = 4_096
SECONDS = 10.0


class Disk:
    """One that is mounted. Use `disk()`."""

    def __init__(self, folder: Path) -> None:
        """Name it.

        Args:
            folder: where it is mounted.
        """
        self.folder = folder

    def fill(self) -> int:
        """Leave no block free; returns the bytes that it took.

        Whatever is freed meanwhile by others is taken too when this is called again.
        """
        taken = 0
        with (self.folder / BALLAST).open("ab") as ballast:
            while free := shutil.disk_usage(self.folder).free:
                try:
                    os.posix_fallocate(ballast.fileno(), ballast.seek(0, os.SEEK_END), max(BLOCK, free // 2))
                except OSError:
                    if free <= BLOCK:
                        break
                else:
                    taken += max(BLOCK, free // 2)
        return taken

    def free(self) -> None:
        """Give back what `fill` took."""
        with suppress(FileNotFoundError):
            (self.folder / BALLAST).unlink()


def missing() -> str:
    """Say what this machine lacks, "" for nothing."""
    if sys.platform != "linux":
        return "a file system in memory is mounted on Linux only"
    if os.geteuid() != 0:
        return "needs root to mount a small file system: run it with sudo"
    if shutil.which("mount") is None or shutil.which("umount") is None:
        return "needs mount and umount: apt-get install mount"
    return ""


@contextmanager
def disk(folder: Path, *, megabytes: int) -> Iterator[Disk]:
    """Mount one; it is gone afterwards with all that was on it.

    Args:
        folder: where; made when it is not there.
        megabytes: its size.

    Raises:
        OSError: the machine refuses, as in a container without the right to mount.
    """
    folder.mkdir(exist_ok=True)
    mode = folder.stat()
    options = f"size={megabytes}m,mode={mode.st_mode & 0o777:o},uid={mode.st_uid},gid={mode.st_gid}"
    run(f"mount -t tmpfs -o {options} tmpfs {folder}")
    try:
        yield Disk(folder)
    finally:
        # Lazily: a process that is just ending may still be in it.
        subprocess.run([shutil.which("umount") or "umount", "-l", str(folder)], check=False, capture_output=True, timeout=SECONDS)
