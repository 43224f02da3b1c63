"""What a run of the experiments found: as text for a terminal and as JSON for programs. `page` makes the HTML of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from botstead.processes.prove.experiment import Moment, Scale
from botstead.processes.prove.play import Result, number, written
from botstead.processes.prove.promises import PROMISES

TIMELINE = 12
"""Faults of one experiment that the text names; the other reports name all."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run.

    Args:
        began: when, ISO 8601 in UTC.
        seconds: how long it took.
        seed: of every choice.
        scales: of each experiment, by key.
        versions: of everything that took part.
        machine: what it ran on.
        results: in order.
    """

    began: str
    seconds: float
    seed: int
    scales: Mapping[str, Scale]
    versions: Mapping[str, str]
    machine: Mapping[str, str]
    results: Sequence[Result]

    @property
    def holds(self) -> bool:
        """Whether something was proved and nothing was broken or left unfinished."""
        outcomes = {result.outcome for result in self.results}
        return "holds" in outcomes and outcomes <= {"holds", "skipped"}

    def promises(self) -> dict[str, str]:
        """Return what became of each promise that an experiment was about: holds, broken or not shown."""
        found = {}
        for key in PROMISES:
            about = [result for result in self.results if key in result.promises]
            figures = [figure for result in self.results for figure in result.figures if figure.promise == key]
            if any(not figure.holds for figure in figures):
                found[key] = "broken"
            elif any(result.outcome == "holds" for result in about):
                found[key] = "holds"
            elif about:
                found[key] = "not shown"
        return found

    def headline(self) -> str:
        """Return the verdict in a line."""
        counts = Counter(result.outcome for result in self.results)
        told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
        return f"{'Everything promised holds' if self.holds else 'Not everything was proved'}: {told or 'nothing was done'}"


def faults(moments: Sequence[Moment]) -> list[Moment]:
    """Return what was done to the installation, and what came back.

    Args:
        moments: what happened.
    """
    return [moment for moment in moments if moment.kind != "note"]


def text(run: Run) -> str:
    """Return the report for a terminal or a mail.

    Args:
        run: to report.
    """
    return "\n".join(_lines(run)) + "\n"


def _lines(run: Run) -> Iterator[str]:
    yield run.headline()
    yield f"{run.began}, {run.seconds:.0f} s, seed {run.seed}"
    yield ", ".join(f"{name} {version}" for name, version in run.versions.items())
    yield ", ".join(f"{name} {what}" for name, what in run.machine.items())
    for result in run.results:
        yield ""
        yield from _one(result, run.scales.get(result.key, "small"))
    yield ""
    for key, outcome in run.promises().items():
        yield f"{outcome:>9}  {key:>4} {PROMISES[key].text}"


def _one(result: Result, scale: Scale) -> Iterator[str]:
    yield f"{result.key} {result.title} [{scale}]: {result.outcome}, {result.seconds:.0f} s"
    if result.why:
        yield f"  {result.why}"
    if result.samples:
        last = result.samples[-1]
        yield f"  {number(last.acknowledged)} acknowledged, {number(last.replied)} replied"
    for figure in result.figures:
        yield f"  {written(figure)}"
    struck = faults(result.moments)
    for moment in struck[:TIMELINE]:
        yield f"  {moment.at:8.2f} s  {moment.what}"
    if len(struck) > TIMELINE:
        yield f"  … and {len(struck) - TIMELINE} more"
    if result.folder:
        yield f"  logs: {result.folder}"


def document(run: Run) -> bytes:
    """Return the report as JSON.

    Args:
        run: to report.
    """
    whole = {"holds": run.holds, **msgspec.to_builtins(run), "promises": run.promises()}
    return msgspec.json.format(msgspec.json.encode(whole), indent=1) + b"\n"
