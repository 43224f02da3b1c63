"""Series for promtool: what happened, minute by minute, as the counters that an appliance would show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

MINUTE = "1m"
_EXACT = 1024
"""Steps are multiples of its inverse: promtool adds them up, and a sum that is rounded looks like a reset."""


def selector(name: str, labels: Mapping[str, str]) -> str:
    """A series' name as promtool reads it."""
    matchers = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return f"{name}{{{matchers}}}"


def counter(grows: Sequence[float]) -> str:
    """A counter that starts at 0 and grows by so much each minute, in promtool's notation."""
    value, words = 0.0, ["0"]
    for step, run in groupby(round(step * _EXACT) / _EXACT for step in grows):
        length = len(list(run))
        words.append(f"{_plain(value + step)}+{_plain(step)}x{length - 1}")
        value += step * length
    return " ".join(words)


def _plain(value: float) -> str:
    """A number without an exponent, which promtool does not read."""
    return f"{value:.10f}".rstrip("0").rstrip(".")


def gauge(values: Sequence[float | None]) -> str:
    """A gauge by minute; None where it is not shown."""
    words = []
    for value, run in groupby(values):
        length = len(list(run))
        words.append(f"_x{length}" if value is None else f"{value:.12g}x{length - 1}")
    return " ".join(words)
