"""Drives `load.c`: compiles it once, starts it, and runs one phase after the other."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

SOURCE = Path(__file__).with_name("load.c")
CHATS = 1_000
STEP = 10_000_000
"""Between the update ids of two phases, so that none is taken for a duplicate."""


def compiled() -> Path:
    """Return the program; it is compiled when its source has changed."""
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    program = Path(tempfile.gettempdir()) / f"botstead-load-{digest}"
    if not program.exists():
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise click.ClickException("A C compiler is needed for the load generator (on Debian: apt-get install gcc).")
        part = program.with_suffix(".part")
        subprocess.run([compiler, "-O2", "-o", part, SOURCE], check=True)
        part.rename(program)
    return program


class Load:
    """A running load generator: it delivers to one target, and is the provider that the target calls."""

    def __init__(self, *, port: int, paths: Sequence[str], secret: str, api_port: int, seed: int, chats: int = CHATS) -> None:
        self._phases = 0
        self._process = subprocess.Popen(
            [compiled(), str(port), ",".join(paths), secret, str(api_port), str(seed), str(chats)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, count: int, *, rate: float, connections: int) -> dict[str, Any]:
        """Deliver `count` updates, at `rate` a second or (0) as fast as they are acknowledged; returns what was seen."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._phases += 1
        self._process.stdin.write(f"{count} {rate} {connections} {self._phases * STEP}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise click.ClickException(f"The load generator ended with status {self._process.wait()}: is the target still there?")
        seen: dict[str, Any] = json.loads(line)
        return seen

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=10)
