"""Processes and the database are killed and paused at random while people write."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING

from botstead.processes.prove.experiment import experiment
from botstead.processes.prove.installation import installation
from botstead.processes.prove.judge import CHAIN, judge
from botstead.processes.prove.load import Load
from botstead.processes.prove.strikes import Counts, Strikes

if TYPE_CHECKING:
    from botstead.processes.prove.stage import Stage

BOTS = {f"chain-{number}": CHAIN for number in (1, 2, 3)}
CONVERSATIONS = 300
LEASE_SECONDS = {"small": 2.0, "full": 3.0}
UNDER_WAY = 64
"""Sends that a worker may have under way at a channel when it dies: each of them may arrive twice."""
DRAIN_SECONDS = 60.0
RETURN_SECONDS = 10.0
FULL_UPDATES = 200_000


@experiment("E1", "Processes are killed and paused at random under load", promises=("P1", "P2", "P3", "P4"), minutes=8)
async def kills(stage: Stage) -> None:
    """Kill and pause API, worker and scheduler processes; judge what became of each update."""
    counts = Counts(kills=50, pauses=10) if stage.full else Counts(kills=12, pauses=2)
    await _struck(stage, counts, updates=FULL_UPDATES if stage.full else 8_000)


@experiment("E2", "The same, and Postgres dies too", promises=("P1", "P2", "P3", "P4", "P9"), minutes=9)
async def kills_with_postgres(stage: Stage) -> None:
    """Kill and restart Postgres besides; afterwards everything has to resume alone."""
    full = Counts(kills=50, pauses=10, crashes=5, restarts=5)
    counts = full if stage.full else Counts(kills=4, crashes=1, restarts=1)
    await _struck(stage, counts, updates=FULL_UPDATES if stage.full else 2_500)


async def _struck(stage: Stage, counts: Counts, *, updates: int) -> None:
    lease = LEASE_SECONDS[stage.scale]
    settings = {"lease_seconds": f"{lease:g}"}
    async with installation(stage, api=2, worker=2, scheduler=1, bots=BOTS, settings=settings) as running:
        load = Load(stage, running, updates=updates, conversations=CONVERSATIONS)
        strikes = Strikes(running, load, lease=lease)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(load.run())
                group.create_task(strikes.run(counts))
        except* TimeoutError as errors:  # what was taken until then is judged all the same
            stage.note(f"given up at {load.count}: {str(errors.exceptions[0]).partition(chr(10))[0]}")
        stage.note(f"{load.count} acknowledged in {load.deliveries} deliveries; not taken: {dict(load.refused)}")
        ended = time.monotonic()
        drain = DRAIN_SECONDS if stage.full else DRAIN_SECONDS / 3
        await running.settle(load, seconds=drain)
        drained = time.monotonic() - ended
        verdict = judge(load, running)
        verdict.check(stage, allowed_again=UNDER_WAY * len(BOTS) * strikes.workers, faults=strikes.spans)
        stage.at_least("P1", "updates taken", verdict.acked, updates)
        stage.none("P6", "answers other than 200 and 503", load.wrong)
        stage.at_most("P4", "time to answer what was left", drained, drain, unit="s")
        if counts.crashes or counts.restarts:
            longest = max(strikes.returns, default=math.inf)
            stage.at_most("P9", "from Postgres's return to the next acknowledgement", longest, RETURN_SECONDS, unit="s")
