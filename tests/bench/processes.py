"""What processes took, read from /proc: CPU seconds and memory of a process and everything it started."""

from __future__ import annotations

import os
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
TICK = os.sysconf("SC_CLK_TCK")


def _fields(pid: int) -> list[str]:
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def family(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                children[int(_fields(int(entry.name))[1])].append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        todo += children[found[-1]]
    return found


def cpu_seconds(pid: int) -> float:
    """Return user and system time of a family, those of children that have ended included."""
    ticks = 0
    for member in family(pid):
        with suppress(OSError):
            ticks += sum(map(int, _fields(member)[11:15]))
    return ticks / TICK


def memory_mb(pid: int) -> float:
    """Return the proportional set size of a family: shared pages count once, in parts."""
    kilobytes = 0
    for member in family(pid):
        with suppress(OSError):
            lines = (PROC / str(member) / "smaps_rollup").read_text().splitlines()
            kilobytes += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kilobytes / 1024
