"""The echo job: deliver, acknowledge, handle, reply; at saturation or at a rate."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from typing import Any

from tests.bench.load import CHATS, Load
from tests.bench.processes import cpu_seconds, memory_mb
from tests.bench.targets import Target

WARM_UP = 2_000
CLOSED, OPEN = 64, 256
"""Connections of a closed and of an open loop."""
SETTLE = 0.5
"""Seconds after a phase until the last marks are written; their CPU belongs to it."""
Row = dict[str, Any]


def measured(
    target: Target, api_port: int, phases: Iterable[tuple[int, float]], *, seed: int, chats: int = CHATS, warm_up: int = WARM_UP
) -> Iterator[Row]:
    """Warm a target up, then run phases of (messages, messages a second)."""
    load = Load(port=target.port, paths=target.paths, secret=target.secret, api_port=api_port, seed=seed, chats=chats)
    try:
        load.run(warm_up, rate=0, connections=CLOSED)
        for count, rate in phases:
            time.sleep(SETTLE)
            before = {role: cpu_seconds(pid) for role, pid in target.pids.items()}
            seen = load.run(count, rate=rate, connections=OPEN if rate else CLOSED)
            time.sleep(SETTLE)
            cpu = {role: (cpu_seconds(pid) - before[role]) / count * 1e3 for role, pid in target.pids.items()}
            memory = {role: memory_mb(pid) for role, pid in target.pids.items()}
            yield {
                "target": target.name,
                **seen,
                "load": os.getloadavg()[0],
                "cpu_ms": sum(cpu.values()),
                "memory_mb": sum(memory.values()),
                **{f"cpu_ms_{role}": value for role, value in cpu.items()},
                **{f"memory_mb_{role}": value for role, value in memory.items()},
            }
    finally:
        load.close()
