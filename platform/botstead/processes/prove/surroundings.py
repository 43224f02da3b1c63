"""Which versions and which machine a proof was made with: without them its figures mean little."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from botstead.core.errors import ConfigurationError
from botstead.processes.embedded import wheels
from botstead.processes.prove.play import SCRATCH

SECONDS = 10.0
UNKNOWN = "not found"


def versions() -> dict[str, str]:
    """Return the version of everything that takes part, by name."""
    return {
        "botstead": importlib.metadata.version("botstead"),
        "python": platform.python_version(),
        "postgres": _version(lambda: wheels.postgres() / "bin" / "postgres", "--version"),
        "valkey": _version(wheels.valkey, "--version"),
        "caddy": _version(wheels.caddy, "version"),
    }


def machine() -> dict[str, str]:
    """Return what the machine is, by name."""
    memory = int(_first(Path("/proc/meminfo"), r"MemTotal:\s*(\d+)", default="0"))  # in kB
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _first(Path("/proc/cpuinfo"), r"model name\s*:\s*(.+)"),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "memory": f"{memory / 1e6:.1f} GB",
        "scratch": f"{SCRATCH}, {shutil.disk_usage(SCRATCH).free / 1e9:.0f} GB free",
    }


def _version(where: Callable[[], Path], argument: str) -> str:
    with suppress(ConfigurationError, OSError, subprocess.SubprocessError):
        said = subprocess.run((str(where()), argument), capture_output=True, text=True, check=False, timeout=SECONDS).stdout
        if found := re.search(r"\d+(\.\d+)+", said):
            return found[0]
    return UNKNOWN


def _first(path: Path, pattern: str, *, default: str = UNKNOWN) -> str:
    with suppress(OSError):
        if found := re.search(pattern, path.read_text()):
            return found[1].strip()
    return default
