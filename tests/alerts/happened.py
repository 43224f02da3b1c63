"""What may happen to a promise: the kinds of event that count for it, and a model, without PromQL, of when its tiers must fire."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

from botstead.operate.objectives.model import Events, Objective, Tier, Tiers, seconds
from botstead.telemetry.catalog import METRICS

VICTIM, OTHER, IDLE = "victim", "bystander", "idler"
"""The value of each `by` label where things go wrong, where all is well, and where nothing happens that counts."""

OPEN = {
    "http_response_status_code": ("2xx", "3xx", "4xx", "5xx"),
    "db_system_name": ("postgresql", "valkey"),
    "http_request_method": ("GET", "HEAD", "POST", "PUT", "DELETE"),
}
"""Values of labels that the catalogue leaves open."""


class Kind(NamedTuple):
    """A kind of event: what is it for the promise, and which series grow by one."""

    verdict: str
    """good, bad, or neutral: it does not count. Or early: a bucket is read later than its count, and has something in it already."""
    grows: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]

    def series(self, by: Mapping[str, str]) -> list[tuple[str, dict[str, str]]]:
        """Its series, with the values of the `by` labels."""
        return [(name, {**by, **dict(labels)}) for name, labels in self.grows]


def kinds(objective: Objective) -> list[Kind]:
    """Every kind of event of an objective; the first of each verdict is the usual one."""
    events = (objective.events,) if isinstance(objective.events, Events) else objective.events
    found = [kind for each in events for kind in _kinds(each)]
    return [kind for kind in found if kind.verdict != "neutral" or not any(_counts(each, kind) for each in events)]


def _counts(events: Events, kind: Kind) -> bool:
    """Whether one of the sums of a promise takes a kind of event in."""
    if events.histogram is None:
        return False
    (name, pairs), *_ = kind.grows
    labels = dict(pairs)
    return (
        name.removesuffix("_count") == events.histogram
        and all(labels.get(label) in values for label, values in events.of.items())
        and not any(labels.get(label) in values for label, values in events.without.items())
    )


def _kinds(events: Events) -> Iterator[Kind]:
    base = {label: values[0] for label, values in events.of.items()}
    if events.histogram is not None:
        yield from _durations(events)
        return
    assert events.metric is not None
    if events.total is not None:
        yield from _late(events)
        return
    [(label, named)] = (events.bad or events.good).items()
    allowed = events.of.get(label) or _closed(events.metric, label)
    verdicts = {value: "bad" if (value in named) is bool(events.bad) else "good" for value in allowed}
    for value, verdict in sorted(verdicts.items(), key=lambda item: item[1] == "bad"):
        yield Kind(verdict, ((events.metric, _pairs({**base, label: value})),))
    for label_of, values in events.of.items():
        for value in _others(events.metric, label_of, values)[:1]:
            yield Kind("neutral", ((events.metric, _pairs({**base, label: named[0], label_of: value})),))
    for without, values in events.without.items():
        yield Kind("neutral", ((events.metric, _pairs({**base, label: named[0], without: values[0]})),))


def _late(events: Events) -> Iterator[Kind]:
    """Events that one series counts, and another one those of them that are bad."""
    assert events.total is not None
    assert events.metric is not None
    base = {label: values[0] for label, values in events.total.of.items()}
    total = (events.total.metric, _pairs(base))
    yield Kind("good", (total,))
    yield Kind("bad", (total, (events.metric, ())))
    for label, values in events.total.of.items():
        for value in _others(events.total.metric, label, values)[:1]:
            yield Kind("neutral", ((events.total.metric, _pairs({label: value})),))
    for label, values in events.without.items():
        left_out = {label: values[0]}
        yield Kind("neutral", ((events.total.metric, _pairs(base | left_out)), (events.metric, _pairs(left_out))))


def _durations(events: Events) -> Iterator[Kind]:
    for labels in _each_of(events.of) if events.of else [_unlike(events)]:
        in_time = _timed(events, labels)
        yield Kind("good", in_time)
        yield Kind("bad", in_time[:2])
        yield Kind("early", in_time[2:])
    base = {label: values[0] for label, values in events.of.items()} or _unlike(events)
    for label, values in events.of.items():
        for value in _others(events.histogram or "", label, values)[:1]:
            yield Kind("neutral", _timed(events, base | {label: value}))
    for label, values in events.without.items():
        if label not in OPEN:
            yield Kind("neutral", _timed(events, base | {label: values[0]}))


def _timed(events: Events, labels: Mapping[str, str]) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """The series of a duration: of all, of those that took however long, and of those in time."""
    count, bucket = f"{events.histogram}_count", f"{events.histogram}_bucket"
    le = ("le", repr(float(events.within or 0)))
    return ((count, _pairs(labels)), (bucket, (*_pairs(labels), ("le", "+Inf"))), (bucket, (*_pairs(labels), le)))


def _each_of(of: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Each combination of values that count."""
    return [dict(zip(of, values, strict=True)) for values in product(*of.values())]


