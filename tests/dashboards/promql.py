"""Which series there are, and what is wrong with a PromQL expression about them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import promql_parser as parser

from botstead.operate.alerting.files import rule_files
from botstead.operate.objectives.model import load_objectives
from botstead.telemetry.catalog import METRICS, VITALS
from botstead.telemetry.metrics import OTHER

VARIABLES = {"__rate_interval": "1m", "__range": "6h", "__interval": "15s"}
"""Grafana's own, with a value that they may have."""
TARGET = {"job": (), "instance": ()}
"""Labels that Prometheus gives to whatever it reads."""
WRAPPERS = {"rate", "increase", "irate", "changes", "resets"}
"""Functions that a counter makes sense in."""


class Kind(NamedTuple):
    """A series: whether it only rises, its labels with their closed values, and its buckets."""

    counter: bool
    labels: Mapping[str, tuple[str, ...]]
    buckets: tuple[float, ...] = ()


def _foreign() -> dict[str, Kind]:
    """Series that are not ours: of Prometheus, of Alertmanager, of Python."""
    gauges = {
        "up": {}, "scrape_duration_seconds": {}, "scrape_samples_scraped": {},
        "prometheus_config_last_reload_successful": {}, "alertmanager_config_last_reload_successful": {},
        "prometheus_notifications_alertmanagers_discovered": {}, "prometheus_tsdb_head_series": {},
        "prometheus_rule_group_last_duration_seconds": {"rule_group": ()},
        "prometheus_rule_group_interval_seconds": {"rule_group": ()},
        "alertmanager_alerts": {"state": ("active", "suppressed", "unprocessed")},
        "alertmanager_silences": {"state": ("active", "pending", "expired")},
        "process_start_time_seconds": {}, "process_resident_memory_bytes": {}, "process_virtual_memory_bytes": {},
        "process_open_fds": {}, "process_max_fds": {},
        "ALERTS": dict.fromkeys(("alertname", "alertstate", "severity", "area", "slo", "tier", "service", "bot", "channel"), ()),
    }  # fmt: skip
    counters = {
        "prometheus_rule_evaluation_failures_total": {"rule_group": ()}, "process_cpu_seconds_total": {},
        "python_gc_collections_total": {"generation": ()},
        "alertmanager_notifications_total": {"integration": ()}, "alertmanager_notifications_failed_total": {"integration": ()},
    }  # fmt: skip
    found = {name: Kind(False, {**TARGET, **labels}) for name, labels in gauges.items()}
    return found | {name: Kind(True, {**TARGET, **labels}) for name, labels in counters.items()}


def _recorded() -> dict[str, Kind]:
    """Series that our rules record, with every label that an objective may have."""
    names = set(re.findall(r"- record: (\S+)", "\n".join(rule_files().values())))
    by = {label: () for objective in load_objectives() for label in objective.by}
    return {name: Kind(False, {"slo": (), "service": (), **by}) for name in names}


def _ours() -> dict[str, Kind]:
    found = {}
    for family in METRICS.families.values():
        labels = {**TARGET, **family.labels}
        if family.buckets:
            found[f"{family.name}_bucket"] = Kind(True, {**labels, "le": ()}, family.buckets)
            found |= dict.fromkeys((f"{family.name}_sum", f"{family.name}_count"), Kind(True, labels))
        else:
            found[family.name] = Kind(family.name.endswith("_total"), labels)
    return found | {name: Kind(each.kind == "counter", {**TARGET, **each.labels}) for name, each in VITALS.all.items()}


KNOWN = {**_foreign(), **_recorded(), **_ours()}
"""Every series there is, by name."""


def filled(expression: str, chosen: Mapping[str, str]) -> str:
    """The expression as Prometheus gets it, with all variables put in."""
    values = {**VARIABLES, **chosen}
    return re.sub(r"\$([a-z_]\w*)", lambda found: values[found[1]], expression)


class Use(NamedTuple):
    """A series in an expression, with the functions and aggregations around it, the nearest first."""

    name: str
    matchers: tuple[parser.Matcher, ...]
    around: tuple[parser.Expr, ...]


def uses(expression: parser.Expr, around: tuple[parser.Expr, ...] = ()) -> Iterator[Use]:
    """Every series that an expression reads."""
    match expression:
        case parser.VectorSelector():
            yield Use(expression.name, tuple(expression.matchers.matchers), around)
        case parser.MatrixSelector():
            yield from uses(expression.vector_selector, around)
        case parser.BinaryExpr():
            yield from uses(expression.lhs, around)
            yield from uses(expression.rhs, around)
        case parser.Call():
            for argument in expression.args:
                yield from uses(argument, (expression, *around))
        case parser.AggregateExpr() | parser.ParenExpr() | parser.UnaryExpr() | parser.SubqueryExpr():
            yield from uses(expression.expr, (expression, *around))


def problems(expression: str) -> Iterator[str]:
    """What is wrong with an expression, in words."""
    for use in uses(parser.parse(expression)):
        kind = KNOWN.get(use.name)
        if kind is None:
            yield f"{use.name}: nobody emits or records it"
            continue
        yield from _label_problems(use, kind)
        calls = {each.func.name for each in use.around if isinstance(each, parser.Call)}
        if kind.counter and not calls & WRAPPERS and not any(_counts(each) for each in use.around):
            yield f"{use.name}: a counter is read without rate or increase"
        if not kind.counter and calls & (WRAPPERS - {"changes"}):
            yield f"{use.name}: the rate of a gauge says nothing"
        if use.name.endswith("_bucket") and not any(_keeps_buckets(each) for each in use.around) and not _one_bucket(use):
            yield f"{use.name}: its buckets are added up"


def _label_problems(use: Use, kind: Kind) -> Iterator[str]:
    for matcher in use.matchers:
        closed = kind.labels.get(matcher.name)
        if closed is None:
            yield f"{use.name}: has no label {matcher.name}"
        elif closed and matcher.op == parser.MatchOp.Equal and matcher.value not in closed:
            yield f"{use.name}: {matcher.name} is never {matcher.value}"
        elif closed and matcher.op == parser.MatchOp.Re and matcher.value != ".+":
            yield from (
                f"{use.name}: {matcher.name} is never {word}" for word in matcher.value.split("|") if word not in (*closed, OTHER)
            )
        elif matcher.name == "le" and matcher.op == parser.MatchOp.Equal and float(matcher.value) not in kind.buckets:
            yield f"{use.name}: {matcher.value} is no bucket"
    for each in use.around:
        strange = set(_kept(each)) - set(kind.labels)
        yield from (f"{use.name}: is summed by {label}, which it does not have" for label in sorted(strange))


def _kept(each: parser.Expr) -> list[str]:
    """Labels that an aggregation keeps by name."""
    by = isinstance(each, parser.AggregateExpr) and each.modifier is not None and each.modifier.type == parser.AggModifierType.By
    return each.modifier.labels if by else []


def _counts(each: parser.Expr) -> bool:
    """Whether only the number of series matters, not their values."""
    return isinstance(each, parser.AggregateExpr) and str(parser.parse("count(x)").op) == str(each.op)


def _keeps_buckets(each: parser.Expr) -> bool:
    return "le" in _kept(each)


def _one_bucket(use: Use) -> bool:
    return any(matcher.name == "le" and matcher.op == parser.MatchOp.Equal for matcher in use.matchers)
