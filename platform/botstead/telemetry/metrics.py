"""Metrics whose labels cannot explode: closed sets, registered sets, and `_other` for the rest.

A label is closed (its values stand in the catalogue) or open (bots, channels, integrations; they register as they are
loaded). The first use of a combination of open labels starts every combination with the closed ones at 0, so that a rate is
defined before the first failure.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

OTHER = "_other"
OPEN: tuple[str, ...] = ()
"""Marks a label whose values register at run time."""

Child = TypeVar("Child", Counter, Gauge, Histogram)

disable_created_metrics()  # type: ignore[no-untyped-call]  # not annotated there; saves a third of the lines


class Metrics:
    """A set of metrics with their labels, and what `/metrics` serves."""

    def __init__(self) -> None:
        """Build an empty set."""
        self.registry = CollectorRegistry(auto_describe=True)
        self._values: dict[str, set[str]] = {}
        self._lock = threading.Lock()
        self._overflow = Counter(
            "botstead_label_overflow",
            "Label values that no one registered, counted as _other; a bug, or somebody who tries to fill the memory.",
            ["metric"],
            registry=self.registry,
        )

    def register(self, label: str, value: str) -> None:
        """Let a value of an open label stand for itself from now on.

        Args:
            label: the label's name (bot, channel, integration, cache).
            value: the value; few, and never from a request.
        """
        with self._lock:
            self._values.setdefault(label, {OTHER}).add(value)

    def counter(self, name: str, help_text: str, *, max_sets: int = 1, **labels: tuple[str, ...]) -> Family[Counter]:
        """Declare something that is counted.

        Args:
            name: with unit, ending in `_total`.
            help_text: what it counts.
            max_sets: how many label sets there may be at most.
            labels: name to its closed values, or `OPEN`.
        """
        return Family(self, Counter(name, help_text, list(labels), registry=self.registry), labels, name=name, max_sets=max_sets)

    def gauge(self, name: str, help_text: str, *, max_sets: int = 1, **labels: tuple[str, ...]) -> Family[Gauge]:
        """Declare something that goes up and down; arguments as for `counter`.

        Args:
            name: with unit.
            help_text: what it measures.
            max_sets: how many label sets there may be at most.
            labels: name to its closed values, or `OPEN`.
        """
        return Family(self, Gauge(name, help_text, list(labels), registry=self.registry), labels, name=name, max_sets=max_sets)

    def histogram(
        self, name: str, help_text: str, *, buckets: tuple[float, ...], max_sets: int = 1, **labels: tuple[str, ...]
    ) -> Family[Histogram]:
        """Declare something that is measured again and again; arguments as for `counter`.

        Args:
            name: with unit, ending in `_seconds` or `_bytes`.
            help_text: what it measures.
            buckets: upper bounds; the threshold of every objective on it must be one.
            max_sets: how many label sets there may be at most.
            labels: name to its closed values, or `OPEN`.
        """
        metric = Histogram(name, help_text, list(labels), buckets=buckets, registry=self.registry)
        return Family(self, metric, labels, name=name, max_sets=max_sets)

    def exposition(self) -> bytes:
        """Return all values as Prometheus reads them (text format 0.0.4)."""
        return generate_latest(self.registry)

    def folded(self, metric: str, labels: Mapping[str, tuple[str, ...]], values: tuple[str, ...]) -> tuple[str, ...]:
        """Return label values with the unknown ones replaced by `_other`, and count that.

        Args:
            metric: whose labels they are.
            labels: the metric's labels.
            values: one a label, in the declared order.

        Raises:
            ValueError: there are more or fewer values than labels.
        """
        pairs = zip(values, labels.items(), strict=True)
        known = tuple(value if value in (closed or self._values.get(name, ())) else OTHER for value, (name, closed) in pairs)
        if known != values:
            self._overflow.labels(metric).inc()
        return known


class Family(Generic[Child]):
    """One metric with all its label sets."""

    def __init__(
        self, metrics: Metrics, metric: Child, labels: Mapping[str, tuple[str, ...]], *, name: str, max_sets: int
    ) -> None:
        """Build a family; use `Metrics.counter` and its siblings.

        Args:
            metrics: the set it belongs to.
            metric: what keeps the values.
            labels: name to its closed values, or `OPEN`.
            name: as it is exposed.
            max_sets: how many label sets there may be at most.
        """
        self.name = name
        self.labels = labels
        self.max_sets = max_sets
        self._metrics = metrics
        self._metric: Child = metric
        self._children: dict[tuple[str, ...], Child] = {}
        self._lock = threading.Lock()
        if not labels:
            self._children[()] = metric
        elif all(labels.values()):
            self._start(tuple(closed[0] for closed in labels.values()))

    def at(self, *values: str) -> Child:
        """Return what to increment, set or observe. Cheap: a dictionary lookup for values seen before.

        Args:
            values: the label values, in the declared order.

        Raises:
            ValueError: there are more or fewer values than labels.
        """
        child = self._children.get(values)
        return child if child is not None else self._other(values)

    def _other(self, values: tuple[str, ...]) -> Child:
        known = self._metrics.folded(self.name, self.labels, values)
        with self._lock:
            if known not in self._children:
                self._start(known if self._has_room() else tuple(OTHER for _ in known))
            return self._children.get(known) or self._children[tuple(OTHER for _ in known)]

    def _has_room(self) -> bool:
        return len(self._children) + self._siblings() <= self.max_sets

    def _siblings(self) -> int:
        count = 1
        for closed in self.labels.values():
            count *= max(1, len(closed))
        return count

    def _start(self, values: tuple[str, ...]) -> None:
        """Make a label set and those that differ from it in closed labels only; all start at 0."""
        choices: list[tuple[str, ...]] = []
        for value, closed in zip(values, self.labels.values(), strict=True):
            choices.append(closed if closed and value in closed else (value,))
        for sibling in itertools.product(*choices):
            if sibling not in self._children:
                self._children[sibling] = self._metric.labels(*sibling)
