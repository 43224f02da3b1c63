"""`scripts/bench`: what a message costs on the whole road, from delivery to reply. How to read it: README.md beside this."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import click

from tests.bench import report
from tests.bench.calls import called
from tests.bench.counting import a_message
from tests.bench.echo import Row, measured
from tests.bench.growth import figures, foretold, grown
from tests.bench.peers import aiogram, grammy
from tests.bench.plot import plotted
from tests.bench.rest import rested
from tests.bench.scrape import scraped
from tests.bench.search import searched
from tests.bench.server import Server, server
from tests.bench.targets import Target, free_port, one, split

PARTS = ("echo", "search", "rest", "scrape", "telemetry", "calls", "growth")
ALL = ("echo", "rest", "scrape", "calls", "search")
"""What `--all` means: everything but growth, which takes as long again."""
PICTURE = report.README.with_name("growth.svg")


class Wanted(NamedTuple):
    """What to measure, as the options say."""

    phases: Sequence[tuple[int, float]]
    rounds: int
    seed: int
    processes: str
    through_edge: bool
    peers: bool
    write: bool


class Measured(NamedTuple):
    """What a part found: everything for programs, and sections of text and tables by their markers."""

    document: Mapping[str, Any]
    tables: Mapping[tuple[Path, str], Sequence[str | report.Table]]


@click.command()
@click.option("--part", "parts", type=click.Choice(PARTS), multiple=True, default=("echo",), show_default=True)
@click.option("--all", "everything", is_flag=True, help=f"The same as every --part of {', '.join(ALL)}.")
@click.option("-n", "count", default=8_000, show_default=True, help="Messages at saturation.")
@click.option(
    "--rate", "rates", type=float, multiple=True, default=(0, 100, 600), show_default=True, help="A second; 0: saturation."
)
@click.option("--seconds", default=10.0, show_default=True, help="How long a rate is held.")
@click.option("--rounds", default=1, show_default=True, help="How often all of it; medians are shown.")
@click.option("--seed", default=1, show_default=True, help="Chooses the order of chats, and the words of the history.")
@click.option("--processes", type=click.Choice(["one", "split", "both"]), default="both", show_default=True)
@click.option("--through-edge", is_flag=True, help="Deliver to the edge of the split appliance instead of the API process.")
@click.option("--peers", is_flag=True, help="Interleave with peers on the same Postgres, and print ratios.")
@click.option("--keep-running", default=0.0, help="Print the processes and go on for so many seconds: for a profiler.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of tables.")
@click.option("--write", is_flag=True, help="Also put the tables into tests/bench/README.md.")
def bench(*, parts: Sequence[str], everything: bool, count: int, rates: Sequence[float], seconds: float, **options: Any) -> None:
    """Measure the appliance on scratch data."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers and scratch folders go, too
    keep_running, as_json = (options.pop(name) for name in ("keep_running", "as_json"))
    phases = [(max(1, round(rate * seconds)) if rate else count, rate) for rate in rates]
    wanted = Wanted(phases=phases, **options)
    if keep_running:
        keep(wanted, seconds=keep_running)
        return
    document: dict[str, Any] = {"machine": report.machine()}
    about = ""
    for part in ALL if everything else parts:
        found = _MEASURE[part](wanted)
        about = report.heading(seed=wanted.seed, rounds=wanted.rounds)
        document[part] = found.document
        for (page, marker), pieces in found.tables.items():
            if not as_json:
                click.echo("\n" + "\n\n".join(piece if isinstance(piece, str) else report.text(piece) for piece in pieces))
            if wanted.write:
                body = [piece if isinstance(piece, str) else report.markdown(piece) for piece in (about, *pieces)]
                report.write(marker, "\n\n".join(body), file=page)
    click.echo(json.dumps(document, indent=2) if as_json else "\n" + about)


def _echo(wanted: Wanted) -> Measured:
    rows: list[Row] = []
    with server() as postgres:
        for number in range(wanted.rounds):
            api_port = free_port()
            for running in targets(api_port, postgres, wanted):
                with running as target:
                    for row in measured(target, api_port, wanted.phases, seed=wanted.seed + number):
                        told(f"round {number + 1}", row)
                        rows.append({"round": number + 1, **row})
    medians = report.summed_up(rows)
    document = {"rows": rows, "medians": medians, "ratios": list(report.ratios(medians))}
    return Measured(
        document, {(report.README, "echo"): (report.losses(medians), report.echo_table(medians), report.roles_table(medians))}
    )


