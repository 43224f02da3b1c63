"""More comes in than can be handled: the workers are away, then back and slower than people write."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from botstead.processes.prove.asking import Asking, asking
from botstead.processes.prove.experiment import experiment
from botstead.processes.prove.installation import installation
from botstead.processes.prove.judge import CHAIN, judge
from botstead.processes.prove.load import Load
from botstead.processes.prove.meanwhile import memory

if TYPE_CHECKING:
    from botstead.processes.prove.installation import Installation
    from botstead.processes.prove.slot import Slot
    from botstead.processes.prove.stage import Stage

PACE = "pace"
"""File in the experiment's folder: how many seconds the bot takes for each message."""
SLOW = CHAIN.replace("from hashlib", "import asyncio\nfrom hashlib", 1).replace(
    "    state = conversation.state\n",
    f"    await asyncio.sleep(float((Path(__file__).parents[2] / '{PACE}').read_text()))\n    state = conversation.state\n",
    1,
)
"""A bot that keeps the chain and takes its time."""
CONVERSATIONS = 40
SLOWER = 3.0
"""Times that the bot handles fewer than can be delivered, on whatever machine."""
OVERSHOOT = 2.0
"""Seconds of full speed that may still be taken after the limit is reached: the backlog is looked at twice a second."""
GROWTH = 100.0
"""MB by which an API process may grow: what may wait in it is bounded by 64 MB."""
OFFERED = 2.0
"""Times what is handled that has to be delivered where nothing is refused, or nothing was proved."""
REOPEN_SECONDS = 20.0
"""For a worker to start, and to handle what was taken beyond the limit."""
LOOK_EVERY = 0.1
STAYS_SECONDS = 1.0


@experiment("E19", "More comes in than can be handled", promises=("P1", "P2", "P3", "P4", "P6"), minutes=7)
async def pressed(stage: Stage) -> None:
    """Take the workers away and deliver until we refuse; bring them back and go on delivering more than they handle."""
    limit, soak = (900, 300.0) if stage.full else (200, 1.5)
    async with installation(stage, bots={"slow": SLOW}, settings={"backlog_limit": str(limit)}) as running:
        api, worker = running.slots["api-a"], running.slots["worker-a"]
        load = Load(stage, running, updates=limit * 20 + int(soak * 2_000), conversations=CONVERSATIONS)
        pace = stage.folder / PACE
        pace.write_text("0")
        async with asking(running, load) as asked, memory(api, every=LOOK_EVERY) as sizes, asyncio.TaskGroup() as group:
            await asyncio.sleep(3 * LOOK_EVERY)
            before = max(sizes)
            await worker.end()
            stage.note("the only worker is gone; updates come in as fast as they are taken", kind="fault")
            group.create_task(load.run())
            speed = await _fill(running, load, asked, limit)
            pace.write_text(f"{CONVERSATIONS * SLOWER / speed:.3f}")
            worker.start()
            stage.note("the worker is started again; updates go on coming", kind="recovery")
            await _soak(running, load, worker, soak, speed=speed)
            load.stop()
        stage.at_most("P6", "growth of the API process", max(sizes) - before, GROWTH, unit="MB")
        asked.check(what="too much waits")
        stage.none("P6", "answers other than 200 and 503", load.wrong)
        waited = time.monotonic()
        await running.settle(load, seconds=300.0 if stage.full else 30.0)
        stage.note(f"what was left was answered in {time.monotonic() - waited:.1f} s")
        judge(load, running).check(stage, allowed_again=0)


async def _fill(running: Installation, load: Load, asked: Asking, limit: int) -> float:
    """Wait until updates are refused, and see that it stays so; returns how many a second were taken before."""
    stage, began = running.stage, time.monotonic()
    await running.until(lambda: asked.refused > 0, "refused", seconds=60)
    speed = load.count / (time.monotonic() - began)
    await asyncio.sleep(STAYS_SECONDS)
    stage.note(f"{load.count} taken at {speed:.0f}/s, and no more: the limit is {limit}")
    stage.at_least("P6", "taken before the limit", load.count, limit)
    stage.at_most("P6", "taken beyond the limit, at full speed", (load.count - limit) / speed, OVERSHOOT, unit="s")
    return speed


async def _soak(running: Installation, load: Load, worker: Slot, seconds: float, *, speed: float) -> None:
    """Let more be delivered than is handled."""
    stage, began, taken = running.stage, time.monotonic(), load.count
    await running.until(lambda: load.count > taken, "taken again", seconds=60)
    stage.at_most("P6", "from the worker's start to the next taken", time.monotonic() - began, REOPEN_SECONDS, unit="s")
    refused, replied = load.refused.total(), running.provider.count
    await asyncio.sleep(seconds)
    handled = (running.provider.count - replied) / seconds
    stage.note(f"{handled:.0f}/s were handled, {load.refused.total() - refused} deliveries were refused")
    stage.at_least("P6", "handled meanwhile", handled, 1.0, unit="/s")
    stage.at_least("P6", "delivered where nothing is refused, by what was handled", speed / max(1.0, handled), OFFERED, unit="x")
    stage.none("P6", "restarts of the worker", ["it ended"] * (worker.starts - 2))
