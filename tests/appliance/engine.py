"""The `docker` program, asked from tests."""

import subprocess
from pathlib import Path

TREE = Path(__file__).parents[2]


def docker(*words, seconds=120, host=None):
    """Ask the engine; returns what it wrote.

    Args:
        words: of the command.
        seconds: that it may take.
        host: another engine than that of these tests.
    """
    command = ["docker", *(["-H", host] if host else []), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