def _unlike(events: Events) -> dict[str, str]:
    """Labels that `without` lets pass."""
    histogram = events.histogram or ""
    return {label: _others(histogram, label, values)[0] for label, values in events.without.items() if label in OPEN}


def _closed(metric: str, label: str) -> tuple[str, ...]:
    return METRICS.families[metric.removesuffix("_count")].labels[label] or OPEN[label]


def _others(metric: str, label: str, values: Sequence[str]) -> list[str]:
    """Values of a closed label besides these."""
    return [value for value in _closed(metric, label) if value not in values]


def _pairs(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(labels.items())


class Minutes(NamedTuple):
    """How many good and bad events each minute had."""

    good: tuple[float, ...]
    bad: tuple[float, ...]

    def __add__(self, other: Minutes) -> Minutes:  # type: ignore[override]
        """This, and then that."""
        return Minutes(self.good + other.good, self.bad + other.bad)

    def count(self, what: Sequence[float], end: int, window: int) -> float:
        """Events in the window of so many minutes that ends with minute `end`."""
        return sum(what[max(0, end - window) : max(0, end)])


def lasting(minutes: int, share: float, *, rate: float = 60.0) -> Minutes:
    """A while with a share of bad events."""
    return Minutes((rate * (1 - share),) * minutes, (rate * share,) * minutes)


def happening(minutes: int, good: Mapping[int, float], bad: Mapping[int, float]) -> Minutes:
    """A while with so many events in single minutes, and none in the others."""
    return Minutes(*(tuple(float(what.get(minute, 0)) for minute in range(minutes)) for what in (good, bad)))


def sparse(minutes: int, *, every: int = 10, bad: bool = False) -> Minutes:
    """A while with one event in so many minutes."""
    ticks = tuple(float(minute % every == every - 1) for minute in range(minutes))
    nothing = (0.0,) * minutes
    return Minutes(nothing, ticks) if bad else Minutes(ticks, nothing)


def firing(minutes: Minutes, tier: Tier, budget: float, tiers: Tiers, at: int, *, blur: int) -> bool | None:
    """Whether a tier must fire at a minute; None where a little more or less of anything decides.

    The definition: bad events in `long` above the limit and not fewer than `min_bad`, unless `short` had events and kept
    below the limit.
    """
    limit = min(0.9, float(tier.factor(tiers.period)) * budget)
    long, short = seconds(tier.long) // 60, seconds(tier.short) // 60
    found = set()
    for scale, shift, floor in product((0.92, 1.0, 1.08), (-blur, 0, blur), (-0.4, 0.4)):
        end = min(max(at + shift, 0), len(minutes.good))
        bad, good = minutes.count(minutes.bad, end, long), minutes.count(minutes.good, end, long)
        late_bad, late_good = minutes.count(minutes.bad, end, short), minutes.count(minutes.good, end, short)
        recovered = late_bad + late_good > 0 and late_bad <= limit * scale * (late_bad + late_good)
        found.add(bad > limit * scale * (bad + good) and bad >= tiers.min_bad + floor and not recovered)
    return found.pop() if len(found) == 1 else None