def _rest(wanted: Wanted) -> Measured:
    rows = rested(rounds=wanted.rounds)
    return Measured({"rows": rows}, {(report.README, "rest"): [report.figure_table(rows, "target", "what")]})


def _scrape(wanted: Wanted) -> Measured:
    with server() as postgres:
        rows = scraped(postgres, rounds=wanted.rounds, seed=wanted.seed)
    return Measured({"rows": rows}, {(report.README, "scrape"): [report.figure_table(rows, "bots", "what")]})


def _calls(wanted: Wanted) -> Measured:
    rows = called(rounds=wanted.rounds)
    return Measured({"rows": rows}, {(report.README, "calls"): [report.figure_table(rows, "what")]})


def _telemetry(wanted: Wanted) -> Measured:
    rows: list[Row] = []
    with server() as postgres:
        for number in range(wanted.rounds):
            for muted in (False, True) if number % 2 else (True, False):
                api_port = free_port()
                with one(api_port, postgres, muted=muted) as target:
                    for row in measured(target, api_port, wanted.phases, seed=wanted.seed + number):
                        told(f"round {number + 1}", row)
                        rows.append({"round": number + 1, **row})
    medians = report.summed_up(rows)
    alone = a_message()
    words = f"All that a message counts and notes takes {alone:.1f} µs of CPU when it is measured alone."
    tables = {(report.README, "telemetry"): [report.losses(medians), report.telemetry_table(medians), words]}
    return Measured({"rows": rows, "medians": medians, "microseconds": alone}, tables)


def _search(wanted: Wanted) -> Measured:
    with server() as postgres:
        rows = list(searched(postgres, rounds=wanted.rounds, seed=wanted.seed))
    return Measured({"rows": rows}, {(report.README, "search"): [report.search_table(rows)]})


def _growth(wanted: Wanted) -> Measured:
    rows: list[Row] = []
    with server() as postgres:
        for row in grown(postgres, rounds=wanted.rounds, seed=wanted.seed):
            click.echo(f"growth: {row['axis']} {row['at']:,} measured", err=True)
            rows.append(row)
    held, known = list(foretold(rows)), figures(rows)
    if wanted.write:
        PICTURE.write_text(plotted(rows))
    document = {"rows": rows, "model": known, "held": held}
    constants: report.Table = [["figure", ""], *([name, f"{value:.4g}"] for name, value in known.items())]
    tables = {
        (report.README, "growth"): [report.growth_table(rows)],
        (report.PLATFORM, "scale"): [constants, report.held_table(held)],
    }
    return Measured(document, tables)


_MEASURE: Mapping[str, Callable[[Wanted], Measured]] = {
    "echo": _echo,
    "rest": _rest,
    "scrape": _scrape,
    "calls": _calls,
    "telemetry": _telemetry,
    "search": _search,
    "growth": _growth,
}


def targets(api_port: int, postgres: Server, wanted: Wanted) -> Iterator[AbstractContextManager[Target]]:
    """Yield what one round measures, in its order."""
    if wanted.processes in ("one", "both"):
        yield one(api_port, postgres)
    if wanted.processes in ("split", "both"):
        yield split(api_port, postgres, through_edge=wanted.through_edge)
    if wanted.peers:
        yield grammy(api_port, postgres)
        yield aiogram(api_port, postgres)


def keep(wanted: Wanted, *, seconds: float) -> None:
    """Hold each target under load for so many seconds, and say which processes to look at."""

    def again(until: float) -> Iterator[tuple[int, float]]:
        while time.monotonic() < until:
            yield from wanted.phases

    with server() as postgres:
        api_port = free_port()
        for running in targets(api_port, postgres, wanted):
            with running as target:
                for role, pid in target.pids.items():
                    click.echo(f"{target.name}: {role} is process {pid}")
                sys.stdout.flush()
                for row in measured(target, api_port, again(time.monotonic() + seconds), seed=wanted.seed):
                    told("kept running", row)


def told(when: str, row: Row) -> None:
    """Say on standard error how it goes."""
    click.echo(f"{when}: {row['target']}, {report.phase(row)}: {row['cpu_ms']:.3f} ms of CPU a message", err=True)


if __name__ == "__main__":
    bench()
