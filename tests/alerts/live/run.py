"""Does faults one after the other and prints what came of each: `scripts/faults [NAME …]`."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from botstead.operate.alerting.faults import Fault, load_faults
from tests.alerts.live.harm import HARMS
from tests.alerts.live.world import World

QUIET = 120.0
"""Seconds to wait for the pages of one fault to be over before the next."""


@dataclass(frozen=True)
class Outcome:
    """What came of one fault. Seconds; None for what did not come."""

    fault: str
    alert: str
    promised: float
    page: float | None
    resolve: float | None
    others: frozenset[str]
    left: frozenset[str] = frozenset()

    @property
    def wrong(self) -> str:
        """What is not as promised, in words; "" when all is."""
        said = []
        if self.page is None:
            said.append("no alert in time")
        elif self.resolve is None:
            said.append("not resolved in time")
        if self.others:
            said.append("also paged: " + ", ".join(sorted(self.others)))
        return "; ".join(said)


def do(world: World, fault: Fault) -> Outcome:
    """Do one fault and undo it."""
    world.settle(QUIET, without=fault.alert)
    began = time.monotonic()
    with HARMS[fault.how](world, **fault.arguments):
        page = world.receiver.wait(
            lambda note: note.status == "firing" and note.fits(fault.alert, fault.labels),
            since=began,
            seconds=fault.within_seconds,
        )
    ended = time.monotonic()
    resolve = None
    if page is not None:
        resolve = world.receiver.wait(
            lambda note: note.status == "resolved" and note.fits(fault.alert, fault.labels),
            since=page.at,
            seconds=fault.resolves_within_seconds,
        )
    pages = {note.alert for note in world.receiver.notes if note.at >= began and _is_page(note)}
    return Outcome(
        fault=fault.name,
        alert=fault.alert,
        promised=fault.within_seconds,
        page=page.at - began if page else None,
        resolve=max(0.0, resolve.at - ended) if resolve else None,
        others=frozenset(pages - {fault.alert, *fault.also}),
    )


def _is_page(note) -> bool:
    return note.status == "firing" and note.labels.get("severity") == "page"


def chosen(words: Iterable[str]) -> list[Fault]:
    """Faults that a program does: all, or those whose name or alert holds one of these words."""
    doable = [fault for fault in load_faults().faults if fault.how in HARMS and not fault.by_hand]
    wanted = [word.lower() for word in words]
    return [fault for fault in doable if not wanted or any(word in f"{fault.name} {fault.alert}".lower() for word in wanted)]


def line(outcome: Outcome) -> str:
    """One row of the table."""

    def seconds(value: float | None) -> str:
        return "-" if value is None else f"{value:.1f}"

    row = f"| {outcome.fault} | {outcome.alert} | {outcome.promised:g} | {seconds(outcome.page)} | {seconds(outcome.resolve)} |"
    return f"{row} {outcome.wrong or 'as promised'} |"


def main(words: list[str]) -> int:
    """Do faults in one appliance and print the table; returns how many did not go as promised."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left running
    folder = Path(tempfile.mkdtemp(prefix="botstead-faults-", dir="/var/tmp"))
    folder.chmod(0o755)
    world = World(folder)
    failed = 0
    try:
        world.start()
        print("| fault | alert | promised, s | to page, s | to resolve, s | |\n|---|---|---|---|---|---|", flush=True)
        for fault in chosen(words):
            outcome = do(world, fault)
            failed += bool(outcome.wrong)
            print(line(outcome), flush=True)
    finally:
        world.close()
        if failed:
            print(f"logs: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder)
    return failed


if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1:])))
