"""Values that somebody else keeps (Postgres, Valkey, the kernel): shown while they can be read, otherwise absent.

A gauge that keeps its last value after its source has gone says that all is well. So a reading has no value until it is shown,
and none after it is cleared: `postgres_database_size_bytes` is not there at all while Postgres is away, nor in a process that
does not read it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Final, Literal

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

Kind = Literal["gauge", "counter"]
Values = Mapping[tuple[str, ...], float]
"""Label values, in the declared order, to the value."""
ALONE: Final[tuple[str, ...]] = ()


class Reading:
    """One metric whose values are replaced as a whole. Safe to use from any thread."""

    def __init__(self, name: str, help_text: str, *, kind: Kind, labels: Iterable[str], max_sets: int) -> None:
        """Declare one; nothing is shown yet. Use `Readings.declare`.

        Args:
            name: with unit; a counter's ends in `_total`.
            help_text: what it measures, and how to read it.
            kind: gauge, or counter where the source itself counts upwards.
            labels: names of its labels.
            max_sets: how many label sets are shown at most; the largest values win.
        """
        self.name = name
        self.help = help_text
        self.kind = kind
        self.labels: dict[str, tuple[str, ...]] = dict.fromkeys(labels, ())
        self.max_sets = max_sets
        self._values: dict[tuple[str, ...], float] = {}

    def show(self, value: float, *at: str) -> None:
        """Show one value.

        Args:
            value: what was read.
            at: label values, in the declared order.

        Raises:
            ValueError: there are more or fewer values than labels.
        """
        self.replace({**self._values, self._fitting(at): float(value)})

    def replace(self, values: Values) -> None:
        """Show these values and no others.

        Args:
            values: what was read.

        Raises:
            ValueError: there are more or fewer label values than labels.
        """
        found = {self._fitting(at): float(value) for at, value in values.items()}
        if len(found) > self.max_sets:
            found = dict(sorted(found.items(), key=lambda pair: -pair[1])[: self.max_sets])
        self._values = found  # one assignment: a scrape sees the old ones or the new ones

    def clear(self) -> None:
        """Show nothing: the source is away, or somebody else reads it now."""
        self._values = {}

    @property
    def shown(self) -> Values:
        """What is shown now."""
        return self._values

    def metric(self) -> Metric | None:
        """Return it as Prometheus reads it, or None while nothing is shown."""
        values = self._values
        if not values:
            return None
        family = GaugeMetricFamily if self.kind == "gauge" else CounterMetricFamily
        found = family(self.name.removesuffix("_total"), self.help, labels=list(self.labels))
        for at, value in sorted(values.items()):
            found.add_metric(list(at), value)
        return found

    def _fitting(self, at: tuple[str, ...]) -> tuple[str, ...]:
        if len(at) != len(self.labels):
            raise ValueError(f"{self.name} has {len(self.labels)} labels, and {len(at)} values were given.")
        return at


class Readings:
    """Every reading of a process; a collector of prometheus_client."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Begin with none.

        Args:
            registry: exposes them among the others.
        """
        self.all: dict[str, Reading] = {}
        self._lock = threading.Lock()
        registry.register(self)

    def declare(self, name: str, help_text: str, *labels: str, kind: Kind = "gauge", max_sets: int = 1) -> Reading:
        """Declare a reading; arguments as for `Reading`.

        Raises:
            ValueError: there is one by that name.
        """
        with self._lock:
            if name in self.all:
                raise ValueError(f"{name} is declared twice.")
            self.all[name] = Reading(name, help_text, kind=kind, labels=labels, max_sets=max_sets)
            return self.all[name]

    def collect(self) -> Iterable[Metric]:
        """Yield what is shown now."""
        for reading in tuple(self.all.values()):
            metric = reading.metric()
            if metric is not None:
                yield metric

    def describe(self) -> Iterable[Metric]:
        """Yield nothing: names are checked at declaration, and no source is asked for it."""
        return ()
