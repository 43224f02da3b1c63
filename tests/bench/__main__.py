"""`scripts/bench`: what a message costs on the whole road, from delivery to reply. How to read it: README.md beside this."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import click

from tests.bench.load import Load
from tests.bench.processes import cpu_seconds, memory_mb
from tests.bench.targets import Server, Target, botstead, free_port, grammy

WARM_UP = 2_000
CLOSED, OPEN = 64, 256
"""Connections of a closed and of an open loop."""
SETTLE = 0.5
"""Seconds after a phase until the last marks are written; their CPU belongs to it."""
RATIOS = ("cpu_ms", "replies_per_s", "ack_p50_ms", "ack_p99_ms", "reply_p50_ms", "reply_p99_ms", "memory_mb")
Row = dict[str, Any]


@click.command()
@click.option("-n", "count", default=8_000, show_default=True, help="Messages at saturation.")
@click.option(
    "--rate", "rates", type=float, multiple=True, default=(100, 600), show_default=True, help="Also at so many a second."
)
@click.option("--seconds", default=10.0, show_default=True, help="How long a rate is held.")
@click.option("--rounds", default=1, show_default=True, help="How often all of it; medians are shown.")
@click.option("--seed", default=1, show_default=True, help="Chooses the order of chats.")
@click.option("--through-edge", is_flag=True, help="Deliver to the edge instead of the API process behind it.")
@click.option("--peers", is_flag=True, help="Interleave with grammY on the same Postgres, and print ratios.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of tables.")
def bench(
    count: int,
    rates: Sequence[float],
    seconds: float,
    rounds: int,
    seed: int,
    *,
    through_edge: bool,
    peers: bool,
    as_json: bool,
) -> None:
    """Measure the echo job on a private appliance."""
    server = Server() if peers else None
    phases = [(count, 0.0), *((max(1, round(rate * seconds)), rate) for rate in rates)]
    rows: list[Row] = []
    for number in range(rounds):
        api_port = free_port()
        targets: list[AbstractContextManager[Target]] = [botstead(api_port, through_edge=through_edge, server=server)]
        if server is not None:
            targets.append(grammy(api_port, server))
        for running in targets:
            with running as target:
                for row in measured(target, api_port, phases, seed=seed + number):
                    click.echo(
                        f"round {number + 1}: {target.name}, {_phase(row)}: {row['cpu_ms']:.3f} ms of CPU a message", err=True
                    )
                    rows.append({"round": number + 1, **row})
    medians = summed_up(rows)
    if as_json:
        click.echo(
            json.dumps({"machine": machine(), "rows": rows, "medians": medians, "ratios": list(ratios(medians))}, indent=2)
        )
    else:
        show(medians)


def measured(target: Target, api_port: int, phases: Sequence[tuple[int, float]], *, seed: int) -> Iterator[Row]:
    """Warm a target up, then run phases of (messages, messages a second)."""
    load = Load(port=target.port, path=target.path, secret=target.secret, api_port=api_port, seed=seed)
    try:
        load.run(WARM_UP, rate=0, connections=CLOSED)
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


def summed_up(rows: Sequence[Row]) -> list[Row]:
    """Return the median of each target and phase, and how far the rounds spread: `<name>_from`, `<name>_to`."""
    found: dict[tuple[str, float], list[Row]] = {}
    for row in rows:
        found.setdefault((row["target"], row["rate"]), []).append(row)
    return [_median(group) for group in found.values()]


def _median(group: Sequence[Row]) -> Row:
    result: Row = {"target": group[0]["target"], "rate": group[0]["rate"]}
    for name in group[0]:
        if name not in ("target", "rate", "round"):
            values = [row[name] for row in group if name in row]
            result |= {name: statistics.median(values), f"{name}_from": min(values), f"{name}_to": max(values)}
    return result


def ratios(medians: Sequence[Row]) -> Iterator[Row]:
    """Return ours by the peer's, phase by phase."""
    peers = {row["rate"]: row for row in medians if row["target"] != "botstead"}
    for row in medians:
        peer = peers.get(row["rate"])
        if row["target"] == "botstead" and peer:
            yield {"rate": row["rate"], **{name: row[name] / peer[name] for name in RATIOS if peer.get(name) and name in row}}


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    return {
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def show(medians: Sequence[Row]) -> None:
    """Print the medians, and the spread where there were several rounds."""
    click.echo("  ".join(f"{name} {value}" for name, value in machine().items()))
    for row in medians:
        click.echo(f"\n{row['target']}, {_phase(row)}")
        for name, value in row.items():
            if name in ("target", "rate") or name.endswith(("_from", "_to")):
                continue
            low, high = row[f"{name}_from"], row[f"{name}_to"]
            click.echo(f"  {name:<22}{value:>12,.3f}" + (f"   {low:,.3f} to {high:,.3f}" if low != high else ""))
    for row in ratios(medians):
        click.echo(f"\nbotstead / grammY, {_phase(row)}")
        for name in RATIOS:
            if name in row:
                click.echo(f"  {name:<22}{row[name]:>12.2f}")


def _phase(row: Row) -> str:
    return f"{row['rate']:g} messages/s" if row["rate"] else "saturation"


if __name__ == "__main__":
    bench()
