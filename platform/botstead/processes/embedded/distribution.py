"""Programs that no wheel has and a distribution does: Prometheus and Alertmanager. Everything else runs without them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from typing import Final

from botstead.core.errors import ConfigurationError

INSTALL: Final = "apt-get install prometheus prometheus-alertmanager"
"""The one command, on Debian and Ubuntu."""
NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "prometheus": ("prometheus",),
    "alertmanager": ("prometheus-alertmanager", "alertmanager"),
}
"""Program to its names; Debian has its own for Alertmanager."""
DEADLINE = 10.0
_VERSION = re.compile(r"version (\d+)\.(\d+)")


def find(program: str) -> str | None:
    """Return the path of a program, or None when it is not installed.

    Args:
        program: prometheus or alertmanager.
    """
    return next((path for name in NAMES[program] if (path := shutil.which(name))), None)


def missing() -> str:
    """Return what to say of those that are not installed, or "" when both are."""
    absent = [program for program in NAMES if find(program) is None]
    if not absent:
        return ""
    named = " and ".join(name.capitalize() for name in absent)
    return f"{named} {'is' if len(absent) == 1 else 'are'} not installed, so nobody is alerted: {INSTALL}"


def version(path: str) -> tuple[int, int]:
    """Return the version of Prometheus or Alertmanager, its first two numbers.

    Args:
        path: the program.

    Raises:
        ConfigurationError: it does not tell.
    """
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=DEADLINE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"{path} does not tell its version: {error}.") from error
    found = _VERSION.search(done.stdout + done.stderr)
    if found is None:
        raise ConfigurationError(f"{path} does not tell its version. Install another one: {INSTALL}")
    return int(found[1]), int(found[2])
