"""What an appliance costs before anybody says a word: seconds to start, memory, CPU."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from botstead.processes.embedded.postgres import SETTINGS
from tests.bench.echo import Row
from tests.bench.processes import cpu_seconds, memory_mb
from tests.bench.search import spread
from tests.bench.server import server
from tests.bench.targets import COMMAND, clean_environment, free_port, one_process, own_environment, scratch

QUIET = 4.0
"""Seconds after the start until it counts as at rest."""
WATCHED = 15.0
"""Seconds; one tick of the kernel's is 0.07 % of a core then."""
OPTIONS = tuple(
    f"{name}={value}" for name, value in SETTINGS.items() if name not in ("listen_addresses", "unix_socket_directories")
)


def rested(*, rounds: int) -> list[Row]:
    """Start, wait, watch; returns one row a figure."""
    seen: dict[tuple[str, str, str], list[float]] = {}
    for _ in range(rounds):
        for target, what, unit, value in (*_split(), *_one()):
            seen.setdefault((target, what, unit), []).append(value)
    return [
        {"target": target, "what": what, "unit": unit, **spread("value", values)} for (target, what, unit), values in seen.items()
    ]


def _split() -> Iterator[tuple[str, str, str, float]]:
    """Watch the appliance as it ships: processes, its own Postgres, Valkey and edge."""
    with scratch() as folder:
        data, environment = folder / "data", clean_environment()
        for what in ("first start, with a new database", "start again"):
            yield "split", what, "s", _up(data, folder, environment)
            try:
                if what == "start again":
                    described = json.loads((data / "appliance.json").read_text())
                    pids = {process["role"]: process["pid"] for process in [*described["processes"], *described["servers"]]}
                    yield from _watched("split", pids)
            finally:
                subprocess.run([*COMMAND, "down", "--data", str(data)], env=environment, capture_output=True, check=False)


def _up(data: Path, folder: Path, environment: Mapping[str, str]) -> float:
    up = [*COMMAND, "up", "--data", str(data), "--port", str(free_port()), "--detach"]
    began = time.monotonic()
    done = subprocess.run(up, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise click.ClickException(f"The appliance did not start: {done.stdout}{done.stderr}")
    return time.monotonic() - began


def _one() -> Iterator[tuple[str, str, str, float]]:
    """Watch all roles in one process, with a Postgres that is set as the appliance sets its own."""
    with server(OPTIONS) as postgres, scratch() as folder:
        began = time.monotonic()
        environment = own_environment(free_port(), postgres)
        with one_process(folder, environment) as (_, process):
            yield "one", "first start, with a new schema", "s", time.monotonic() - began
            pids = {"all": process.pid, "postgres": postgres.pid}
            yield from _watched("one", pids)


def _watched(target: str, pids: Mapping[str, int]) -> Iterator[tuple[str, str, str, float]]:
    time.sleep(QUIET)
    before = {role: cpu_seconds(pid) for role, pid in pids.items()}
    time.sleep(WATCHED)
    cpu = {role: (cpu_seconds(pid) - before[role]) / WATCHED * 100 for role, pid in pids.items()}
    memory = {role: memory_mb(pid) for role, pid in pids.items()}
    for what, unit, found in (("memory at rest", "MB", memory), ("CPU at rest", "% of a core", cpu)):
        yield target, what, unit, sum(found.values())
        for role, value in found.items():
            yield target, f"{what}: {role}", unit, value
