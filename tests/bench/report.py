"""Medians, spread and ratios of what was measured: for the eye, and as the tables of README.md."""

from __future__ import annotations

import datetime as dt
import os
import platform
import statistics
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.bench.echo import Row

ROOT = Path(__file__).parents[2]
README = Path(__file__).with_name("README.md")
PLATFORM = ROOT / "platform" / "README.md"
OURS = ("one", "split")
RATIOS = ("cpu_ms", "replies_per_s", "ack_p50_ms", "ack_p99_ms", "reply_p50_ms", "reply_p99_ms", "memory_mb")
SHOWN = {
    "cpu_ms": "CPU, ms a message",
    "replies_per_s": "replies a second",
    "ack_p50_ms": "acknowledged, p50 ms",
    "ack_p99_ms": "acknowledged, p99 ms",
    "reply_p50_ms": "replied, p50 ms",
    "reply_p99_ms": "replied, p99 ms",
    "memory_mb": "memory, MB",
}
LOSSES = ("refused", "broken", "repeated", "stray")
Table = list[list[str]]


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
    processor = next(
        (line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), ": unknown"
    )
    return {
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "commit": _said("git", "rev-parse", "--short", "HEAD"),
        "cores": os.cpu_count(),
        "processor": processor.partition(": ")[2],
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": platform.system() + " " + platform.release().partition("-")[0],
        "python": platform.python_version(),
        "node": _said("node", "--version"),
    }


def _said(*command: str) -> str:
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def heading(*, seed: int, rounds: int) -> str:
    """Return one line about machine and run."""
    about = machine()
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{about['date']}, commit {about['commit']}. {about['cores']} cores ({about['processor']}), {about['memory_gb']} GB, "
        f"{about['system']}, Python {about['python']}, Node {about['node']}. Seed {seed}, {rounds} rounds: the median, in brackets the "
        f"lowest and the highest. Load average at the end: {load}."
    )


def phase(row: Row) -> str:
    """Return what a row's rate is called."""
    return f"{row['rate']:g} messages/s" if row["rate"] else "saturation"


def echo_table(medians: Sequence[Row]) -> Table:
    """Return the echo job: a column a target, then ours by the peers'."""
    targets = list(dict.fromkeys(row["target"] for row in medians))
    pairs = [(ours, peer) for peer in targets if peer not in OURS for ours in targets if ours in OURS]
    held = {(row["target"], row["peer"], row["rate"]): row for row in ratios(medians)}
    table = [["", *targets, *(f"{ours} / {peer}" for ours, peer in pairs)]]
    for rate in dict.fromkeys(row["rate"] for row in medians):
        by_target = {row["target"]: row for row in medians if row["rate"] == rate}
        table.append([f"**{phase({'rate': rate})}**", *[""] * (len(targets) + len(pairs))])
        for name, label in SHOWN.items():
            figures = [spread(by_target[target], name) if target in by_target else "" for target in targets]
            against = [held.get((ours, peer, rate), {}).get(name) for ours, peer in pairs]
            table.append([label, *figures, *("" if value is None else f"{value:.2f}" for value in against)])
    return table


def roles_table(medians: Sequence[Row]) -> Table:
    """Return where CPU and memory of the split appliance, and of the others, go."""
    roles = list(dict.fromkeys(name.removeprefix("cpu_ms_") for row in medians for name in row if _is_role(name)))
    names = [
        *((row, "cpu_ms", phase(row)) for row in medians),
        *((row, "memory_mb", "memory in MB") for row in medians if not row["rate"]),
    ]
    found = [
        [f"{row['target']}, {what}", *(_figure(row.get(f"{figure}_{role}")) for role in roles)] for row, figure, what in names
    ]
    return [["CPU, ms a message", *roles], *found]


def _is_role(name: str) -> bool:
    return name.startswith("cpu_ms_") and not name.endswith(("_from", "_to"))


