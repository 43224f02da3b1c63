"""`python -m tests.bench.mute run api …`: botstead with its telemetry taken out, to see what that costs.

Nothing is counted or observed, no message leaves notes for a trace, the ledger of objectives does not look, and nobody reads
Postgres and the host. What remains are attributes that are there anyway, clocks that are read, and log lines.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from botstead.operate.objectives.ledger import Ledger
from botstead.operate.vitals import Watch
from botstead.pipeline import measures
from botstead.pipeline.traces import Traces
from botstead.processes.cli.main import main
from botstead.telemetry import instruments

VALUES = (
    (instruments.Counter, ("inc", "mirror")),
    (instruments.Gauge, ("set", "inc", "dec")),
    (instruments.Histogram, ("observe", "observe_traced")),
    (Traces, ("failed", "done", "tried", "settled")),
)
COUNTED = ("began", "handled", "understood", "done", "again", "tried", "sent", "given_up", "show_active")


def nothing(*_: Any, **__: Any) -> None:
    """Do nothing."""


async def never(*_: Any, **__: Any) -> None:
    """Wait for ever."""
    await asyncio.Event().wait()


def mute() -> None:
    """Take it out of this process."""
    for kind, names in VALUES:
        for name in names:
            _replace(kind, name, nothing)
    for name in COUNTED:
        _replace(measures, name, nothing)
    for kind in (Ledger, Watch):
        _replace(kind, "run", never)


def _replace(owner: Any, name: str, by: Callable[..., Any]) -> None:
    assert callable(getattr(owner, name)), f"{owner} has no {name} any more"
    setattr(owner, name, by)


if __name__ == "__main__":
    mute()
    main()
