"""`scripts/bench`: what a message costs on the whole road, from delivery to reply. How to read it: README.md beside this."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager

import click

from tests.bench.echo import Row, measured
from tests.bench.peers import aiogram, grammy
from tests.bench.report import machine, phase, ratios, show, summed_up
from tests.bench.server import Server, server
from tests.bench.targets import Target, free_port, one, split


@click.command()
@click.option("-n", "count", default=8_000, show_default=True, help="Messages at saturation.")
@click.option(
    "--rate",
    "rates",
    type=float,
    multiple=True,
    default=(0, 100, 600),
    show_default=True,
    help="At so many a second; 0: saturation.",
)
@click.option("--seconds", default=10.0, show_default=True, help="How long a rate is held.")
@click.option("--rounds", default=1, show_default=True, help="How often all of it; medians are shown.")
@click.option("--seed", default=1, show_default=True, help="Chooses the order of chats.")
@click.option("--processes", type=click.Choice(["one", "split", "both"]), default="both", show_default=True)
@click.option("--through-edge", is_flag=True, help="Deliver to the edge of the split appliance instead of the API process.")
@click.option("--peers", is_flag=True, help="Interleave with peers on the same Postgres, and print ratios.")
@click.option("--keep-running", default=0.0, help="Print the processes and go on for so many seconds: for a profiler.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of tables.")
def bench(
    *,
    count: int,
    rates: Sequence[float],
    seconds: float,
    rounds: int,
    seed: int,
    processes: str,
    through_edge: bool,
    peers: bool,
    keep_running: float,
    as_json: bool,
) -> None:
    """Measure the echo job on a private appliance."""
    phases = [(max(1, round(rate * seconds)) if rate else count, rate) for rate in rates]
    rows: list[Row] = []
    with server() as postgres:
        for number in range(rounds):
            api_port = free_port()
            for running in targets(api_port, postgres, processes, through_edge=through_edge, peers=peers):
                with running as target:
                    if keep_running:
                        keep(target, api_port, phases, seconds=keep_running, seed=seed)
                        continue
                    for row in measured(target, api_port, phases, seed=seed + number):
                        told(f"round {number + 1}", row)
                        rows.append({"round": number + 1, **row})
    medians = summed_up(rows)
    if as_json:
        document = {"machine": machine(), "rows": rows, "medians": medians, "ratios": list(ratios(medians))}
        click.echo(json.dumps(document, indent=2))
    elif rows:
        show(medians)


def targets(
    api_port: int, postgres: Server, processes: str, *, through_edge: bool, peers: bool
) -> Iterator[AbstractContextManager[Target]]:
    """Yield what one round measures, in its order."""
    if processes in ("one", "both"):
        yield one(api_port, postgres)
    if processes in ("split", "both"):
        yield split(api_port, postgres, through_edge=through_edge)
    if peers:
        yield grammy(api_port, postgres)
        yield aiogram(api_port, postgres)


def keep(target: Target, api_port: int, phases: Sequence[tuple[int, float]], *, seconds: float, seed: int) -> None:
    """Hold a target under load and say which processes to look at."""
    until = time.monotonic() + seconds
    for role, pid in target.pids.items():
        click.echo(f"{target.name}: {role} is process {pid}")

    def again() -> Iterator[tuple[int, float]]:
        while time.monotonic() < until:
            yield from phases

    for row in measured(target, api_port, again(), seed=seed):
        told("kept running", row)


def told(when: str, row: Row) -> None:
    """Say on standard error how it goes."""
    click.echo(f"{when}: {row['target']}, {phase(row)}: {row['cpu_ms']:.3f} ms of CPU a message", err=True)


if __name__ == "__main__":
    bench()
