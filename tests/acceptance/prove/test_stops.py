"""Processes that are asked to end do so in time, lose nothing and send nothing twice."""

from __future__ import annotations

import asyncio

import uvloop

from botstead.processes.prove.installation import installation
from botstead.processes.prove.judge import judge
from botstead.processes.prove.load import Load
from botstead.processes.prove.stage import Stage

UPDATES = 1_500
STOP_WITHIN = 30.0
STOPS = ((200, "worker-a"), (500, "api-a"), (800, "worker-b"), (1_100, "api-b"))


async def _stopped(stage: Stage) -> None:
    async with installation(stage, api=2, worker=2) as running:
        load = Load(stage, running, updates=UPDATES, conversations=60)
        delivering = asyncio.create_task(load.run())
        for moment, name in STOPS:
            load.allow(moment + 100)
            await running.until(lambda moment=moment: load.count >= moment, f"{moment} acknowledged")
            status, seconds = await running.slots[name].end()
            assert (status, seconds < STOP_WITHIN) == (0, True), (name, status, seconds)
            running.slots[name].start()
            await running.until(lambda name=name: running.slots[name].ready, f"{name} ready again")
        load.allow(load.total)
        await delivering
        await running.settle(load)
        judge(load, running).check(stage, allowed_again=0)


def test_processes_asked_to_stop_lose_nothing_and_send_nothing_twice(tmp_path):
    stage = Stage(tmp_path, seed=1, scale="small")
    uvloop.run(_stopped(stage))
    assert all(figure.holds for figure in stage.figures), stage.figures
