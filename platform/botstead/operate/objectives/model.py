"""What an objective is: the declarative model behind `alerts/objectives.yml` and `alerts/tiers.yml`. Pure but for the loaders.

An objective says which events of which metric count and which of them are bad. It holds no PromQL: the Prometheus rules and
the ledger in Postgres are made of the same words, by way of `Objective.bad` and `Objective.total`, which are sums of series.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from botstead.core.errors import ConfigurationError
from botstead.operate.objectives import document

Severity = Literal["page", "ticket"]
Sample = Literal["value", "count", "bucket"]
Text = Annotated[str, msgspec.Meta(min_length=1)]
Words = Annotated[tuple[Text, ...], msgspec.Meta(min_length=1)]
Matchers = Mapping[str, Words]
"""Label to the values of it that are meant."""
Name = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9]*(_[a-z0-9]+)*\Z")]
Duration = Annotated[str, msgspec.Meta(pattern=r"\A[1-9][0-9]{0,5}[smhd]\Z")]
"""As Prometheus writes it: `5m`, `6h`, `30d`."""
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

MOST = Fraction(9, 10)
"""The highest share of bad events that a tier asks for: with a lax target it could be more than all."""
OBJECTIVES = "objectives.yml"
TIERS = "tiers.yml"


def seconds(duration: str) -> int:
    """Return how long a duration is.

    Args:
        duration: `5m`, `6h`, `30d`.
    """
    return int(duration[:-1]) * _SECONDS[duration[-1]]


def allowed_ratio(target: float) -> Fraction:
    """Return the ratio of events that may be bad, exactly: 1/200 for a target of 99.5.

    Args:
        target: percent of events that are good.
    """
    return 1 - Fraction(str(target)) / 100


class Matcher(msgspec.Struct, frozen=True):
    """A label that must (`wanted`), or must not, have one of some values."""

    label: str
    values: tuple[str, ...]
    wanted: bool = True


class Term(msgspec.Struct, frozen=True, kw_only=True):
    """Series of one name that are added up, or taken off (`sign` -1).

    Args:
        sign: 1 or -1.
        metric: the metric's name, of a histogram without `_count` and `_bucket`.
        sample: `value` of a counter, `count` of a histogram, or one `bucket` of it.
        within: the bucket's upper bound, in the histogram's unit; 0 for the other samples.
        matchers: which of its label sets.
    """

    metric: str
    sign: int = 1
    sample: Sample = "value"
    within: float = 0.0
    matchers: tuple[Matcher, ...] = ()

    @property
    def series(self) -> str:
        """The name as Prometheus keeps it."""
        return self.metric if self.sample == "value" else f"{self.metric}_{self.sample}"

    @property
    def le(self) -> str:
        """The label `le` of the bucket as prometheus-client and our renderer write it: `1.0`, also for Prometheus 3."""
        return repr(float(self.within)) if self.sample == "bucket" else ""

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether a label set is meant.

        Args:
            labels: name to value.
        """
        return all((labels.get(matcher.label, "") in matcher.values) is matcher.wanted for matcher in self.matchers)