def losses(medians: Sequence[Row]) -> str:
    """Return one sentence about messages that did not come through as they should."""
    bad = [
        f"{row['target']}, {phase(row)}: {row[f'{name}_to']:g} {name}" for row in medians for name in LOSSES if row[f"{name}_to"]
    ]
    bad += [f"{row['target']}, {phase(row)}: not all answered" for row in medians if row["replied_from"] < row["n_to"]]
    return "; ".join(bad) + "." if bad else "No message was refused, broken, lost or answered twice in any phase."


def figure_table(rows: Sequence[Row], *columns: str) -> Table:
    """Return rows of one figure each, whose unit stands in the row.

    Args:
        rows: measured.
        columns: names of what stands before the figure.
    """
    return [
        [*columns, "", "unit"],
        *([*(str(row[column]) for column in columns), spread(row, "value"), row["unit"]] for row in rows),
    ]


def search_table(rows: Sequence[Row]) -> Table:
    """Return search and pages: a row a question, two columns a size."""
    sizes = list(dict.fromkeys(row["rows"] for row in rows))
    by = {(row["rows"], row["what"]): row for row in rows}
    table = [["ms", *(label for size in sizes for label in (f"{size / 1e6:g} million: p50", "slowest"))]]
    for what in dict.fromkeys(row["what"] for row in rows):
        found = [spread(by[size, what], name) for size in sizes for name in ("p50_ms", "slowest_ms")]
        table.append([what, *found])
    return table


def growth_table(rows: Sequence[Row]) -> Table:
    """Return CPU of a message over each axis."""
    table = [
        [
            "",
            "",
            "saturation: CPU, ms",
            "of it Postgres",
            "100/s: CPU, ms",
            "of it Postgres",
            "replied p50, ms at 100/s",
            "memory, MB",
            "lost",
        ]
    ]
    for row in rows:
        if "low_cpu_ms" in row:
            names = ("saturation_cpu_ms", "saturation_cpu_ms_postgres", "low_cpu_ms", "low_cpu_ms_postgres", "low_reply_p50_ms")
            figures = [spread(row, name) for name in names]
            table.append([row["axis"], f"{row['at']:,}", *figures, f"{row['memory_mb']:.0f}", f"{row['lost']:g}"])
    return table


def held_table(rows: Sequence[Row]) -> Table:
    """Return the capacity model beside what was measured."""
    found = [[row["what"], _figure(row["model"]), _figure(row["measured"]), f"{row['off']:+.0f} %"] for row in rows]
    return [["", "model", "measured", "off by"], *found]


def spread(row: Row, name: str) -> str:
    """Return a figure, and from where to where it went."""
    if name not in row:
        return ""
    low, high = row.get(f"{name}_from", row[name]), row.get(f"{name}_to", row[name])
    return _figure(row[name]) + (f" ({_figure(low)}–{_figure(high)})" if _figure(low) != _figure(high) else "")


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def markdown(table: Table) -> str:
    """Return a table in Markdown."""
    lines = ["| " + " | ".join(row) + " |" for row in table]
    return "\n".join([lines[0], "|" + "---|" * len(table[0]), *lines[1:]])


def text(table: Table) -> str:
    """Return a table for a terminal."""
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table)


def write(marker: str, body: str, *, file: Path = README) -> None:
    """Put what was measured between `<!-- marker -->` and `<!-- /marker -->`.

    Raises:
        ValueError: the file has no such place.
    """
    before, begin, rest = file.read_text().partition(f"<!-- {marker} -->")
    _, end, after = rest.partition(f"<!-- /{marker} -->")
    if not begin or not end:
        raise ValueError(f"{file} has no place for {marker}.")
    file.write_text(f"{before}{begin}\n{body}\n{end}{after}")


def telemetry_table(medians: Sequence[Row]) -> Table:
    """Return what telemetry costs: CPU with it and without, phase by phase."""
    table = [["CPU, ms a message", "with telemetry", "without", "share of it"]]
    by_phase = {(row["target"], row["rate"]): row for row in medians}
    for rate in dict.fromkeys(row["rate"] for row in medians):
        whole, muted = by_phase["one", rate], by_phase["muted", rate]
        share = 1 - muted["cpu_ms"] / whole["cpu_ms"]
        table.append([phase(whole), spread(whole, "cpu_ms"), spread(muted, "cpu_ms"), f"{share:.1%}"])
    return table
