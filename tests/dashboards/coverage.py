"""Which panels have data, with everything chosen and with one thing chosen; and which metrics nobody looks at."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import promql_parser as parser
from dashboards.boards import BOARDS
from dashboards.design import Board, Panel, Table, asked

from botstead.operate.alerting.files import rule_files
from botstead.telemetry.catalog import METRICS, VITALS
from tests.dashboards.live import RATE_WINDOW, Watched
from tests.dashboards.promql import filled, uses

MOST_SERIES = 200


@dataclass(frozen=True)
class Found:
    """What one question gave."""

    board: str
    panel: str
    number: int
    chosen: str
    series: int
    numbers: int
    empty_ok: str
    without: str = ""
    """Labels of a table's rows that have no column, which Grafana would show under their own names."""

    @property
    def problem(self) -> str:
        if self.series > MOST_SERIES:
            return f"{self.series} series"
        if not self.numbers and not self.empty_ok:
            return "no data" if not self.series else "nothing but NaN"
        return f"no column for {self.without}" if self.without else ""


@dataclass
class Coverage:
    """What all questions gave."""

    found: list[Found] = field(default_factory=list)

    def wrong(self) -> list[str]:
        """What is not as it should be."""
        return [f"{each.board}/{each.panel} {each.number} ({each.chosen}): {each.problem}" for each in self.found if each.problem]

    def table(self) -> str:
        """A line a board."""
        lines = [f"{'board':<22}{'panels':>7}{'queries':>9}{'with data':>11}{'empty, why':>12}{'most series':>13}"]
        for board in dict.fromkeys(each.board for each in self.found):
            mine = [each for each in self.found if each.board == board]
            panels = len({each.panel for each in mine})
            data = sum(bool(each.numbers) for each in mine)
            why = sum(not each.numbers and bool(each.empty_ok) for each in mine)
            lines.append(f"{board:<22}{panels:>7}{len(mine):>9}{data:>11}{why:>12}{max(each.series for each in mine):>13}")
        empty = {(each.board, each.panel): each.empty_ok for each in self.found if not each.numbers and each.empty_ok}
        return "\n".join([*lines, *(f"empty: {board}/{panel}: {why}" for (board, panel), why in empty.items())])


async def of(watched: Watched, boards: Iterable[Board]) -> Coverage:
    """Ask everything, with all chosen and with one value of each variable chosen."""
    coverage = Coverage()
    for board in boards:
        for chosen, values in (await _choices(watched, board)).items():
            for panel in board.panels():
                coverage.found += [each async for each in _asked(watched, board, panel, chosen, values)]
    return coverage


async def _choices(watched: Watched, board: Board) -> dict[str, dict[str, str]]:
    if not board.variables:
        return {"-": {}}
    one = {}
    for variable in board.variables:
        values = await watched.choices(variable.metric, variable.label)
        one[variable.name] = next((value for value in PREFERRED if value in values), (values or ["nothing"])[0])
    return {"all": dict.fromkeys(one, ".+"), "one": one}


PREFERRED = ("chain", "weather", "telegram", "worker-a", "delivery_bot", "/v1/bots")
"""What has a bit of everything."""


async def _asked(watched: Watched, board: Board, panel: Panel, chosen: str, values: dict[str, str]):
    for number, query in enumerate(asked(panel)):
        expression = filled(query.expr, {**values, "__rate_interval": RATE_WINDOW, "__range": "20s", "__interval": "5s"})
        answer = await watched.over_time(expression)
        strange = {label for labels in answer.labels for label in labels} - {"__name__", *getattr(panel, "keys", {})}
        without = ", ".join(sorted(strange)) if isinstance(panel, Table) else ""
        yield Found(board.uid, panel.title, number, chosen, answer.series, answer.numbers, panel.empty_ok, without)


def unseen() -> list[str]:
    """Metrics of the catalogue that neither a board nor a rule reads."""
    read: set[str] = set()
    for board in BOARDS:
        all_of_it = dict.fromkeys((variable.name for variable in board.variables), ".+")
        for query in (query for panel in board.panels() for query in asked(panel)):
            read |= {re.sub("_(bucket|sum|count)$", "", use.name) for use in uses(parser.parse(filled(query.expr, all_of_it)))}
    rules = "\n".join(rule_files().values())
    return [name for name in (*METRICS.families, *VITALS.all) if name not in read and not re.search(rf"\b{name}\b", rules)]
