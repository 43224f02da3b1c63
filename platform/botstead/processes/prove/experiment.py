"""What an experiment is, what it finds, and the list of all of them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from botstead.processes.prove.stage import Stage

Scale = Literal["small", "full"]
Run = Callable[["Stage"], Awaitable[None]]


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was measured, and whether it is as promised.

    Args:
        promise: key in `PROMISES`.
        name: what it is, such as "updates lost".
        value: what was found.
        unit: of the value: "", "s", "ms", "MB", "x".
        wanted: what was promised, in words, such as "at most 20".
        holds: whether it is.
        examples: a few of those that broke it, for whoever has to find out why.
    """

    promise: str
    name: str
    value: float
    unit: str = ""
    wanted: str
    holds: bool
    examples: tuple[str, ...] = ()


class Moment(msgspec.Struct, frozen=True):
    """Something that happened.

    Args:
        at: seconds since the experiment began.
        what: in words.
        kind: "fault" for what we did to it, "recovery" for the end of a fault, else "note".
    """

    at: float
    what: str
    kind: Literal["note", "fault", "recovery"] = "note"


class Sample(msgspec.Struct, frozen=True):
    """How much had been done at a moment; the picture is drawn from these.

    Args:
        at: seconds since the experiment began.
        acknowledged: updates acknowledged so far.
        replied: replies that had reached the provider so far.
    """

    at: float
    acknowledged: int
    replied: int


class Skipped(Exception):
    """This experiment cannot be done on this machine. The text says what is missing."""


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """One experiment.

    Args:
        key: stable short name, such as "E3".
        title: one line.
        promises: keys of the promises that it checks.
        minutes: about how long it takes at full scale.
        run: does it.
    """

    key: str
    title: str
    promises: tuple[str, ...]
    minutes: float
    run: Run


_known: dict[str, Experiment] = {}


def experiment(key: str, title: str, *, promises: tuple[str, ...], minutes: float) -> Callable[[Run], Run]:
    """Put a function on the list of experiments.

    Args:
        key: stable short name, such as "E3".
        title: one line for the list and the report.
        promises: keys of the promises that it checks.
        minutes: about how long it takes at full scale.
    """

    def add(run: Run) -> Run:
        assert key not in _known, f"two experiments are called {key}"
        _known[key] = Experiment(key=key, title=title, promises=promises, minutes=minutes, run=run)
        return run

    return add


def experiments() -> list[Experiment]:
    """Return all of them, in the order of their numbers."""
    package = importlib.import_module("botstead.processes.prove.experiments")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return sorted(_known.values(), key=lambda each: int(each.key[1:]))
