"""A timeline as SVG: what was acknowledged and replied each second, and the faults above it. Colours come from the page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

import msgspec

from botstead.processes.prove.experiment import Moment, Sample
from botstead.processes.prove.report import faults

WIDTH = 720
LEFT, RIGHT = 46, 12
HEIGHT = 150
"""Of the plot itself."""
ROW = 15
"""Height of a row of labels."""
ROWS = 7
LETTER = 6.1
"""Width of a letter of a label; generous, so that none touch."""
FOOT = 24
BINS = 120
SHORT = 26
"""Letters of a label."""


class Label(msgspec.Struct, frozen=True):
    """A mark and where its label stands.

    Args:
        x: of the mark.
        left: of the label; NaN when there was no room for it.
        row: from the top.
        text: of the label.
        moment: what it is about.
    """

    x: float
    left: float
    row: int
    text: str
    moment: Moment


def rates(samples: Sequence[Sample], seconds: float) -> list[tuple[float, float, float]]:
    """Return per second what was acknowledged and replied.

    Args:
        samples: running totals.
        seconds: length of the whole.

    Returns:
        For each bin its middle in seconds, and both rates.
    """
    width = max(0.5, seconds / BINS)
    bins: list[tuple[float, float, float]] = []
    first = last = samples[0] if samples else Sample(0, 0, 0)
    for sample in samples:
        last = sample
        if (span := last.at - first.at) >= width:
            gained = (last.acknowledged - first.acknowledged) / span, (last.replied - first.replied) / span
            bins.append(((first.at + last.at) / 2, *gained))
            first = last
    return bins


def place(moments: Sequence[Moment], seconds: float) -> list[Label]:
    """Place the labels of faults so that none overlap; those without room keep their mark only.

    Args:
        moments: what happened, in order.
        seconds: length of the whole.
    """
    ends = [-math.inf] * ROWS
    labels = []
    for moment in faults(moments):
        if moment.kind != "fault":
            continue
        text = _short(moment.what)
        x = _x(moment.at, seconds)
        wide = len(text) * LETTER
        left = min(x + 3, WIDTH - RIGHT - wide)
        row = next((row for row, end in enumerate(ends) if end + 4 <= min(left, x)), None)
        if row is None:
            labels.append(Label(x, math.nan, ROWS, text, moment))
            continue
        ends[row] = left + wide
        labels.append(Label(x, left, row, text, moment))
    return labels


def timeline(samples: Sequence[Sample], moments: Sequence[Moment], seconds: float, *, title: str) -> str:
    """Return the picture.

    Args:
        samples: running totals.
        moments: what happened, in order.
        seconds: length of the whole.
        title: for those who cannot see it.
    """
    seconds = max(seconds, 1.0)
    labels = place(moments, seconds)
    rows = max((label.row + 1 for label in labels if not math.isnan(label.left)), default=0)
    top = 8 + rows * ROW
    bins = rates(samples, seconds)
    peak = nice(max((max(each[1:]) for each in bins), default=1.0))
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {top + HEIGHT + FOOT}" role="img" aria-label="{escape(title)}">',
        *_grid(peak, seconds, top),
        *_marks(labels, top),
        _line([(at, acknowledged) for at, acknowledged, _ in bins], "acked", peak, seconds, top),
        _line([(at, replied) for at, _, replied in bins], "replied", peak, seconds, top),
        "</svg>",
    ]
    return "\n".join(parts)


def nice(value: float) -> float:
    """Return the next larger number that reads well: 1, 2 or 5 times a power of ten.

    Args:
        value: greater than 0.
    """
    power = 10.0 ** math.floor(math.log10(max(value, 1.0)))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)


def _short(text: str) -> str:
    text = text.partition(" at ")[0]
    return text if len(text) <= SHORT else text[: SHORT - 1].rstrip() + "…"


def _x(at: float, seconds: float) -> float:
    return LEFT + min(at / seconds, 1.0) * (WIDTH - LEFT - RIGHT)


def _grid(peak: float, seconds: float, top: int) -> Iterator[str]:
    for part in (0.0, 0.5, 1.0):
        y = top + HEIGHT * (1 - part)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{peak * part:,.0f}</text>'
    step = nice(seconds / 8)
    for number in range(int(seconds / step) + 1):
        x = _x(number * step, seconds)
        anchor = "end" if x > WIDTH - RIGHT - 20 else "middle"
        yield f'<text x="{x:.1f}" y="{top + HEIGHT + 16}" text-anchor="{anchor}">{number * step:g} s</text>'


def _marks(labels: Sequence[Label], top: int) -> Iterator[str]:
    """Return the lines first, so that no line crosses a label."""
    for label in labels:
        y = top if math.isnan(label.left) else 4 + label.row * ROW
        yield (
            f'<g class="fault"><title>{label.moment.at:.1f} s: {escape(label.moment.what)}</title>'
            f'<line x1="{label.x:.1f}" x2="{label.x:.1f}" y1="{y}" y2="{top + HEIGHT}"/></g>'
        )
    for label in labels:
        if not math.isnan(label.left):
            yield f'<g class="fault"><text x="{label.left:.1f}" y="{14 + label.row * ROW}">{escape(label.text)}</text></g>'


def _line(points: Sequence[tuple[float, float]], name: str, peak: float, seconds: float, top: int) -> str:
    drawn = " ".join(f"{_x(at, seconds):.1f},{top + HEIGHT * (1 - min(value / peak, 1.0)):.1f}" for at, value in points)
    return f'<polyline class="{name}" points="{drawn}"/>' if drawn else ""
