"""Medians, spread and ratios of what was measured, as text."""

from __future__ import annotations

import datetime as dt
import os
import platform
import statistics
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from tests.bench.echo import Row

OURS = ("one", "split")
RATIOS = ("cpu_ms", "replies_per_s", "ack_p50_ms", "ack_p99_ms", "reply_p50_ms", "reply_p99_ms", "memory_mb")


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
    """Return ours by each peer's, phase by phase."""
    for row in medians:
        for peer in medians:
            if row["target"] in OURS and peer["target"] not in OURS and peer["rate"] == row["rate"]:
                shared = {name: row[name] / peer[name] for name in RATIOS if peer.get(name) and name in row}
                yield {"target": row["target"], "peer": peer["target"], "rate": row["rate"], **shared}


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    root = Path(__file__).parents[2]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=root, capture_output=True, text=True, check=False)
    return {
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "commit": commit.stdout.strip() or "unknown",
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def show(medians: Sequence[Row]) -> None:
    """Print the medians, and the spread where there were several rounds."""
    click.echo("  ".join(f"{name} {value}" for name, value in machine().items()))
    for row in medians:
        click.echo(f"\n{row['target']}, {phase(row)}")
        for name, value in row.items():
            if name in ("target", "rate") or name.endswith(("_from", "_to")):
                continue
            low, high = row[f"{name}_from"], row[f"{name}_to"]
            click.echo(f"  {name:<22}{value:>12,.3f}" + (f"   {low:,.3f} to {high:,.3f}" if low != high else ""))
    for row in ratios(medians):
        click.echo(f"\n{row['target']} / {row['peer']}, {phase(row)}")
        for name in RATIOS:
            if name in row:
                click.echo(f"  {name:<22}{row[name]:>12.2f}")


def phase(row: Row) -> str:
    """Return what a row's rate is called."""
    return f"{row['rate']:g} messages/s" if row["rate"] else "saturation"
