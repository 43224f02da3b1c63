"""Holds objectives to the catalogue of metrics: one on a metric that nobody counts would always look kept. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence

from botstead.operate.objectives.model import Objective, Term
from botstead.telemetry.metrics import OTHER, AnyFamily


def problems(objectives: Sequence[Objective], families: Mapping[str, AnyFamily], gauges: Collection[str] = ()) -> list[str]:
    """Return what is wrong, each with the objective's name and advice.

    Args:
        objectives: what is promised.
        families: metrics by name.
        gauges: names of readings, for `own`.
    """
    return [f"{objective.name}: {problem}" for objective in objectives for problem in _of(objective, families, gauges)]


def _of(objective: Objective, families: Mapping[str, AnyFamily], gauges: Collection[str]) -> Iterator[str]:
    seen: dict[str, None] = {}
    for term in (*objective.bad, *objective.total):
        family = families.get(term.metric)
        found = [_unknown("metric", term.metric, families)] if family is None else [*_term(term, family, objective.by)]
        seen |= dict.fromkeys(found)
    yield from seen
    for gauge in (objective.own.target, objective.own.pages) if objective.own else ():
        if gauge not in gauges:
            yield _unknown("gauge", gauge, gauges)


def _term(term: Term, family: AnyFamily, by: Sequence[str]) -> Iterator[str]:
    if family.kind == "gauge":
        yield f"{term.metric} is a gauge, and gauges count no events."
    elif (family.kind == "histogram") != (term.sample != "value"):
        advice = "give it as histogram, or as metric with _count" if family.kind == "histogram" else "give it as metric"
        yield f"{term.metric} is a {family.kind}: {advice}."
    elif term.sample == "bucket" and term.within not in family.buckets:
        buckets = ", ".join(f"{bound:g}" for bound in family.buckets)
        yield f"within {term.within:g} is no bucket of {term.metric}. There are {buckets}."
    for label in (*(matcher.label for matcher in term.matchers), *by):
        if label not in family.labels:
            yield _unknown(f"label of {term.metric}", label, family.labels)
    for matcher in term.matchers:
        closed = family.labels.get(matcher.label, ())
        for value in matcher.values:
            if closed and value not in (*closed, OTHER):
                yield _unknown(f"{matcher.label} of {term.metric}", value, closed)


def _unknown(what: str, name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1)
    advice = f" Did you mean {near[0]}?" if near else f" There are {', '.join(sorted(known))}." if len(known) < 10 else ""
    return f"there is no {what} {name}.{advice}"
