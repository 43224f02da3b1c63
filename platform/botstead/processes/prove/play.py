"""Playing one experiment, and what came of it."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from botstead.core.errors import BotsteadError
from botstead.processes.prove.experiment import Experiment, Figure, Moment, Sample, Scale, Skipped
from botstead.processes.prove.stage import Stage

SCRATCH = Path("/var/tmp")  # noqa: S108  # a fresh folder for us alone is made in it; on a disk, unlike /tmp on many machines
Outcome = Literal["holds", "broken", "failed", "skipped", "stopped"]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an experiment.

    Args:
        key: of the experiment.
        title: of the experiment.
        promises: that it is about.
        outcome: holds (each figure is as promised), broken (one is not), failed (it could not be finished), skipped (this machine
            cannot do it), stopped (by whoever ran it).
        why: in words, when it was not finished.
        seconds: how long it took.
        figures: what was measured.
        moments: what happened.
        samples: how much had been done at each moment.
        folder: with all logs, when it is kept; else "".
    """

    key: str
    title: str
    promises: tuple[str, ...]
    outcome: Outcome
    why: str
    seconds: float
    figures: Sequence[Figure]
    moments: Sequence[Moment]
    samples: Sequence[Sample]
    folder: str

    def story(self) -> str:
        """Return all of it as text, for whoever has to find out what went wrong."""
        lines = [f"{self.key} {self.title}: {self.outcome} {self.why}".rstrip()]
        lines += [f"{moment.at:7.2f} s  {moment.what}" for moment in self.moments]
        lines += [written(figure) for figure in self.figures]
        return "\n".join([*lines, *([f"logs: {self.folder}"] if self.folder else [])])


def written(figure: Figure) -> str:
    """Return a figure as a line of text.

    Args:
        figure: to write.
    """
    mark = "holds " if figure.holds else "BROKEN"
    value = number(figure.value) + (f" {figure.unit}" if figure.unit else "")
    examples = "".join(f"\n           {example}" for example in figure.examples)
    return f"{mark} {figure.promise:>4} {figure.name}: {value} ({wanted(figure)}){examples}"


def wanted(figure: Figure) -> str:
    """Return what was promised, with its unit.

    Args:
        figure: to write.
    """
    return f"{figure.wanted} {figure.unit}" if figure.unit and figure.wanted[-1:].isdigit() else figure.wanted


def number(value: float) -> str:
    """Return a number as people write it.

    Args:
        value: what was measured.
    """
    if abs(value) >= 1_000 or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.3g}"


async def play(
    chosen: Experiment, *, seed: int, scale: Scale, keep: bool = False, report: Callable[[Moment], None] = lambda _: None
) -> Result:
    """Play an experiment in a folder of its own, which is gone afterwards unless something was wrong.

    Args:
        chosen: what to play.
        seed: of every choice.
        scale: small or full.
        keep: keep the folder whatever comes.
        report: told of each moment when it happens.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"botstead-prove-{chosen.key}-", dir=SCRATCH))
    stage = Stage(folder, seed=seed, scale=scale, report=report)
    outcome, why = await _outcome(chosen, stage)
    kept = keep or outcome in ("broken", "failed")
    seconds = stage.now
    if not kept:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    return Result(
        key=chosen.key,
        title=chosen.title,
        promises=chosen.promises,
        outcome=outcome,
        why=why,
        seconds=seconds,
        figures=stage.figures,
        moments=stage.moments,
        samples=stage.samples,
        folder=str(folder) if kept else "",
    )


async def _outcome(chosen: Experiment, stage: Stage) -> tuple[Outcome, str]:
    try:
        await chosen.run(stage)
    except Skipped as skipped:
        return "skipped", str(skipped)
    except asyncio.CancelledError:
        return "stopped", "stopped by hand"
    except Exception as error:  # noqa: BLE001  # whatever it is, the report has to say it and the others go on
        (stage.folder / "error.txt").write_text(traceback.format_exc())  # nothing else runs now
        return "failed", _cause(error)
    if not stage.figures:
        return "failed", "it measured nothing"
    return ("holds", "") if all(figure.holds for figure in stage.figures) else ("broken", "")


def _cause(error: BaseException) -> str:
    """Return what went wrong in words; a group of errors says what its first one is."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, BotsteadError):
        return error.message
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]
