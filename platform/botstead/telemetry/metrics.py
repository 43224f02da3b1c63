"""Metrics whose labels cannot explode: closed sets, registered sets, and `_other` for the rest.

A label is closed (its values stand in the catalogue) or open (bots, channels, integrations; they register as they are
loaded). The first use of a combination of open labels starts every combination with the closed ones at 0, so that a rate is
defined before the first failure; a counter with one open label starts when a value is registered. Gauges, and counters that
mirror somebody else's, are not shown before they are set.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import isnan
from typing import Final, Generic, TypeAlias, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from botstead.telemetry.instruments import UNSET, Counter, Gauge, Histogram

OTHER: Final = "_other"
OVERFLOW: Final = "botstead_label_overflow_total"
OPEN: Final[tuple[str, ...]] = ()
"""Marks a label whose values register at run time."""
ROLES: Final = ("api", "worker", "scheduler")
"""What a process can be; one process may be several."""

Child = TypeVar("Child", Counter, Gauge, Histogram)


class Registry(CollectorRegistry):
    """A registry of prometheus_client that remembers what others than ours was registered."""

    def __init__(self, ours: Metrics) -> None:
        """Register our metrics.

        Args:
            ours: rendered apart from all others.
        """
        super().__init__(auto_describe=False)
        self.others: list[Collector] = []
        super().register(ours)

    def register(self, collector: Collector) -> None:
        """Add something that collects values, such as prometheus_client's own."""
        super().register(collector)
        self.others.append(collector)


class Metrics(Collector):
    """A set of metrics with their labels. Through `registry`, prometheus_client sees them as well."""

    def __init__(self) -> None:
        """Build a set that holds one metric: how often an unknown label value was folded."""
        self.families: dict[str, AnyFamily] = {}
        """All metrics by name, in the order of the catalogue."""
        self._values: dict[str, set[str]] = {}
        self._roles = frozenset(ROLES)
        self._lock = threading.Lock()
        self._overflow = self.counter(
            OVERFLOW,
            "Label values that no one registered, counted as _other; a bug, or somebody who tries to fill the memory.",
            max_sets=100,
            metric=OPEN,
        )
        self.registry: Final = Registry(self)

    def collect(self) -> Iterator[Metric]:
        """Return each metric that has a value, as prometheus_client wants it."""
        for family in self.shown():
            metric = family.collected()
            if metric.samples:
                yield metric

    def register(self, label: str, value: str) -> None:
        """Let a value of an open label stand for itself from now on.

        Args:
            label: the label's name (bot, channel, integration, cache).
            value: the value; few, and never from a request.
        """
        with self._lock:
            known = self._values.setdefault(label, {OTHER})
            new = value not in known
            known.add(value)
        if new:
            for family in self.shown():
                family.begin(label, value)

    def run_as(self, roles: Iterable[str]) -> None:
        """Show only metrics that this process emits: a value that nobody sets would look like one that is 0.

        Args:
            roles: what this process is, of `ROLES`.
        """
        self._roles = frozenset(roles)

    def shown(self) -> list[AnyFamily]:
        """Return the metrics that this process emits."""
        return [family for family in self.families.values() if not self._roles.isdisjoint(family.roles)]

    def counter(
        self,
        name: str,
        help_text: str,
        *,
        roles: tuple[str, ...] = ROLES,
        max_sets: int = 1,
        mirrored: bool = False,
        **labels: tuple[str, ...],
    ) -> Family[Counter]:
        """Declare something that is counted.

        Args:
            name: with unit, ending in `_total`.
            help_text: what it counts.
            roles: the processes that emit it.
            max_sets: how many label sets there may be at most.
            mirrored: somebody else counts; see `Counter.mirror`.
            labels: name to its closed values, or `OPEN`.
        """
        make = _mirror if mirrored else Counter
        family = Family(self, name, help_text, make, roles=roles, max_sets=max_sets, labels=labels, starts=not mirrored)
        return self._declared(family)

    def gauge(
        self, name: str, help_text: str, *, roles: tuple[str, ...] = ROLES, max_sets: int = 1, **labels: tuple[str, ...]
    ) -> Family[Gauge]:
        """Declare something that goes up and down; arguments as for `counter`.

        Args:
            name: with unit.
            help_text: what it measures.
            roles: the processes that emit it.
            max_sets: how many label sets there may be at most.
            labels: name to its closed values, or `OPEN`.
        """
        family = Family(self, name, help_text, Gauge, roles=roles, max_sets=max_sets, labels=labels, starts=False)
        return self._declared(family)

    def histogram(
        self,
        name: str,
        help_text: str,
        *,
        buckets: tuple[float, ...],
        roles: tuple[str, ...] = ROLES,
        max_sets: int = 1,
        **labels: tuple[str, ...],
    ) -> Family[Histogram]:
        """Declare something that is measured again and again; arguments as for `counter`.

        Args:
            name: with unit, ending in `_seconds` or `_bytes`.
            help_text: what it measures.
            buckets: upper bounds; the threshold of every objective on it must be one.
            roles: the processes that emit it.
            max_sets: how many label sets there may be at most.
            labels: name to its closed values, or `OPEN`.
        """
        family = Family(
            self, name, help_text, lambda: Histogram(buckets), roles=roles, max_sets=max_sets, labels=labels, buckets=buckets
        )
        return self._declared(family)

    def _declared(self, family: Family[Child]) -> Family[Child]:
        if family.name in self.families:
            raise ValueError(f"{family.name} is declared twice.")
        self.families[family.name] = family
        if not all(family.labels.values()):
            self.register("metric", family.name)
        return family

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
            self.overflowed(metric)
        return known

    def overflowed(self, metric: str) -> None:
        """Count that a label set was folded.

        Args:
            metric: of which metric.
        """
        if metric != OVERFLOW:
            self.register("metric", metric)
            self._overflow.at(metric).inc()


