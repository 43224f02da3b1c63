"""A picture of how cost grows: one panel an axis, as SVG without any library."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tests.bench.echo import Row

WIDTH, HEIGHT, MARGIN, GAP = 300, 220, 46, 24
LINES = (("saturation_cpu_ms", "saturation", "#1f6feb"), ("low_cpu_ms", "100 messages/s", "#bf5700"))
AXES = ("bots", "conversations", "history rows")
STYLE = "font:12px system-ui,sans-serif"


def plotted(rows: Sequence[Row]) -> str:
    """Return the picture of CPU a message over each axis; both scales are logarithmic."""
    axes = [axis for axis in AXES if any(row["axis"] == axis for row in rows)]
    points = [row for row in rows if row["axis"] in axes]
    values = [row[name + end] for row in points for name, _, _ in LINES for end in ("_from", "_to")]
    low, high = math.floor(math.log10(min(values)) * 4) / 4, math.ceil(math.log10(max(values)) * 4) / 4
    panels = [
        _panel([row for row in points if row["axis"] == axis], axis, place * (WIDTH + GAP), low, max(high, low + 0.5))
        for place, axis in enumerate(axes)
    ]
    width, height = len(axes) * (WIDTH + GAP), HEIGHT + 2 * MARGIN
    legend = "".join(
        f'<rect x="{MARGIN + 170 * n}" y="8" width="14" height="4" fill="{colour}"/>'
        f'<text x="{MARGIN + 170 * n + 20}" y="14" fill="#222">{label}</text>'
        for n, (_, label, colour) in enumerate(LINES)
    )
    title = "<title>CPU of a message, in ms, as bots, conversations and history grow</title>"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" style="{STYLE}">{title}'
    return head + f'<rect width="{width}" height="{height}" fill="#fff"/>' + legend + "".join(panels) + "</svg>\n"


def _panel(rows: Sequence[Row], axis: str, left: int, low: float, high: float) -> str:
    left, bottom = left + MARGIN, MARGIN + HEIGHT - 24
    steps = [_step(row["at"]) for row in rows]
    first, last = min(steps), max(*steps, min(steps) + 1)

    def x(at: float) -> float:
        return left + 12 + (_step(at) - first) / (last - first) * (WIDTH - MARGIN - 24)

    def y(value: float) -> float:
        return bottom - (math.log10(value) - low) / (high - low) * (HEIGHT - 40)

    parts = [f'<path d="M{left} {MARGIN - 8}V{bottom}H{left + WIDTH - MARGIN}" fill="none" stroke="#888"/>']
    for value in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100):
        if low <= math.log10(value) <= high:
            parts.append(f'<path d="M{left} {y(value):.1f}h{WIDTH - MARGIN}" stroke="#ddd"/>')
            parts.append(f'<text x="{left - 6}" y="{y(value) + 4:.1f}" text-anchor="end" fill="#444">{value:g}</text>')
    parts.extend(
        f'<text x="{x(row["at"]):.1f}" y="{bottom + 17}" text-anchor="middle" fill="#444">{_short(row["at"])}</text>'
        for row in rows
    )
    middle = left + (WIDTH - MARGIN) / 2
    parts.append(f'<text x="{middle}" y="{bottom + 36}" text-anchor="middle" fill="#222">{axis}: CPU, ms a message</text>')
    for name, _, colour in LINES:
        line = "L".join(f"{x(row['at']):.1f} {y(row[name]):.1f}" for row in rows)
        parts.append(f'<path d="M{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for row in rows:
            spread = f"M{x(row['at']):.1f} {y(row[name + '_from']):.1f}V{y(row[name + '_to']):.1f}"
            parts.append(f'<path d="{spread}" stroke="{colour}"/>')
            parts.append(f'<circle cx="{x(row["at"]):.1f}" cy="{y(row[name]):.1f}" r="3" fill="{colour}"/>')
    return "".join(parts)


def _step(at: float) -> float:
    """Return the place on a logarithmic axis; none at all comes first, a little before what is measured next."""
    return math.log10(at) if at >= 1 else 5.0


def _short(at: float) -> str:
    for unit, name in ((1_000_000, "M"), (1_000, "k")):
        if at >= unit:
            return f"{at / unit:g}{name}"
    return f"{at:g}"
