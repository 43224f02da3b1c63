"""The figures of the edges side by side, for compose/edge/README.md."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from botstead.processes.prove.quantile import quantile
from tests.edges.edges import version
from tests.edges.load import Figures


def table(figures: Mapping[str, Figures]) -> str:
    """Return a table in Markdown: an edge a line."""
    lines = [f"Measured on {dt.datetime.now(dt.UTC):%Y-%m-%d}: all slots restarted, one killed, one stopped, under load."]
    lines += ["", "| edge | requests | failed | p50 | p99 | longest | memory idle | most |", "|---|---|---|---|---|---|---|---|"]
    for kind, each in figures.items():
        waits = [1e3 * wait for wait in each.waits]
        times = [f"{quantile(waits, share):.0f} ms" for share in (0.5, 0.99, 1.0)]
        counts = [str(each.statuses.total() + len(each.broken)), str(each.failures)]
        sizes = [f"{each.idle_mb:.0f} MB", f"{each.peak_mb:.0f} MB"]
        lines.append(" | ".join([f"| {kind} {version(kind)}", *counts, *times, *sizes]) + " |")
    return "\n".join(lines)
