"""Conditions: states that somebody must hear of though no promise is broken yet, or because nothing else can tell.

Pure but for the loader. `${waiting}` in a condition's texts is a limit, which has a name, is written once, and is shared with the
dashboards. Limits that are durations, ranges and waits follow the time scale of the rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from string import Template
from typing import Annotated, Literal

import msgspec

from botstead.core.errors import ConfigurationError
from botstead.operate.alerting.rules import Group, Links, Rule, Time, number, spoken
from botstead.operate.objectives import document
from botstead.operate.objectives.model import Duration, Name, Objective, Text

CONDITIONS = "conditions.yml"
EVERY = "30s"
"""How often conditions are looked at."""

Area = Literal["processes", "road", "channels", "integrations", "datastores", "host", "watch"]
AlertName = Annotated[str, msgspec.Meta(pattern=r"\A[A-Z][A-Za-z0-9]*\Z")]
Limit = Duration | float | int


class Condition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One state that somebody must hear of.

    Args:
        name: of the alert and of its runbook.
        severity: page wakes a person, ticket waits for the morning, none is for machines.
        area: what is wrong; alerts of one area come in one message.
        wait: how long it must last; "" for not at all.
        limits: name to a duration or a number; `${name}` in `expr`, `query` and `summary`.
        expr: PromQL that has a value while it holds.
        query: PromQL to draw, without the limit.
        summary: one plain sentence with numbers; a template of Prometheus.
        impact: who notices, and how.
        action: what to do first.
        board: uid of the dashboard that explains it.
        panel: the panel there.
        labels: those of the alert, besides severity and area.
        each: `paging objective` makes one alert for each, with `${slo}` in the texts; "" makes one.
    """

    name: AlertName
    severity: Literal["page", "ticket", "none"]
    area: Area
    expr: Text
    query: Text
    summary: Text
    impact: Text
    action: Text
    board: Text
    panel: Text
    wait: Annotated[str, msgspec.Meta(pattern=r"\A([1-9][0-9]{0,5}[smhd])?\Z")] = msgspec.field(name="for", default="")
    limits: Mapping[Name, Limit] = {}
    labels: tuple[Name, ...] = ()
    each: Literal["", "paging objective"] = ""

    def __post_init__(self) -> None:
        """Refuse limits that are not there, and limits that nobody uses."""
        known = {*self.limits, *(["slo"] if self.each else [])}
        used = {name for text in self._texts for name in Template(text).get_identifiers() if f"${{{name}}}" in text}
        if strange := sorted(used - known):
            raise ValueError(f"{self.name}: there is no limit {strange[0]}")
        if idle := sorted(set(self.limits) - used):
            raise ValueError(f"{self.name}: nothing uses the limit {idle[0]}")

    @property
    def _texts(self) -> tuple[str, ...]:
        return (self.expr, self.query, self.summary)

    def rule(self, time: Time, links: Links, *, slo: str = "") -> Rule:
        """Return the alert.

        Args:
            time: its scale.
            links: where its links lead.
            slo: the objective it is about, for a condition of each one.
        """
        values = {name: _value(limit, time) for name, limit in self.limits.items()} | {"slo": slo}
        words = {name: _words(limit, time) for name, limit in self.limits.items()} | {"slo": slo}
        labels = {"severity": self.severity, "area": self.area} | ({"slo": slo} if slo else {})
        query = time.ranges(_filled(self.query, values))
        return Rule(
            alert=self.name,
            expr=time.ranges(_filled(self.expr, values)),
            wait=time.duration(self.wait) if self.wait else "",
            labels=labels,
            annotations={
                "summary": _filled(self.summary, words),
                "impact": self.impact,
                "action": self.action,
                **links.of(self.name, query=query, board=self.board, panel=self.panel, carried=self.labels),
            },
        )


class Conditions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The document `conditions.yml`."""

    conditions: tuple[Condition, ...]


def load_conditions(path: Path | None = None) -> tuple[Condition, ...]:
    """Read the conditions.

    Args:
        path: where; those that are shipped when it is None.

    Raises:
        ConfigurationError: the message names file and line.
    """
    place = path or document.shipped(CONDITIONS)
    found = document.read(place, Conditions).conditions
    names = [condition.name for condition in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigurationError(f"{place}: {twice[0]} is there twice.")
    return found


def condition_groups(
    conditions: Iterable[Condition], objectives: Iterable[Objective], time: Time, links: Links
) -> tuple[Group, ...]:
    """Return the rules of all conditions, a group for each area.

    Args:
        conditions: what to watch.
        objectives: those that conditions of each paging objective are made for.
        time: scale of the rules.
        links: where links lead.
    """
    paging = [objective.name for objective in objectives if "page" in objective.alerts]
    areas: dict[str, list[Rule]] = {}
    for condition in conditions:
        for slo in paging if condition.each else [""]:
            areas.setdefault(condition.area, []).append(condition.rule(time, links, slo=slo))
    return tuple(Group(f"conditions:{area}", time.duration(EVERY), tuple(rules)) for area, rules in areas.items())


def _filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", value)
    return text.strip()


def _value(limit: Limit, time: Time) -> str:
    return number(time.length(limit)) if isinstance(limit, str) else number(limit)


def _words(limit: Limit, time: Time) -> str:
    return spoken(time.length(limit)) if isinstance(limit, str) else number(limit)
