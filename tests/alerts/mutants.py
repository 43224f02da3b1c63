"""Faults put into the rules on purpose: each must be noticed by a story or a case."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import promql_parser

Rule = dict[str, Any]
Change = Callable[[Rule], Rule | None]


class Mutant(NamedTuple):
    """A rule with one fault."""

    name: str
    original: Rule
    changed: Rule


def edit(pattern: str, new: str | Callable[[re.Match[str]], str], *, count: int = 1) -> Change:
    """Change an expression; None where there is nothing to change."""

    def change(rule: Rule) -> Rule | None:
        expression = " ".join(rule["expr"].split())
        changed, times = re.subn(pattern, new, expression, count=count)
        return {**rule, "expr": changed} if times and changed != expression else None

    return change


def field(name: str, value: Callable[[Any], Any]) -> Change:
    """Change or drop (None) a field of a rule."""

    def change(rule: Rule) -> Rule | None:
        if name not in rule:
            return None
        new = value(rule[name])
        return {key: (new if key == name else old) for key, old in rule.items() if key != name or new is not None}

    return change


def times(factor: float) -> Callable[[re.Match[str]], str]:
    """Multiply the number in the group `n`."""
    return lambda found: found[0].replace(found["n"], f"{float(found['n']) * factor:.6g}")


def _severity(labels: dict[str, str]) -> dict[str, str]:
    return labels | {"severity": "ticket" if labels["severity"] == "page" else "page"}


def _scaled(factor: int) -> Callable[[re.Match[str]], str]:
    """Multiply, or for a negative factor divide, a window in minutes, hours or days."""

    def new(found: re.Match[str]) -> str:
        size = int(found["n"]) * {"m": 60, "h": 3600, "d": 86_400}[found["u"]]
        return f"[{size * factor if factor > 0 else size // -factor}s]"

    return new


WINDOW = r"\[(?P<n>\d+)(?P<u>[mhd])\]"
_total = r"slo:total:count\w+\{[^}]*\}"
_bad = r"slo:bad:count\w+\{[^}]*\}"

BURN: dict[str, Change] = {
    "no floor": edit(rf" and {_bad} >= 5", ""),
    "floor of 2": edit(r">= 5", ">= 2"),
    "floor of 15": edit(r">= 5", ">= 15"),
    "no evidence of recovery": edit(r" unless .*", ""),
    "textbook form": edit(rf"unless \( {_total} > 0 and ({_bad}) <= (.*?) \)$", r"and (\1 > \2)"),
    "silence is recovery": edit(rf"unless \( {_total} > 0 and", "unless ("),
    "limit three times as high": edit(r"(> |clamp_max\()(?P<n>[\d.]+) \*", times(3)),
    "a third of the limit": edit(r"(> |clamp_max\()(?P<n>[\d.]+) \*", times(1 / 3)),
    "recovery three times as easy": edit(r"(<= |<= clamp_max\()(?P<n>[\d.]+) \*", times(3)),
    "recovery three times as hard": edit(r"(<= |<= clamp_max\()(?P<n>[\d.]+) \*", times(1 / 3)),
    "less is worse": edit(r" > ", " < "),
    "recovery when it is worse": edit(r" <= ", " >= "),
    "either window": edit(r" unless ", " or "),
    "everybody pages": edit(r" and on \(\w+\) max by \(\w+\) \(\w+\) == 1", ""),
    "those page who do not want to": edit(r"\) == 1", ") == 0"),
    "other severity": field("labels", _severity),
    "other tier": field("labels", lambda labels: labels | {"tier": "other"}),
    "other promise": field("labels", lambda labels: labels | {"slo": "other"}),
    "no area": field("labels", lambda labels: {key: value for key, value in labels.items() if key != "area"}),
    "waits 10 minutes": lambda rule: {**rule, "for": "10m"},
    "not there": lambda rule: {**rule, "expr": "vector(0) > 1"},
}
_SUM = r"sum(?: by \(\w+\))? ?\( ?increase\( ?[^()]*\) ?\)"
_FAR = r"^((?:(?! or 0 \* sum(?: by \(\w+\))?[^{})]*\{).)*)"
"""As far as possible, but not into a zero for those without bad events: it is 0 whatever is summed."""
_LEDGER = r"\[(?:(?P<d>\d+)d)?(?P<h>\d+)h59m\]"


def _hours(found: re.Match[str]) -> int:
    return int(found["d"] or 0) * 24 + int(found["h"]) + 1


RECORD: dict[str, Change] = {
    "window three times as long": edit(WINDOW, _scaled(3), count=0),
    "a third of the window": edit(WINDOW, _scaled(-3), count=0),
    "first value forgotten": edit(r'=~"[^|"]+\|', '=~"'),
    "last value forgotten": edit(r'\|[^|"]+"', '"'),
    "all values": edit(r'\w+=~?"[^"]*",?', ""),
    "the other values": edit(r'(?<=\w)=(~?)"', lambda found: '!~"' if found[1] else '!="'),
    "what is left out": edit(r'!(=|~)"', lambda found: '="' if found[1] == "=" else '=~"'),
    "what is left out counts": edit(r'\w+![=~]"[^"]*",?', ""),
    "all values of the last": edit(_FAR + r'\b\w+=~?"[^"]*",?', r"\1"),
    "the other values of the last": edit(_FAR + r'(?<=\w)=(~?)"', lambda found: f'{found[1]}!{found[2] or "="}"'),
    "what is left out of the last counts": edit(_FAR + r'\b\w+![=~]"[^"]*",?', r"\1"),
    "no zero": edit(rf" or 0 \* {_SUM}", "", count=0),
    "only zero": edit(rf"{_SUM} or (0 \* )", r"\1"),
    "last kind of event forgotten": edit(rf" \+ \( {_SUM}( or 0 \* {_SUM})? \)(?!.* \+ \( sum)", ""),
    "not by label": edit(r"by \((\w+)\) ", "", count=0),
    "mean instead of sum": edit(r"sum_over_time", "avg_over_time"),
    "three times the ledger": edit(_LEDGER, lambda found: f"[{_hours(found) * 3 - 1}h59m]"),
    "a third of the ledger": edit(_LEDGER, lambda found: f"[{max(1, _hours(found) // 3) - 1}h59m]"),
    "twice the budget": edit(r"\+ (?P<n>[\d.]+)$", times(2)),
    "own target ignored": edit(r"^1 - max by .* or on \(\w+\) ", ""),
    "default ignored": edit(r" or on \(\w+\) .*$", ""),
    "half a budget": edit(r"^1 - ", "0.5 - "),
    "nothing for the idle": edit(r" or 0 \* \S+ \+ 1$", ""),
    "below zero": edit(r"^clamp_min\((.*), 0 \)$", r"\1"),
    "a term less": edit(r" - \( sum.*$", ", 0 )"),
    "not there": lambda rule: {**rule, "expr": "vector(0) > 1"},
}
CONDITION: dict[str, Change] = {
    "limit three times as high": edit(r"(?P<o>[<>]=?) (?P<n>[\d.]*[1-9][\d.]*)(?![\d.]* \*)", times(3)),
    "a third of the limit": edit(r"(?P<o>[<>]=?) (?P<n>[\d.]*[1-9][\d.]*)(?![\d.]* \*)", times(1 / 3)),
    "three times as many": edit(r"> (?P<n>\d+) \*", times(3)),
    "a third as many": edit(r"> (?P<n>\d+) \*", times(1 / 3)),
    "more instead of less": edit(r" (?P<o>[<>]) ", lambda found: " > " if found["o"] == "<" else " < "),
    "present instead of absent": edit(r"== 0\b", "!= 0"),
    "at once": field("for", lambda _: None),
    "much later": field("for", lambda _: "2h"),
    "window three times as long": edit(WINDOW, _scaled(3), count=0),
    "a third of the window": edit(WINDOW, _scaled(-3), count=0),
    "no default": edit(r"\((.*?) or vector\(0\)\)", r"\1"),
    "only one of both": edit(r"^(.*?) (and|unless) .*$", r"\1"),
    "only the other one": edit(r"^.*? (and|or) (?!vector)", ""),
    "either of both": edit(r" and ", " or "),
    "all of them": edit(r"\{[^}]*\}", ""),
    "not by label": edit(r"by \([^)]*\) ", "", count=0),
    "sign forgotten": edit(r"abs\(([^)]*)\)", r"\1"),
    "other severity": field("labels", _severity),
    "other area": field("labels", lambda labels: labels | {"area": "other"}),
    "not there": lambda rule: {**rule, "expr": "vector(0) > 1"},
    "always there": lambda rule: {**rule, "expr": "vector(1)"} if rule["expr"].strip() != "vector(1)" else None,
}


def objective_mutants(document: Rule) -> Iterator[Mutant]:
    """Every fault in the rules of one objective."""
    yield from _mutants(document, lambda rule: BURN if "alert" in rule else RECORD)


def condition_mutants(document: Rule) -> Iterator[Mutant]:
    """Every fault in the rules of the conditions."""
    yield from _mutants(document, lambda _: CONDITION)


def _mutants(document: Rule, changes: Callable[[Rule], dict[str, Change]]) -> Iterator[Mutant]:
    for rule in (rule for group in document["groups"] for rule in group["rules"]):
        which = rule.get("alert") or rule["record"]
        slo = rule["labels"].get("slo", "") if which == "SloBlind" else ""
        full = " ".join(word for word in (which, rule["labels"].get("tier", ""), slo) if word)
        tried = [rule]
        for name, change in changes(rule).items():
            changed = change(copy.deepcopy(rule))
            if changed is not None and changed not in tried and _reads(changed["expr"]):
                tried.append(changed)
                yield Mutant(f"{full}: {name}", rule, changed)


def _reads(expression: str) -> bool:
    """Whether it is PromQL at all: what Prometheus refuses to load is no fault that a story could notice."""
    try:
        promql_parser.parse(expression)
    except ValueError:
        return False
    return True
