"""Where an experiment is played: its scale, its chance, its folder; it notes what happens and checks what was promised."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from botstead.processes.prove.experiment import Figure, Moment, Sample, Scale, Skipped

EXAMPLES = 5


class Stage:
    """Given to an experiment."""

    def __init__(self, folder: Path, *, seed: int, scale: Scale, report: Callable[[Moment], None] = lambda _: None) -> None:
        """Set it up.

        Args:
            folder: scratch space, empty, gone afterwards.
            seed: of every choice.
            scale: "small" ends within seconds, for a test suite; "full" is the real thing.
            report: told of each moment when it happens, for live progress.
        """
        self.folder = folder
        self.seed = seed
        self.scale = scale
        self.chance = random.Random(seed)  # noqa: S311  # a choice of victims, not a secret
        self.figures: list[Figure] = []
        self.moments: list[Moment] = []
        self.samples: list[Sample] = []
        self._report = report
        self._began = time.monotonic()

    @property
    def full(self) -> bool:
        """Whether this is the real thing."""
        return self.scale == "full"

    @property
    def now(self) -> float:
        """Seconds since the experiment began."""
        return time.monotonic() - self._began

    def note(self, what: str, *, kind: Literal["note", "fault", "recovery"] = "note") -> None:
        """Remember that something happened.

        Args:
            what: in words.
            kind: "fault" for what was done to the installation, "recovery" for the end of a fault.
        """
        moment = Moment(self.now, what, kind)
        self.moments.append(moment)
        self._report(moment)

    def sample(self, *, acknowledged: int, replied: int) -> None:
        """Remember how much has been done by now.

        Args:
            acknowledged: updates acknowledged so far.
            replied: replies that have reached the provider so far.
        """
        self.samples.append(Sample(self.now, acknowledged, replied))

    def none(self, promise: str, name: str, found: Sequence[str]) -> None:
        """Check that something did not happen.

        Args:
            promise: key of the promise.
            name: what should not happen, such as "updates lost".
            found: each time that it did.
        """
        figure = Figure(
            promise=promise,
            name=name,
            value=len(found),
            wanted="none",
            holds=not found,
            examples=tuple(found[:EXAMPLES]),
        )
        self.figures.append(figure)

    def at_most(self, promise: str, name: str, value: float, limit: float, *, unit: str = "") -> None:
        """Check that something stays within a limit.

        Args:
            promise: key of the promise.
            name: what was measured.
            value: what was found.
            limit: the largest value that holds.
            unit: of both: "", "s", "ms", "MB", "x".
        """
        figure = Figure(promise=promise, name=name, value=value, unit=unit, wanted=f"at most {limit:g}", holds=value <= limit)
        self.figures.append(figure)

    def at_least(self, promise: str, name: str, value: float, limit: float, *, unit: str = "") -> None:
        """Check that something reaches a limit.

        Args:
            promise: key of the promise.
            name: what was measured.
            value: what was found.
            limit: the smallest value that holds.
            unit: of both.
        """
        figure = Figure(promise=promise, name=name, value=value, unit=unit, wanted=f"at least {limit:g}", holds=value >= limit)
        self.figures.append(figure)

    def skip(self, why: str) -> None:
        """Give up: this machine cannot do it.

        Args:
            why: what is missing, and how to get it.

        Raises:
            Skipped: always.
        """
        raise Skipped(why)
