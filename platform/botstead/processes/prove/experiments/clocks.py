"""Clocks that are wrong by an hour, stand still, or are set while everything runs."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from botstead.processes.prove.ask import ask, shares
from botstead.processes.prove.experiment import experiment
from botstead.processes.prove.installation import installation
from botstead.processes.prove.judge import judge
from botstead.processes.prove.load import Load
from botstead.processes.prove.strikes import AFTER, BEFORE
from botstead.processes.prove.wrong_clock import NOTICED, WrongClock, library

if TYPE_CHECKING:
    from pathlib import Path

    from botstead.processes.prove.installation import Installation
    from botstead.processes.prove.judge import Span
    from botstead.processes.prove.stage import Stage

HOUR = 3_600
FAST, SLOW, RIGHT = f"+{HOUR}", f"-{HOUR}", "+0"
STILL = "2026-03-01 12:00:00"
"""Such a clock stands still, for good or until it is set."""
WORDS = {FAST: "an hour fast", SLOW: "an hour slow", RIGHT: "right", STILL: "still, on some day"}
CONVERSATIONS = 100
RATE = 100.0
UNDER_WAY = 64
MARGIN = 2.0


@experiment(
    "E13", "Wall clocks are wrong, stand still, and are set in the middle", promises=("P1", "P2", "P3", "P7", "P14"), minutes=6
)
async def wrong_clocks(stage: Stage) -> None:
    """Set the clocks of the API, of workers and of Postgres while people write; then let a worker die under wrong clocks."""
    found = library()
    if found is None:
        stage.skip("needs libfaketime: apt-get install faketime")
        return
    names = ("postgres", "api-a", "worker-a", "worker-b")
    clocks = {name: WrongClock(f"clock-{name}.txt", found) for name in names}
    lease = 3.0 if stage.full else 1.0
    wrap = {name: clock.wrap for name, clock in clocks.items()}
    settings = {"lease_seconds": f"{lease:g}"}
    async with installation(stage, api=1, worker=2, settings=settings, wrap=wrap) as running:
        await _played(stage, running, _Clocks(running, clocks, lease=lease))


async def _played(stage: Stage, running: Installation, clocks: _Clocks) -> None:
    load = Load(stage, running, updates=1_000_000, conversations=CONVERSATIONS, rate=RATE)
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run())
        for step in _steps(stage):
            await clocks.set(step)
        load.stop()
    await running.settle(load)
    await clocks.die()
    stage.none("P14", "clocks that could not be made wrong", clocks.deaf)
    stage.at_most(
        "P14", "after a clock was set, until living workers hold everything", clocks.longest, _limit(clocks.lease), unit="s"
    )
    verdict = judge(load, running)
    verdict.check(stage, allowed_again=UNDER_WAY * 2 * len(clocks.spans), faults=clocks.spans)
    stage.none("P14", "answers other than 200 and 503", load.wrong)


def _limit(lease: float) -> float:
    return 2 * lease + MARGIN


def _steps(stage: Stage) -> list[dict[str, str]]:
    """Return which clocks are set to what, in order; at last all are wrong, and Postgres's was set back behind its own start."""
    mixed = {"api-a": FAST, "worker-a": SLOW, "worker-b": FAST}
    last = [mixed, {"postgres": FAST}, {"postgres": SLOW}]
    if not stage.full:
        return last
    each = [{name: text} for name in mixed for text in (FAST, SLOW, STILL, RIGHT)]
    return [*each, *({"postgres": text} for text in (FAST, RIGHT, STILL, RIGHT, SLOW, RIGHT)), *last]


class _Clocks:
    """The clocks of an installation."""

    def __init__(self, running: Installation, clocks: dict[str, WrongClock], *, lease: float) -> None:
        self._running, self._clocks = running, clocks
        self.lease = lease
        self.longest = 0.0
        self.spans: list[Span] = []
        self.deaf: list[str] = []

    async def set(self, step: dict[str, str]) -> None:
        """Set clocks, and wait until that was noticed and everything is in living hands again."""
        self._running.note("; ".join(f"the clock of {name} is {WORDS[text]}" for name, text in step.items()), kind="fault")
        began = time.time()
        for name, text in step.items():
            self._clocks[name].set(self._folder(name), text)
        await asyncio.sleep(NOTICED)
        if "postgres" in step and not await self._noticed(step["postgres"]):
            self.deaf.append(f"postgres {step['postgres']}")
        took = await self._in_hands()
        self.longest = max(self.longest, took)
        self.spans.append((began - BEFORE, time.time() + AFTER))
        self._running.note(f"living workers hold everything {took:.1f} s after that was noticed", kind="recovery")

    def _folder(self, name: str) -> Path:
        return self._running.postgres.data if name == "postgres" else self._running.folder

    async def _noticed(self, text: str) -> bool:
        deadline = time.monotonic() + 2 * NOTICED
        while time.monotonic() < deadline:
            shown = float((await ask(self._running, "SELECT extract(epoch FROM clock_timestamp())"))[0][0])
            if (abs(shown - time.time()) > 2 * HOUR) if text == STILL else abs(shown - time.time() - int(text)) < 2 * NOTICED:
                return True
            await asyncio.sleep(0.05)
        return False

    async def _in_hands(self, workers: int = 2) -> float:
        """Wait until all partitions have been in the hands of so many living workers, the same for half a second."""
        began = since = time.monotonic()
        before: dict[str, int] = {}
        while time.monotonic() - since < 0.5:
            held = await shares(self._running)
            if held != before or len(held) != workers or sum(held.values()) != await self._partitions():
                before, since = held, time.monotonic()
            if time.monotonic() - began > 10 * self.lease + 5:
                return time.monotonic() - began
            await asyncio.sleep(0.05)
        return since - began

    async def _partitions(self) -> int:
        return int((await ask(self._running, "SELECT count(*) FROM partition"))[0][0])

    async def die(self) -> None:
        """Let a worker die for good while the clocks are wrong; the other one has to take its work over in time."""
        slot = self._running.slots["worker-b"]
        slot.wanted = False
        self._running.note(f"SIGKILL {slot.name} for good, while clocks are wrong", kind="fault")
        slot.kill()
        took = await self._in_hands(workers=1)
        self._running.note(f"its partitions belong to the other {took:.1f} s after", kind="recovery")
        self._running.stage.at_most("P7", "partitions taken over while clocks are wrong", took, _limit(self.lease), unit="s")
