"""What the appliance does not need is started again for ever, and never ends it."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

import pytest

from botstead.core.errors import ConfigurationError
from botstead.processes.embedded.child import CONFIGURATION_STATUS, Program
from botstead.processes.embedded.logs import nowhere
from botstead.processes.embedded.supervisor import Supervisor


def program(folder, *, essential: bool) -> Program:
    notes = folder / "runs"
    code = f"open({str(notes)!r}, 'a').write('run\\n'); raise SystemExit({CONFIGURATION_STATUS})"

    async def never(_pid: int) -> bool:
        return False

    return Program(
        role="besides",
        instance="besides",
        command=(sys.executable, "-I", "-S", "-c", code),
        environment={},
        folder=folder,
        ready=never,
        essential=essential,
    )


def runs(folder) -> int:
    path = folder / "runs"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_it_is_tried_again_and_the_others_go_on(tmp_path):
    async def story():
        supervisor = Supervisor(tmp_path, echo=nowhere, changed=lambda: None)
        starting = asyncio.create_task(supervisor.start(program(tmp_path, essential=False)))
        async with asyncio.timeout(8):
            while runs(tmp_path) < 3:  # noqa: ASYNC110  # another process writes it
                await asyncio.sleep(0.02)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(supervisor.failure(), 0.05)
        await supervisor.stop("besides")
        starting.cancel()
        with suppress(asyncio.CancelledError):
            await starting

    asyncio.run(story())


def test_what_is_needed_ends_everything(tmp_path):
    async def story():
        supervisor = Supervisor(tmp_path, echo=nowhere, changed=lambda: None)
        with pytest.raises(ConfigurationError):
            await supervisor.start(program(tmp_path, essential=True))
        await supervisor.stop("besides")

    asyncio.run(story())
    assert runs(tmp_path) == 1
