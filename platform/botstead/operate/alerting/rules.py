"""Prometheus rules as values, and their YAML: what the objectives and the conditions are made into. Pure.

Every duration passes `duration`, so one generator writes the rules of an appliance and those of a test in which an hour is a
minute (`Time(Fraction(1, 60))`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from urllib.parse import quote

import msgspec

from botstead.operate.objectives.model import seconds
from botstead.operate.panels import explore_url, panel_url

_UNITS = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))
_WORDS = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))
_RANGE = re.compile(r"(\[|\boffset )([1-9][0-9]*[smhd])\b")


class Time(msgspec.Struct, frozen=True):
    """How long a second of the rules is.

    Args:
        scale: 1 for an appliance; 1/60 turns an hour of every window and wait into a minute.
    """

    scale: Fraction = Fraction(1)

    def length(self, text: str) -> Fraction:
        """Return a duration in scaled seconds.

        Args:
            text: `5m`, `6h`, `30d`.
        """
        return seconds(text) * self.scale

    def duration(self, text: str) -> str:
        """Return a duration, scaled, as Prometheus writes it.

        Args:
            text: `5m`, `6h`, `30d`.
        """
        return written(self.length(text))

    def ranges(self, expression: str) -> str:
        """Return an expression with each range and offset scaled.

        Args:
            expression: PromQL.
        """
        return _RANGE.sub(lambda found: found[1] + self.duration(found[2]), expression)


class Links(msgspec.Struct, frozen=True, kw_only=True):
    """Where the links of an alert lead.

    Args:
        dashboards: Grafana's address, without a slash at the end.
        runbooks: what stands before a runbook's file name.
        prometheus: Prometheus' address; by default it fills in its own `--web.external-url`. Empty where a person cannot reach
            it: queries are then drawn by Grafana.
    """

    dashboards: str = "http://localhost:3000"
    runbooks: str = "alerts/runbooks/"
    prometheus: str = "{{ externalURL }}"

    def of(self, alert: str, *, query: str, board: str, panel: str, carried: tuple[str, ...]) -> dict[str, str]:
        """Return the three links that every alert has.

        Args:
            alert: its name, which is its runbook's.
            query: PromQL to draw.
            board: uid of the board that explains it.
            panel: the panel there.
            carried: labels that become variables of the board.
        """
        graph = f"{self.prometheus}/graph?g0.expr={quote(' '.join(query.split()), safe='')}&g0.tab=0"
        return {
            "runbook_url": f"{self.runbooks}{alert}.md",
            "dashboard_url": self.dashboards + panel_url(board, panel, carried=carried),
            "query_url": graph if self.prometheus else self.dashboards + explore_url(query),
        }


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A recording rule or an alert.

    Args:
        record: name of the series it writes; "" for an alert.
        alert: name of the alert; "" for a recording rule.
        expr: PromQL.
        wait: `for`, as Prometheus writes it; "" fires at once.
        labels: added to each series or alert.
        annotations: texts and links of an alert.
        comment: what a reader cannot see: the arithmetic.
    """

    expr: str
    record: str = ""
    alert: str = ""
    wait: str = ""
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    comment: str = ""


class Group(msgspec.Struct, frozen=True):
    """Rules that are evaluated one after the other, at one time.

    Args:
        name: unique.
        interval: how often, as Prometheus writes it.
        rules: in order; a rule sees what those before it recorded.
    """

    name: str
    interval: str
    rules: tuple[Rule, ...]


def written(length: Fraction) -> str:
    """Return a duration as Prometheus writes it, in the largest unit that fits: `5m`, `500ms`.

    Args:
        length: seconds; more than 0.

    Raises:
        ValueError: it is no whole number of milliseconds, or none at all.
    """
    thousandths = length * 1000
    if length <= 0 or thousandths.denominator != 1:
        raise ValueError(f"{length} s cannot be written as a duration.")
    for unit, size in _UNITS:
        if length % size == 0:
            return f"{length / size}{unit}"
    return f"{thousandths}ms"


def spoken(length: Fraction) -> str:
    """Return a duration in words: `5 minutes`, `1 hour`, `0.5 seconds`.

    Args:
        length: seconds.
    """
    for word, size in _WORDS:
        if length % size == 0:
            return f"{length / size} {word}{'' if length == size else 's'}"
    return f"{number(length)} seconds"


def number(value: Fraction | float) -> str:
    """Return a number without the noise of floats: `0.072`.

    Args:
        value: the number.
    """
    return format(float(value), ".6g")


def document(groups: tuple[Group, ...], *, head: str, pretty: Callable[[str], str] = str) -> str:
    """Return a rule file.

    Args:
        groups: what is in it.
        head: comment at its top, lines without `#`.
        pretty: lays out PromQL over several lines.
    """
    lines = [f"# {line}".rstrip() for line in head.splitlines()] + ["groups:"]
    for group in groups:
        lines += [f"  - name: {group.name}", f"    interval: {group.interval}", "    rules:"]
        for rule in group.rules:
            lines += _rule(rule, pretty)
    return "\n".join(lines) + "\n"


def _rule(rule: Rule, pretty: Callable[[str], str]) -> list[str]:
    lines = [f"      # {line}" for line in rule.comment.splitlines()]
    lines.append(f"      - alert: {rule.alert}" if rule.alert else f"      - record: {rule.record}")
    expression = [line.rstrip() for line in pretty(rule.expr).strip().splitlines()]
    indent = min(len(line) - len(line.lstrip()) for line in expression)
    lines += ["        expr: |-", *(f"          {line[indent:]}" for line in expression)]
    lines += [f"        for: {rule.wait}"] if rule.wait else []
    for name, values in (("labels", rule.labels), ("annotations", rule.annotations)):
        if values:
            lines.append(f"        {name}:")
            lines += [f"          {key}: {_quoted(value)}" for key, value in values.items()]
    return lines


def _quoted(text: str) -> str:
    """Return a text as YAML's double quotes hold it; what cannot be seen, such as a line separator, is escaped."""
    plain = json.dumps(text, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else f"\\U{ord(letter):08x}" for letter in plain)
