"""`botstead prove`: break a private installation on this machine, and show that what was promised holds."""

from __future__ import annotations

import asyncio
import difflib
import secrets
import signal
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec
import uvloop
from rich.console import Console
from rich.text import Text

from botstead.core.errors import ConfigurationError
from botstead.processes.cli.output import Output
from botstead.processes.embedded import wheels
from botstead.processes.prove.experiment import Experiment, Moment, Scale, experiments
from botstead.processes.prove.page import page
from botstead.processes.prove.play import Result, play
from botstead.processes.prove.report import Run, document, text
from botstead.processes.prove.surroundings import machine, versions

SMALL_MINUTES = 0.5
"""About how long an experiment takes at scale small."""


class Plan(msgspec.Struct, frozen=True):
    """What is played.

    Args:
        played: experiments and their scales, in order.
        left: those for which there is no time.
    """

    played: Sequence[tuple[Experiment, Scale]]
    left: Sequence[Experiment] = ()


def planned(chosen: Sequence[Experiment], *, scale: Scale | None, minutes: float | None) -> Plan:
    """Decide the scale of each experiment.

    Args:
        chosen: experiments.
        scale: of all of them, if given.
        minutes: that all may take; what does not fit at full scale is played small, what does not fit at all is left out.
    """
    if minutes is None or scale is not None:
        return Plan([(each, scale or "small") for each in chosen])
    fitting = chosen[: max(1, int(minutes / SMALL_MINUTES))]
    spare = minutes - len(fitting) * SMALL_MINUTES
    played: list[tuple[Experiment, Scale]] = []
    for each in fitting:
        more = each.minutes - SMALL_MINUTES
        full = more <= spare
        spare -= more if full else 0
        played.append((each, "full" if full else "small"))
    return Plan(played, chosen[len(fitting) :])


def selected(known: Sequence[Experiment], only: Sequence[str]) -> list[Experiment]:
    """Return the experiments that were asked for; all of them when none were.

    Args:
        known: all of them.
        only: keys, some joined by commas.

    Raises:
        click.UsageError: one is not known.
    """
    wanted = [word.strip().upper() for words in only for word in words.split(",") if word.strip()]
    keys = [each.key for each in known]
    for word in wanted:
        if word not in keys:
            near = difflib.get_close_matches(word, keys, n=2, cutoff=0.4)
            hint = f"did you mean {' or '.join(near)}?" if near else "`botstead prove --list` shows them."
            raise click.UsageError(f"There is no experiment {word}: {hint}")
    return [each for each in known if not wanted or each.key in wanted]


@click.command()
@click.option("--minutes", type=click.FloatRange(min=0.1), help="Time for all; what does not fit at full scale is played small.")
@click.option(
    "--scale", type=click.Choice(["small", "full"]), help="Scale of all experiments. [small, unless --minutes is given]"
)
@click.option("--seed", type=int, help="Seed of every choice. [chosen at random, and shown]")
@click.option("--only", multiple=True, metavar="E1,E3", help="Only these experiments. May be repeated.")
@click.option("--list", "listing", is_flag=True, help="List the experiments and end.")
@click.option(
    "--report", "folder", type=click.Path(path_type=Path, file_okay=False), help="Write report.txt, .json and .html here."
)
@click.option("--keep", is_flag=True, help="Keep the scratch folders, whatever comes.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, for programs.")
def prove(  # noqa: PLR0913  # one for each option
    minutes: float | None,
    scale: Scale | None,
    seed: int | None,
    only: tuple[str, ...],
    folder: Path | None,
    *,
    listing: bool,
    keep: bool,
    as_json: bool,
) -> None:
    """Break a private installation on this machine, and show that what was promised holds.

    Everything happens in scratch folders under /var/tmp; an appliance that runs here is not touched. The exit status is 0 when
    all of it holds, 1 when something does not or was not finished, 2 for a mistake in the options.
    """
    chosen = selected(experiments(), only)
    if listing:
        _list(chosen, as_json=as_json)
        return
    _require_servers()
    plan = planned(chosen, scale=scale, minutes=minutes)
    run = uvloop.run(Prover(plan, seed=secrets.randbelow(1_000_000) if seed is None else seed, keep=keep).run())
    click.echo(document(run).decode() if as_json else text(run), nl=False)
    if folder is not None:
        _write(folder, run)
    raise SystemExit(0 if run.holds else 1)


