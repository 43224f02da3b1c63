"""The words that boards are written in: panels, rows, limits, units and colours. Nothing here knows Grafana's JSON.

A panel says what it shows (`title`), what is normal and what to do when it is not (`says`), and asks Prometheus. Its place and
its number follow from order and names, so a board is a list to be read from top to bottom: verdict, symptoms, causes, detail.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Final

GRID: Final = 24
"""Columns of a board."""
STATS_A_ROW, PANELS_A_ROW = 6, 4
"""How many fit beside each other and can still be read."""

GOOD, WARN, BAD, QUIET, PLAIN = "green", "orange", "red", "#8e8e8e", "blue"
"""Verdicts, what does not matter, and what is only a figure."""

COUNT, SECONDS, RATIO, BYTES, FLAG = "short", "s", "percentunit", "bytes", "none"
MESSAGES, REQUESTS, EVENTS = "count:msg/s", "reqps", "count:/s"
"""Units, by Grafana's names; `count:` makes one of our own."""

HUES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("delivered", "ok", "done", "2xx", "live", "hit"), GOOD),
    **dict.fromkeys(("failed", "error", "dead", "5xx", "signature"), BAD),
    **dict.fromkeys(("expired", "timeout", "lost", "4xx", "late"), WARN),
    **dict.fromkeys(("ignored", "3xx", "_other", "idle"), QUIET),
    **dict.fromkeys(("cached", "p50", "matched"), "#8ab8ff"),
    **dict.fromkeys(("p95", "handle", "used"), "#3274d9"),
    **dict.fromkeys(("refused", "p99", "queue"), "#8f3bb8"),
    **dict.fromkeys(("commit", "waiting"), "#ffb357"),
    **dict.fromkeys(("stale", "bypass"), "#f2cc0c"),
    **dict.fromkeys(("limited", "miss"), "#b877d9"),
    **dict.fromkeys(("send", "retry"), "#1f9e8f"),
}
"""One colour for one word, on every board."""


@dataclass(frozen=True)
class Limits:
    """From which value on a figure is worth a look, and from which it is wrong. Draw them from an objective or a condition.

    Args:
        warn: worth a look.
        bad: wrong.
        falling: whether less is worse.
    """

    _: KW_ONLY
    warn: float | None = None
    bad: float | None = None
    falling: bool = False

    def steps(self) -> list[tuple[float | None, str]]:
        """Return where each colour begins, upwards."""
        if self.falling:
            rising = [(self.bad, WARN if self.warn is not None else GOOD), (self.warn, GOOD)]
            return [(None, BAD if self.bad is not None else WARN), *(step for step in rising if step[0] is not None)]
        return [(None, GOOD), *(step for step in ((self.warn, WARN), (self.bad, BAD)) if step[0] is not None)]


@dataclass(frozen=True)
class Query:
    """A question to Prometheus.

    Args:
        expr: in PromQL, with the variables of the board.
        legend: of each series, such as "{{bot}}".
    """

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """What all panels have.

    Args:
        title: what is shown; objectives and conditions name the panel by it.
        says: what is normal, and what to do when it is not.
        queries: what is asked.
        unit: of the values.
        limits: that are drawn, or decide the colour.
        words: value to text and colour, for values that are states.
        runbook: name of the alert whose runbook is about this.
        opens: uid of the board with more about this.
        empty_ok: why it is right that nothing is shown on a healthy system that works.
        wide: columns, instead of an equal share.
        high: rows of the grid.
        name: what its number comes from, so that links outlive a change of the title; the title when empty.
    """

    title: str
    _: KW_ONLY
    says: str
    queries: tuple[Query, ...] = ()
    unit: str = COUNT
    limits: Limits | None = None
    words: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    runbook: str = ""
    opens: str = ""
    empty_ok: str = ""
    wide: int = 0
    high: int = 8
    name: str = ""

    @property
    def key(self) -> str:
        """What its number comes from."""
        return self.name or self.title


@dataclass(frozen=True)
class Stat(Panel):
    """One figure.

    Args:
        trend: whether its past is drawn behind it.
    """

    _: KW_ONLY
    high: int = 4
    trend: bool = True


@dataclass(frozen=True)
class Series(Panel):
    """Lines over time.

    Args:
        stacked: whether they add up to something.
        most: the top of the axis, when it is known.
        negative: whether values below 0 mean something.
    """

    _: KW_ONLY
    stacked: bool = False
    most: float | None = None
    negative: bool = False


@dataclass(frozen=True)
class States(Panel):
    """What was in which state when: a bar for each series, coloured by `words`."""


@dataclass(frozen=True)
class Heat(Panel):
    """How values of a histogram are spread over time; the query gives buckets by `le`."""


@dataclass(frozen=True)
class Note(Panel):
    """A text to be read.

    Args:
        text: in Markdown.
        about: panel of the board in `opens` that it is about.
    """

    _: KW_ONLY
    text: str
    about: str = ""
    high: int = 16


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Args:
        title: at its top.
        expr: that gives one value a row.
        unit: of the values.
        limits: that decide the colour.
        words: value to text and colour.
    """

    title: str
    expr: str
    unit: str = COUNT
    limits: Limits | None = None
    words: Mapping[int, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Table(Panel):
    """What is known about each of several things now; rows are joined by the labels that their columns share.

    Args:
        columns: of figures; the labels come before them.
        keys: labels that name a row, with the title of their column.
        worst: title of the column that is sorted by.
        rising: whether the smallest come first.
        follow: variable of the board in `opens` that the first key fills in.
    """

    _: KW_ONLY
    columns: tuple[Column, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict)
    worst: str = ""
    rising: bool = False
    follow: str = ""
    wide: int = GRID


@dataclass(frozen=True)
class Row:
    """Panels under one heading.

    Args:
        title: of the heading.
        panels: from left to right.
        closed: whether it has to be opened first: detail.
    """

    title: str
    panels: tuple[Panel, ...]
    closed: bool = False


@dataclass(frozen=True)
class Variable:
    """What a reader may choose.

    Args:
        name: as it stands in queries, behind the dollar sign.
        title: as readers see it.
        metric: whose label gives the choice; it must exist on an idle system.
        label: of that metric.
        single: whether one must be chosen, instead of any number.
    """

    name: str
    title: str
    metric: str
    label: str
    single: bool = False


@dataclass(frozen=True)
class Board:
    """One screen that answers some questions.

    Args:
        uid: in addresses; the name of its file.
        title: at its top.
        asks: the questions of an operator that it answers.
        rows: from verdict to detail.
        variables: to choose from.
    """

    uid: str
    title: str
    asks: tuple[str, ...]
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = ()

    def panels(self) -> Iterator[Panel]:
        """Give all panels, from top to bottom."""
        for row in self.rows:
            yield from row.panels


def asked(panel: Panel) -> tuple[Query, ...]:
    """Return everything that a panel asks Prometheus.

    Args:
        panel: of any kind.
    """
    if isinstance(panel, Table):
        return tuple(Query(column.expr, column.title) for column in panel.columns)
    return panel.queries