def _mirror() -> Counter:
    counter = Counter()
    counter.value = UNSET
    return counter


class Family(Generic[Child]):
    """One metric with all its label sets."""

    def __init__(  # noqa: PLR0913  # what a declaration says
        self,
        metrics: Metrics,
        name: str,
        help_text: str,
        make: Callable[[], Child],
        *,
        roles: tuple[str, ...],
        max_sets: int,
        labels: Mapping[str, tuple[str, ...]],
        buckets: tuple[float, ...] = (),
        starts: bool = True,
    ) -> None:
        """Build a family; use `Metrics.counter` and its siblings.

        Args:
            metrics: the set it belongs to.
            name: as it is exposed.
            help_text: what it measures.
            make: makes what keeps the values of one label set.
            roles: the processes that emit it.
            max_sets: how many label sets there may be at most.
            labels: name to its closed values, or `OPEN`.
            buckets: upper bounds, for histograms.
            starts: whether label sets are shown, at 0, before something happens.
        """
        self.name = name
        self.help = help_text
        self.roles = roles
        self.labels = labels
        self.max_sets = max_sets
        self.buckets = buckets
        self._metrics = metrics
        self._make: Callable[[], Child] = make
        self._children: dict[tuple[str, ...], Child] = {}
        self._lock = threading.Lock()
        self._starts = starts
        if starts and all(labels.values()):
            self._start(tuple(closed[0] for closed in labels.values()))

    @property
    def kind(self) -> str:
        """What it is: counter, gauge or histogram."""
        return "histogram" if self.buckets else "counter" if self.name.endswith("_total") else "gauge"

    @property
    def lines(self) -> int:
        """How many series one label set is."""
        return len(self.buckets) + 3 if self.buckets else 1

    def collected(self) -> Metric:
        """Return its present values, as prometheus_client wants them."""
        names = list(self.labels)
        counted = HistogramMetricFamily(self.name, self.help, labels=names)
        single = (CounterMetricFamily if self.kind == "counter" else GaugeMetricFamily)(self.name, self.help, labels=names)
        for values, child in self.sets():
            if isinstance(child, Histogram):
                counted.add_metric(list(values), _added_up(child), child.total)
            elif not isnan(value := child.read()):
                single.add_metric(list(values), value)
        return counted if self.buckets else single

    def at(self, *values: str) -> Child:
        """Return what to increment, set or observe. Cheap: a dictionary lookup for values seen before.

        Args:
            values: the label values, in the declared order.

        Raises:
            ValueError: there are more or fewer values than labels.
        """
        child = self._children.get(values)
        return child if child is not None else self._other(values)

    def begin(self, label: str, value: str) -> None:
        """Start a counter at 0 for a value of its only open label, so that the first event is a rise.

        Args:
            label: the label's name.
            value: one that was just registered.
        """
        if self.kind == "counter" and self._starts and [name for name, closed in self.labels.items() if not closed] == [label]:
            self.at(*(closed[0] if closed else value for closed in self.labels.values()))

    def sets(self) -> list[tuple[tuple[str, ...], Child]]:
        """Return the label sets there are, as label values in the declared order and what keeps their value."""
        with self._lock:
            return list(self._children.items())

    def clear(self) -> None:
        """Forget every value: this process no longer measures it. For gauges and mirrored counters."""
        with self._lock:
            self._children = {}

    def forget(self, *values: str) -> None:
        """Forget one label set, such as that of a channel that was removed.

        Args:
            values: the label values, in the declared order.
        """
        with self._lock:
            self._children = {known: child for known, child in self._children.items() if known != values}

    def _other(self, values: tuple[str, ...]) -> Child:
        known = self._metrics.folded(self.name, self.labels, values)
        with self._lock:
            if known not in self._children:
                room = self._has_room()
                self._start(known if room else tuple(OTHER for _ in known))
                if not room:
                    self._metrics.overflowed(self.name)
            return self._children[known if known in self._children else tuple(OTHER for _ in known)]

    def _has_room(self) -> bool:
        return len(self._children) + self._siblings() <= self.max_sets

    def _siblings(self) -> int:
        count = 1
        for closed in self.labels.values():
            count *= max(1, len(closed) if self._starts else 1)
        return count

    def _start(self, values: tuple[str, ...]) -> None:
        """Make a label set and those that differ from it in closed labels only; all start at 0."""
        choices: list[tuple[str, ...]] = []
        for value, closed in zip(values, self.labels.values(), strict=True):
            choices.append(closed if self._starts and closed and value in closed else (value,))
        for sibling in itertools.product(*choices):
            if sibling not in self._children:
                self._children[sibling] = self._make()


AnyFamily: TypeAlias = Family[Counter] | Family[Gauge] | Family[Histogram]


def bound(value: float) -> str:
    """Return a bucket's bound as it is written in `le`: "1.0", "0.005"."""
    return str(floatToGoString(value))  # type: ignore[no-untyped-call]  # not annotated there


def _added_up(histogram: Histogram) -> list[tuple[str, int]]:
    edges = (*map(bound, histogram.bounds), "+Inf")
    return list(zip(edges, itertools.accumulate(histogram.counts), strict=True))
