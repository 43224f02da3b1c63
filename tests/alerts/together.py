"""Plays many faults in one run of promtool.

Beside the rules that are shipped stand, under names of their own, a changed copy of the rule that a fault is in and copies of all
rules that read it; and each copy is asked what a story asks of its original. So what the faults have in common is worked out once,
rules that a fault does not reach are not worked out again, and a fault is played only until a story notices it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tests.alerts.mutants import Mutant, Rule
from tests.alerts.tools import failures

Asked = dict[str, Any]
_NAME = re.compile(r"[A-Za-z_:][\w:]*")
_MARK = re.compile(r":m(\d+)\b")


def unnoticed(promtool: str, document: Mapping[str, Any], tests: Mapping[str, Any], mutants: Iterable[Mutant]) -> list[Mutant]:
    """The faults in some rules that no story of a test file notices.

    Raises:
        AssertionError: promtool says something that is about none of them.
    """
    alive = dict(enumerate(mutants))
    for story in sorted(tests["tests"], key=_length):
        file = {**tests, "tests": [story]}
        while alive and _play(promtool, document, file, alive):
            pass
    return list(alive.values())


def _length(story: Mapping[str, Any]) -> int:
    """Something that grows with the time that a story takes to play."""
    asked = [*story.get("alert_rule_test", ()), *story.get("promql_expr_test", ())]
    return max(int(re.sub(r"\D", "", each["eval_time"])) for each in asked)


def _play(promtool: str, document: Mapping[str, Any], tests: Mapping[str, Any], alive: dict[int, Mutant]) -> bool:
    """Play one story, and drop the faults that it notices; whether it must be played again for the others."""
    [story] = tests["tests"]
    copies = [copy for number, mutant in alive.items() if (copy := _copied(document, story, number, mutant))]
    if not copies:
        return False
    alerts = [asked for copy in copies for asked in copy.alerts]
    figures = [asked for copy in copies for asked in copy.figures]
    told = {**tests, "tests": [{**story, "alert_rule_test": alerts, "promql_expr_test": figures}]}
    said = failures(promtool, _mixed(document, copies), told)
    noticed = {int(number) for number in _MARK.findall(said)} & alive.keys()
    assert noticed or not said, said
    for number in noticed:
        del alive[number]
    return "err:" in said  # promtool ends a story at the first rule that cannot be evaluated


class _Copy(NamedTuple):
    """One fault, for one story."""

    rules: list[tuple[Rule, Rule]]
    """Originals with their copies."""
    alerts: list[Asked]
    figures: list[Asked]


def _copied(document: Mapping[str, Any], story: Mapping[str, Any], number: int, mutant: Mutant) -> _Copy | None:
    """A fault and all that it reaches, as far as a story asks for it; None where it does not."""
    affected = _downstream(_rules(document), mutant.original)
    names = {_name(rule) for rule in affected}
    alerts = [
        {**asked, "alertname": f"{asked['alertname']}:m{number}", "exp_alerts": _of(affected, asked)}
        for asked in story.get("alert_rule_test", ())
        if asked["alertname"] in names
    ]
    figures = [asked for asked in story.get("promql_expr_test", ()) if names & _words(asked["expr"])]
    roots = [rule for rule in affected if "alert" in rule] if alerts else []
    roots += [rule for rule in affected for asked in figures if _name(rule) in _words(asked["expr"])]
    wanted = _upstream(affected, roots)
    rules = [(rule, _renamed(mutant.changed if rule == mutant.original else rule, names, number)) for rule in wanted]
    return _Copy(rules, alerts, [_renamed(asked, names, number) for asked in figures]) if roots else None


def _of(rules: Sequence[Rule], asked: Asked) -> list[Asked]:
    """What is expected of some rules."""
    labels = [rule["labels"].items() for rule in rules if rule.get("alert") == asked["alertname"]]
    return [alert for alert in asked["exp_alerts"] if any(each <= alert["exp_labels"].items() for each in labels)]


def _mixed(document: Mapping[str, Any], copies: Sequence[_Copy]) -> dict[str, Any]:
    """Copies behind their originals, and of the originals those that copies read."""
    pairs = [pair for copy in copies for pair in copy.rules]
    needed = _upstream(_rules(document), [copy for _, copy in pairs])
    groups = []
    for group in document["groups"]:
        rules: list[Rule] = []
        for rule in group["rules"]:
            rules += [rule] if rule in needed else []
            rules += [copy for original, copy in pairs if original == rule]
        groups.append({**group, "rules": rules})
    return {"groups": [group for group in groups if group["rules"]]}


def _rules(document: Mapping[str, Any]) -> list[Rule]:
    return [rule for group in document["groups"] for rule in group["rules"]]


def _name(rule: Rule) -> str:
    return str(rule.get("record") or rule.get("alert"))


def _words(expression: str) -> set[str]:
    return set(_NAME.findall(expression))


def _downstream(rules: Sequence[Rule], start: Rule) -> list[Rule]:
    """A rule, and those that read it, at first or second hand; none when it is not among them."""
    found = [rule for rule in rules if rule == start]
    while True:
        names = {rule["record"] for rule in found if "record" in rule}
        more = [rule for rule in rules if rule not in found and names & _words(rule["expr"])]
        if not more:
            return [rule for rule in rules if rule in found]
        found += more


def _upstream(rules: Sequence[Rule], roots: Iterable[Rule]) -> list[Rule]:
    """Those rules that some rules are, or read at first or second hand."""
    found = list(roots)
    while True:
        names = {word for rule in found for word in _words(rule["expr"])}
        more = [rule for rule in rules if rule not in found and rule.get("record") in names]
        if not more:
            return [rule for rule in rules if rule in found]
        found += more


def _renamed(what: dict[str, Any], names: Iterable[str], number: int) -> dict[str, Any]:
    """A rule or a question with the names of a fault's own copies for those of the originals."""
    mine = set(names)
    new = {**what, "expr": _NAME.sub(lambda word: f"{word[0]}:m{number}" if word[0] in mine else word[0], what["expr"])}
    return new | {key: f"{what[key]}:m{number}" for key in ("record", "alert") if key in what}
