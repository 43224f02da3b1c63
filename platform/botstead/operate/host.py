"""How this machine is, as Linux tells it: pressure, processor time, memory, disk. Pure readers, and one that opens the files.

Pressure, not the load average: it says how much time was lost by waiting, whatever the number of cores.
Sources: https://docs.kernel.org/accounting/psi.html, https://docs.kernel.org/filesystems/proc.html
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

PROC: Final = Path("/proc")
RESOURCES: Final = ("cpu", "memory", "io")
_SOME = re.compile(r"^some .*\btotal=(\d+)$", re.MULTILINE)
_MODES: Final = {"user": (0, 1), "system": (2, 5, 6), "idle": (3,), "iowait": (4,), "steal": (7,)}
"""Our modes to the columns of `/proc/stat`: niced time is user time, interrupts are system time."""


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """What could be read; what this system does not tell is None or absent. Seconds and bytes."""

    pressure: Mapping[str, float]
    cpu: Mapping[str, float]
    memory_available: int | None
    memory_total: int | None
    oom_kills: int | None
    disk_free: int | None
    disk_size: int | None


def look(data: Path, *, proc: Path = PROC) -> Host:
    """Read how the machine is. A file that is missing or reads oddly only leaves its part out.

    Args:
        data: folder whose file system counts.
        proc: where the kernel's files are.
    """
    memory = meminfo(_text(proc / "meminfo"))
    found = {resource: waited(_text(proc / "pressure" / resource)) for resource in RESOURCES}
    disk = None
    with suppress(OSError):
        disk = shutil.disk_usage(data)
    return Host(
        pressure={resource: seconds for resource, seconds in found.items() if seconds is not None},
        cpu=processor(_text(proc / "stat"), ticks=os.sysconf("SC_CLK_TCK")),
        memory_available=memory.get("MemAvailable"),
        memory_total=memory.get("MemTotal"),
        oom_kills=counted(_text(proc / "vmstat"), "oom_kill"),
        disk_free=disk.free if disk else None,
        disk_size=disk.total if disk else None,
    )


def waited(text: str) -> float | None:
    """Return the seconds in which something waited, from a file of `/proc/pressure`.

    Args:
        text: its content.
    """
    found = _SOME.search(text)
    return int(found[1]) / 1e6 if found else None


def processor(text: str, *, ticks: int) -> dict[str, float]:
    """Return seconds by mode over all processors, from `/proc/stat`; empty when it does not read as such.

    Args:
        text: its content.
        ticks: of the kernel's clock in a second.
    """
    head = text.partition("\n")[0].split()
    if len(head) < 9 or head[0] != "cpu" or not all(word.isascii() and word.isdigit() for word in head[1:]):
        return {}
    columns = [int(word) for word in head[1:]]
    return {mode: sum(columns[index] for index in indexes) / ticks for mode, indexes in _MODES.items()}


def meminfo(text: str) -> dict[str, int]:
    """Return sizes in bytes by name, from `/proc/meminfo`.

    Args:
        text: its content.
    """
    rows = re.findall(r"^(\w+): +([0-9]+) kB$", text, re.MULTILINE | re.ASCII)
    return {name: int(size) * 1024 for name, size in rows}


def counted(text: str, name: str) -> int | None:
    """Return one count from `/proc/vmstat`.

    Args:
        text: its content.
        name: of the count.
    """
    found = re.search(rf"^{re.escape(name)} ([0-9]+)$", text, re.MULTILINE)
    return int(found[1]) if found else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
