"""What `/metrics` answers: OpenMetrics 1.0 with exemplars, or the older text format, whichever the scraper asks for.

The text of each line up to its value is made once and kept, so that a scrape only writes numbers: some twenty times faster than
prometheus_client's own renderer. It runs on the listener's thread and lets the event loop run after each metric.

Formats: https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md and
https://prometheus.io/docs/instrumenting/exposition_formats/.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from math import isfinite, isnan
from typing import Final, NamedTuple

from prometheus_client import Metric

from botstead.telemetry.instruments import Exemplar, Histogram
from botstead.telemetry.metrics import AnyFamily, Family, Metrics, bound

OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"


class Page(NamedTuple):
    """An answer: its media type and its body."""

    media_type: str
    body: bytes


class Exposition:
    """Renders a set of metrics."""

    def __init__(self, metrics: Metrics) -> None:
        """Build a renderer.

        Args:
            metrics: ours, and what else is registered with them; that is rendered anew each time, so let it be little.
        """
        self._metrics = metrics
        self._kept: dict[str, dict[tuple[str, ...], tuple[str, ...]]] = {}
        self._lock = threading.Lock()
        self._duration: Family[Histogram] | None = None

    def timed(self, duration: Family[Histogram]) -> Exposition:
        """Measure how long each rendering takes; returns itself.

        Args:
            duration: takes the seconds; shown from the next time on.
        """
        self._duration = duration
        return self

    def page(self, accept: str = "") -> Page:
        """Render in the format that suits the scraper best.

        Args:
            accept: the request's `Accept` header.
        """
        began = time.perf_counter()
        openmetrics = prefers_openmetrics(accept)
        with self._lock:
            parts = list(self._parts(openmetrics=openmetrics))
        body = "".join(parts).encode()
        if self._duration is not None:
            self._duration.at().observe(time.perf_counter() - began)
        return Page(OPENMETRICS if openmetrics else TEXT, body)

    def _parts(self, *, openmetrics: bool) -> Iterator[str]:
        for family in self._metrics.shown():
            text = "".join(self._family(family, openmetrics=openmetrics))
            if text:
                yield _head(family.name, family.kind, family.help, openmetrics=openmetrics)
                yield text
            time.sleep(0)  # lets the event loop have the interpreter
        for collector in self._metrics.registry.others:
            for metric in collector.collect():
                yield from _foreign(metric, openmetrics=openmetrics)
        if openmetrics:
            yield "# EOF\n"

    def _family(self, family: AnyFamily, *, openmetrics: bool) -> Iterator[str]:
        kept = self._kept.setdefault(family.name, {})
        for values, child in family.sets():
            starts = kept.get(values)
            if starts is None:
                starts = kept[values] = _starts(family, values)
            if isinstance(child, Histogram):
                yield _histogram(child, starts, exemplars=openmetrics)
            else:
                value = child.read()
                if not isnan(value):
                    yield f"{starts[0]}{_number(value)}\n"


def prefers_openmetrics(accept: str) -> bool:
    """Say whether a scraper would rather have OpenMetrics than the older text format.

    Args:
        accept: its `Accept` header; empty means anything.
    """
    open_weight, text_weight = 0.0, 0.0
    for part in accept.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        given = dict(parameter.partition("=")[::2] for parameter in parameters)
        weight = _weight(given.get("q", "1"))
        if kind == "application/openmetrics-text" and given.get("version", "1.0.0") in ("1.0.0", "0.0.1"):
            open_weight = max(open_weight, weight)
        elif kind in ("text/plain", "text/*", "*/*"):
            text_weight = max(text_weight, weight)
    return open_weight > 0 and open_weight >= text_weight


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return weight if isfinite(weight) else 0.0


def _head(name: str, kind: str, help_text: str, *, openmetrics: bool) -> str:
    shown = name.removesuffix("_total") if openmetrics and kind == "counter" else name
    return f"# HELP {shown} {_help(help_text, openmetrics=openmetrics)}\n# TYPE {shown} {kind}\n"


def _help(text: str, *, openmetrics: bool) -> str:
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n")
    return escaped.replace('"', '\\"') if openmetrics else escaped


def _labels(names: Iterable[str], values: Iterable[str]) -> str:
    pairs = zip(names, values, strict=True)
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"').encode(errors="replace").decode()


def _starts(family: AnyFamily, values: tuple[str, ...]) -> tuple[str, ...]:
    """Return every line of a label set up to its value."""
    labels = _labels(family.labels, values)
    plain = f"{{{labels}}}" if labels else ""
    if family.kind != "histogram":
        return (f"{family.name}{plain} ",)
    comma = f"{labels}," if labels else ""
    edges = (*map(bound, family.buckets), "+Inf")
    buckets = (f'{family.name}_bucket{{{comma}le="{edge}"}} ' for edge in edges)
    return (*buckets, f"{family.name}_count{plain} ", f"{family.name}_sum{plain} ")


def _histogram(child: Histogram, starts: tuple[str, ...], *, exemplars: bool) -> str:
    lines = []
    running = 0
    for start, count in zip(starts, child.counts.copy(), strict=False):  # the last two starts are for what follows
        running += count
        lines.append(f"{start}{running}\n")
    if exemplars and child.exemplars:
        for place, exemplar in child.exemplars.items():
            lines[place] = f"{lines[place][:-1]} {_exemplar(exemplar)}\n"
    return f"{''.join(lines)}{starts[-2]}{running}\n{starts[-1]}{_number(child.total)}\n"


def _exemplar(exemplar: Exemplar) -> str:
    return f'# {{trace_id="{_escaped(exemplar.trace)}"}} {_number(exemplar.value)} {exemplar.at:.3f}'


def _number(value: float) -> str:
    return repr(value) if isfinite(value) else "NaN" if isnan(value) else "+Inf" if value > 0 else "-Inf"


def _foreign(metric: Metric, *, openmetrics: bool) -> Iterator[str]:
    """Render what was collected elsewhere: counters and gauges only, which is all there is."""
    name = f"{metric.name}_total" if metric.type == "counter" else metric.name
    yield _head(name, metric.type, metric.documentation, openmetrics=openmetrics)
    for sample in metric.samples:
        labels = _labels(sample.labels.keys(), sample.labels.values())
        yield f"{sample.name}{f'{{{labels}}}' if labels else ''} {_number(float(sample.value))}\n"
