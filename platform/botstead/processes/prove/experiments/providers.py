"""What one bot calls goes wrong in each way that providers and services do; the others must not notice, and it must recover."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from botstead.processes.prove.called import KINDS, Called, called
from botstead.processes.prove.experiment import experiment
from botstead.processes.prove.hurt import Hurt, cases
from botstead.processes.prove.installation import installation
from botstead.processes.prove.judge import CHAIN, judge, unanswered
from botstead.processes.prove.load import Load
from botstead.processes.prove.quantile import quantile
from botstead.processes.prove.traps import traps

if TYPE_CHECKING:
    from pathlib import Path

    from botstead.processes.prove.installation import Installation
    from botstead.processes.prove.stage import Stage

WELL = ("well-a", "well-b")
TIMES = 1.5
FLOOR = 0.25
"""Seconds below which a reply counts as prompt, whatever it took without faults: less is noise on a small machine."""
GROWTH = 32.0
"""Megabytes."""
UNDER_WAY = 8
"""Replies that may be on their way when a line is cut, and so arrive twice."""
SHARES = 3
"""Shares of the traffic that the first bot gets besides its own: its calls alone have to fill every place there is for one."""
LOOK = 0.2
"""Seconds between two looks at the worker's memory."""
RECOVERY = 90.0
"""Seconds for the last reply after a long fault: the longest wait between two tries by then; a small experiment waits less."""
QUICK = 15.0


@experiment(
    "E10",
    "The provider of one bot, or a service that it calls, goes wrong in each way",
    promises=("P1", "P2", "P3", "P4", "P11"),
    minutes=8,
)
async def providers(stage: Stage) -> None:
    """Play each way on a bot of its own: one after the other, or in a small experiment all at once."""
    async with AsyncExitStack() as stack:
        caught = await stack.enter_async_context(traps(everywhere=False))
        ways = cases(caught.trap, retry_after=7 if stage.full else 3)
        callers = [await stack.enter_async_context(called(kind)) for kind in KINDS]
        bots = dict.fromkeys((*WELL, *(case.name for case in ways), *(caller.case.name for caller in callers)), CHAIN)
        folder = _written(stage, bots, callers)
        # All of loopback is listed: that no redirect is followed must not be the guard's doing.
        settings = {"egress_allow": "127.0.0.1", "bots": str(folder)}
        running = await stack.enter_async_context(installation(stage, settings=settings, bots=bots))
        hurts: list[Hurt | Called] = [await Hurt.prepared(running, case, stack) for case in ways]
        for caller in callers:
            caller.runs(running)
        hurts += callers
        running.hooks += [hurts[0].hook] * SHARES
        conversations = len(running.hooks) * (200 if stage.full else 30)
        load = Load(stage, running, updates=1_000_000, conversations=conversations, rate=300 if stage.full else 200)
        async with asyncio.TaskGroup() as group:
            group.create_task(load.run())
            for together in [[hurt] for hurt in hurts] if stage.full else [hurts]:
                await _Round(running, load, together).play()
            load.stop()
        await running.settle(load)
        stage.none("P11", "redirects that were followed", caught.caught)
        judge(load, running).check(stage, allowed_again=UNDER_WAY)


def _written(stage: Stage, bots: Mapping[str, str], callers: Sequence[Called]) -> Path:
    """Write the folder of bots: those that call list their service."""
    folder = stage.folder / "hurt"
    folder.mkdir()
    for caller in callers:
        caller.write(folder)
    for name in set(bots) - {caller.case.name for caller in callers}:
        (folder / name).mkdir()
        (folder / name / "bot.py").write_text(bots[name])
    return folder


class _Round:
    """Some bots that are hurt at the same time, and how the others fare."""

    def __init__(self, running: Installation, load: Load, hurts: Sequence[Hurt | Called]) -> None:
        self._running, self._load, self._hurts = running, load, hurts
        self._tokens = {hurt.hook.token for hurt in hurts}
        self._worker = running.of("worker")[0]
        self._peak = 0.0
        self._patience = RECOVERY if running.stage.full else QUICK

    async def play(self) -> None:
        """Look at the calm, hurt them, wait until they have recovered, and record it."""
        stage = self._running.stage
        name = self._hurts[0].case.name if len(self._hurts) == 1 else "all at once"
        calm, memory = time.time(), self._worker.memory()
        await asyncio.sleep(6.0 if stage.full else 2.0)
        watching = asyncio.create_task(self._watch())
        hurt = time.time()
        await asyncio.gather(*(each.play(20.0 if stage.full else each.case.seconds) for each in self._hurts))
        healed = time.time()
        await self._recovered()
        watching.cancel()
        before, during = self._waits(calm, hurt), self._waits(hurt, healed)
        stage.note(f"others' replies, p99: {quantile(before):.3f} s before, {quantile(during):.3f} s under faults")
        limit = max(TIMES * quantile(before), FLOOR)
        stage.at_most("P11", f"others' replies, p99 ({name})", quantile(during), limit, unit="s")
        stage.at_most("P11", f"growth of the worker ({name})", max(0.0, self._peak - memory), GROWTH, unit="MB")
        for each in self._hurts:
            each.check(stage)

    async def _watch(self) -> None:
        while True:
            self._peak = max(self._peak, self._worker.memory())
            await asyncio.sleep(LOOK)

    async def _recovered(self) -> None:
        """Wait until what was acknowledged by now is answered."""
        running = self._running
        due = {place: list(numbers) for place, numbers in self._load.acked.items() if place[0] in self._tokens}
        healed = time.monotonic()
        deadline = healed + self._patience
        while (left := unanswered(due, running.provider.sent())) and time.monotonic() < deadline:  # noqa: ASYNC110  # others' work
            await asyncio.sleep(LOOK)
        what = f"{left} replies of theirs are missing" if left else "their backlog was sent"
        running.note(f"{what} {time.monotonic() - healed:.1f} s later", kind="recovery")

    def _waits(self, begin: float, end: float) -> list[float]:
        """How long others waited for replies to what was delivered in a span; in Unix seconds."""
        answered: dict[tuple[str, str, str], float] = {}
        for entry in self._running.provider.sent():
            answered.setdefault((entry.token, entry.chat, entry.text.rpartition(" ")[2]), entry.at)
        now = time.time()
        return [
            answered.get(key, now) - at
            for key, at in self._load.delivered.items()
            if begin <= at < end and key[0] not in self._tokens
        ]