def _list(chosen: Sequence[Experiment], *, as_json: bool) -> None:
    rows = [
        {"key": each.key, "title": each.title, "promises": list(each.promises), "full_minutes": each.minutes} for each in chosen
    ]
    Output(as_json=as_json).table(rows, ("key", "title", "promises", "full_minutes"), empty="There are none.")


def _require_servers() -> None:
    try:
        wheels.postgres()
        wheels.valkey()
    except ConfigurationError as error:
        raise click.UsageError(error.message) from error


def _write(folder: Path, run: Run) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.txt").write_text(text(run))
    (folder / "report.json").write_bytes(document(run))
    (folder / "report.html").write_text(page(run))
    click.echo(f"Written: {folder / 'report.html'}, report.json, report.txt", err=True)


class Prover:
    """Plays a plan, shows how it goes on stderr, and stops when asked."""

    def __init__(self, plan: Plan, *, seed: int, keep: bool) -> None:
        """Prepare.

        Args:
            plan: what to play.
            seed: of every choice.
            keep: keep the scratch folders.
        """
        self._plan, self._seed, self._keep = plan, seed, keep
        self._console = Console(stderr=True, highlight=False)
        self._status = self._console.status("")
        self._playing: asyncio.Task[Result] | None = None
        self._stopped = False

    async def run(self) -> Run:
        """Play all of it, or until Ctrl-C or SIGTERM; what was done until then is reported."""
        began, start = datetime.now(UTC), time.monotonic()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop)
        self._say(f"seed {self._seed}, {len(self._plan.played)} experiments")
        if self._plan.left:
            self._say(f"no time for {', '.join(each.key for each in self._plan.left)}: give more --minutes")
        results = [await self._one(number, *each) for number, each in enumerate(self._plan.played, start=1) if not self._stopped]
        return Run(
            began=began.isoformat(timespec="seconds"),
            seconds=time.monotonic() - start,
            seed=self._seed,
            scales={each.key: scale for each, scale in self._plan.played},
            versions=await asyncio.to_thread(versions),
            machine=machine(),
            results=results + [_left(each) for each in self._plan.left],
        )

    async def _one(self, number: int, chosen: Experiment, scale: Scale) -> Result:
        head = f"{number}/{len(self._plan.played)} {chosen.key} {chosen.title} [{scale}]"

        def report(moment: Moment) -> None:
            self._status.update(Text(f"{head} · {moment.at:.0f} s · {moment.what}"))

        self._status.update(Text(head))
        with self._status:
            self._playing = asyncio.create_task(play(chosen, seed=self._seed, scale=scale, keep=self._keep, report=report))
            result = await self._playing
        self._say(f"{chosen.key:>4} {result.outcome:<7} {result.seconds:5.0f} s  {chosen.title} [{scale}] {result.why}".rstrip())
        return result

    def _stop(self) -> None:
        if not self._stopped and self._playing is not None:
            self._stopped = True
            self._say("stopping …")
            self._playing.cancel()

    def _say(self, line: str) -> None:
        self._console.print(Text(line))


def _left(chosen: Experiment) -> Result:
    return Result(
        key=chosen.key,
        title=chosen.title,
        promises=chosen.promises,
        outcome="skipped",
        why="there was no time for it: give more --minutes",
        seconds=0.0,
        figures=(),
        moments=(),
        samples=(),
        folder="",
    )