class Of(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A counter and which of its label sets."""

    metric: Name
    of: Matchers = {}
    without: Matchers = {}


class Events(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which events count, and which of them are bad. There are three forms.

    A counter (or a histogram's count) that a label divides: `metric` with `bad` or `good`. A histogram: `histogram` with
    `within`; what took longer is bad, and so is what `bad` names, however fast it was. Two counters: `metric` counts the bad
    ones, `total` all.

    Args:
        metric: a counter; a histogram's events are counted by the name `…_count`.
        histogram: a histogram, without `_count` and `_bucket`.
        within: what is fast enough, in the histogram's unit; must be one of its buckets.
        of: label sets that count; those left out do not matter.
        without: label sets that do not count.
        bad: label sets that are bad.
        good: label sets that are good; the others are bad.
        total: all events, where `metric` counts the bad ones.
    """

    metric: Name | None = None
    histogram: Name | None = None
    within: Annotated[float, msgspec.Meta(gt=0)] | None = None
    of: Matchers = {}
    without: Matchers = {}
    bad: Matchers = {}
    good: Matchers = {}
    total: Of | None = None

    def __post_init__(self) -> None:
        """Refuse what is none of the forms."""
        if (self.metric is None) == (self.histogram is None):
            raise ValueError("events have either a metric or a histogram")
        if (self.histogram is None) != (self.within is None):
            raise ValueError("within belongs to a histogram, and a histogram needs it")
        divided = bool(self.bad) + bool(self.good) + (self.total is not None)
        if self.metric is not None and divided != 1:
            raise ValueError("a metric needs one of bad, good, total")
        if self.histogram is not None and (self.good or self.total):
            raise ValueError("a histogram has within and perhaps bad, but neither good nor total")
        for label, values in (*self.bad.items(), *self.good.items()):
            if strangers := [value for value in values if value not in self.of.get(label, values)]:
                raise ValueError(f"of leaves out {label}={strangers[0]}, which bad or good names")

    @property
    def bad_terms(self) -> tuple[Term, ...]:
        """What adds up to the bad events."""
        counted = self._term()
        if self.total is not None:
            return (counted,)
        if self.histogram is None:
            if self.bad:
                return (self._term(self.bad),)
            return (counted, self._term(self.good, sign=-1))
        if not self.bad:
            return (counted, self._term(sign=-1, within=self.within or 0.0))
        # Everything, without what was fast and not of the bad kind.
        return (
            counted,
            self._term(sign=-1, within=self.within or 0.0),
            self._term(self.bad, within=self.within or 0.0),
        )

    @property
    def total_terms(self) -> tuple[Term, ...]:
        """What adds up to all events."""
        if self.total is None:
            return (self._term(),)
        return (Term(metric=self.total.metric, matchers=_matchers(self.total.of, self.total.without)),)

    def _term(self, more: Matchers | None = None, *, sign: int = 1, within: float = 0.0) -> Term:
        name = self.histogram or self.metric or ""
        counts = self.histogram is not None or name.endswith("_count")
        sample: Sample = "bucket" if within else "count" if counts else "value"
        return Term(
            metric=name.removesuffix("_count") if counts else name,
            sign=sign,
            sample=sample,
            within=within,
            matchers=_matchers(_narrowed(self.of, more or {}), self.without),
        )


def _narrowed(of: Matchers, more: Matchers) -> Matchers:
    """Return both conditions as one: values of a label that both name."""
    both = {label: tuple(value for value in values if value in of.get(label, values)) for label, values in more.items()}
    return {**of, **both}


def _matchers(of: Matchers, without: Matchers) -> tuple[Matcher, ...]:
    wanted = [Matcher(label, tuple(values)) for label, values in of.items()]
    return (*wanted, *(Matcher(label, tuple(values), wanted=False) for label, values in without.items()))


class Own(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What each value of the `by` label may say for itself, as gauges with that label.

    Args:
        target: a gauge with its target as a ratio, in place of the objective's.
        pages: a gauge that is 1 where page tiers hold too, and 0 where the objective's `alerts` are all.
    """

    target: Name
    pages: Name


class Objective(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One promise.

    Args:
        name: lower case with underscores; the label `slo` of every series and alert.
        service: which part of the appliance keeps it; the label `service`.
        promise: one sentence for the people it is made to.
        target: percent of events that are good, over `Tiers.period`.
        events: what counts; several are added up.
        by: labels that have a budget each.
        alerts: severities whose tiers watch it.
        own: gauges by which each value of `by` has a target and pages of its own.
        impact: who notices when it breaks, and how.
        first_steps: what to do first, in order.
        board: the dashboard that explains it.
        panel: the panel's title there; "" for the board as a whole.
    """

    name: Name
    service: Name
    promise: Text
    target: Annotated[float, msgspec.Meta(gt=0, lt=100)]
    events: Events | Annotated[tuple[Events, ...], msgspec.Meta(min_length=1)]
    impact: Text
    first_steps: Words
    board: Text
    panel: str = ""
    by: tuple[Name, ...] = ()
    alerts: Annotated[tuple[Severity, ...], msgspec.Meta(min_length=1)] = ("page", "ticket")
    own: Own | None = None

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if len(set(self.alerts)) != len(self.alerts) or len(set(self.by)) != len(self.by):
            raise ValueError("alerts and by name each thing once")
        if self.own is not None and len(self.by) != 1:
            raise ValueError("own needs exactly one label in by")

    @property
    def budget(self) -> Fraction:
        """The ratio of events that may be bad; see `allowed_ratio`."""
        return allowed_ratio(self.target)

    @property
    def alert(self) -> str:
        """The name of its burn alerts and of their runbook: `DeliveryBotBurn`."""
        return "".join(part.capitalize() for part in self.name.split("_")) + "Burn"

    @property
    def bad(self) -> tuple[Term, ...]:
        """What adds up to the bad events."""
        return tuple(term for events in self._events for term in events.bad_terms)

    @property
    def total(self) -> tuple[Term, ...]:
        """What adds up to all events."""
        return tuple(term for events in self._events for term in events.total_terms)

    @property
    def _events(self) -> tuple[Events, ...]:
        return (self.events,) if isinstance(self.events, Events) else self.events


class Tier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How fast a budget may burn before somebody is told.

    Args:
        name: the label `tier`.
        severity: page wakes a person, ticket waits for the morning.
        long: the window that decides.
        short: the window that shows a recovery.
        spends: percent of the whole budget that is burnt in `long` when the tier fires.
    """

    name: Name
    severity: Severity
    long: Duration
    short: Duration
    spends: Annotated[float, msgspec.Meta(gt=0, le=100)]

    def factor(self, period: str) -> Fraction:
        """Return how many times faster than even the budget burns when the tier fires: 14.4 for 2 % of 30 d in 1 h.

        Args:
            period: that of the budget.
        """
        return Fraction(str(self.spends)) / 100 * seconds(period) / seconds(self.long)

    def limit(self, budget: Fraction, period: str) -> Fraction:
        """Return the share of bad events above which the tier fires. With a lax target it would be more than all.

        Args:
            budget: the share that may be bad.
            period: that of the budget.
        """
        return min(self.factor(period) * budget, MOST)


class Tiers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When budgets are full again, and how they are watched.

    Args:
        period: the window of every budget.
        min_bad: bad events in `long` below which no tier fires: one failure at night is no outage.
        tiers: most urgent first.
    """

    period: Duration
    min_bad: Annotated[int, msgspec.Meta(ge=1)]
    tiers: Annotated[tuple[Tier, ...], msgspec.Meta(min_length=1)]

    def __post_init__(self) -> None:
        """Refuse windows that cannot work."""
        for tier in self.tiers:
            if not seconds(tier.short) < seconds(tier.long) < seconds(self.period):
                raise ValueError(f"tier {tier.name}: short must be shorter than long, and long than the period")
        if len({tier.name for tier in self.tiers}) != len(self.tiers):
            raise ValueError("two tiers have the same name")

    def of(self, objective: Objective, *, pages: bool = False) -> tuple[Tier, ...]:
        """Return the tiers that watch an objective.

        Args:
            objective: which.
            pages: whether page tiers watch it too, where it says so of itself (`Own.pages`).
        """
        return tuple(tier for tier in self.tiers if tier.severity in objective.alerts or (pages and tier.severity == "page"))


class Objectives(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The document `objectives.yml`."""

    objectives: tuple[Objective, ...]


def load_objectives(path: Path | None = None) -> tuple[Objective, ...]:
    """Read the objectives.

    Args:
        path: where; those that are shipped when it is None.

    Raises:
        ConfigurationError: the message names file and line.
    """
    place = path or document.shipped(OBJECTIVES)
    found = document.read(place, Objectives).objectives
    names = [objective.name for objective in found]
    for number, name in enumerate(names):
        if name in names[:number]:
            line = [*re.finditer(rf"^\s*- name: {name}\s*$", place.read_text("utf-8"), re.MULTILINE)][-1]
            raise ConfigurationError(f"{place} line {line.string.count(chr(10), 0, line.end()) + 1}: {name} is there twice.")
    return found


def load_tiers(path: Path | None = None) -> Tiers:
    """Read the tiers.

    Args:
        path: where; those that are shipped when it is None.

    Raises:
        ConfigurationError: the message names file and line.
    """
    return document.read(path or document.shipped(TIERS), Tiers)
