"""Asks the API the same thing again and again while something is wrong, and notes how it answers.

What is asked is the delivery of an update that was taken long ago: whether it is taken once more or refused, nothing changes.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import msgspec

from botstead.processes.prove.deliveries import message
from botstead.processes.prove.load import deliver
from botstead.processes.prove.meanwhile import meanwhile
from botstead.processes.prove.quantile import quantile
from botstead.processes.prove.rawhttp import say

if TYPE_CHECKING:
    from botstead.processes.prove.installation import Installation
    from botstead.processes.prove.load import Load
    from botstead.processes.prove.stage import Stage

NUMBER = 900_000_001
"""Of the update, and of its conversation."""
EVERY = 0.1
PATIENCE = 20.0
REFUSED = 503
REFUSAL_SECONDS = 2.5
LONGEST_SECONDS = 5.0


class Answered(msgspec.Struct, frozen=True):
    """How one delivery was answered.

    Args:
        at: seconds since the experiment began, when it was sent.
        seconds: until the answer.
        status: of HTTP; 0 for no answer within 20 seconds or a connection that broke.
        after: the header Retry-After, "" without.
    """

    at: float
    seconds: float
    status: int
    after: str = ""


class Asking:
    """What was answered so far."""

    def __init__(self, running: Installation) -> None:
        """Begin with nothing.

        Args:
            running: whose API processes are asked.
        """
        self._running = running
        self._asked = message(running.hooks[0], NUMBER, NUMBER, f"u{NUMBER}")
        self.answers: list[Answered] = []

    @property
    def refused(self) -> int:
        """How many were answered 503."""
        return sum(answer.status == REFUSED for answer in self.answers)

    async def run(self) -> None:
        """Ask ten times a second, each time on a connection of its own and whatever became of the others, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for port in itertools.cycle(self._running.ports()):
                group.create_task(self._ask(port))
                await asyncio.sleep(EVERY)

    async def _ask(self, port: int) -> None:
        stage = self._running.stage
        at = stage.now
        found = Answered(at, 0.0, 0)
        with suppress(OSError, TimeoutError):
            heard = await say(port, self._asked, seconds=PATIENCE)
            if heard.answers:
                answer = heard.answers[0]
                found = Answered(at, stage.now - at, answer.status, answer.headers.get("retry-after", ""))
        self.answers.append(found if found.status else msgspec.structs.replace(found, seconds=stage.now - at))

    def check(self, *, what: str, refusals: int = 1, since: float = 0.0, refusal: float = REFUSAL_SECONDS) -> None:
        """Record how it answered.

        Args:
            what: what was wrong, in words.
            refusals: how many there have to be at least, or nothing was proved.
            since: seconds since the experiment began; only what was sent later counts.
            refusal: seconds within which 99 of 100 are refused.
        """
        check(self._running.stage, [answer for answer in self.answers if answer.at >= since], what, refusals, refusal)


def check(stage: Stage, answers: Sequence[Answered], what: str, refusals: int, refusal: float) -> None:
    """Record how deliveries were answered; see `Asking.check`.

    Args:
        stage: where.
        answers: to look at.
        what: what was wrong, in words.
        refusals: how many there have to be at least.
        refusal: seconds within which 99 of 100 are refused.
    """
    refused = [answer for answer in answers if answer.status == REFUSED]
    other = [f"{answer.status} at {answer.at:.1f} s" for answer in answers if answer.status not in (200, REFUSED, 0)]
    silent = [f"sent at {answer.at:.1f} s, given up after {answer.seconds:.1f} s" for answer in answers if not answer.status]
    curt = [f"at {answer.at:.1f} s" for answer in refused if not answer.after.isdigit()]
    longest = max((answer.seconds for answer in answers), default=0.0)
    stage.at_least("P6", f"answers 503 ({what})", len(refused), refusals)
    stage.none("P6", f"answers other than 200 and 503 ({what})", other)
    stage.none("P6", f"deliveries without an answer ({what})", silent)
    stage.none("P6", f"answers 503 without Retry-After ({what})", curt)
    stage.at_most("P6", f"longest wait for an answer ({what})", longest, LONGEST_SECONDS, unit="s")
    if refused:
        stage.at_most("P6", f"wait for a 503, p99 ({what})", quantile([each.seconds for each in refused]), refusal, unit="s")


@asynccontextmanager
async def asking(running: Installation, load: Load) -> AsyncIterator[Asking]:
    """Ask all the time.

    Args:
        running: whose API processes are asked.
        load: told of the update that is delivered for this.

    Raises:
        ConnectionError: not even the first delivery was taken.
    """
    hook = running.hooks[0]
    await deliver(running, NUMBER, NUMBER, f"u{NUMBER}")
    load.acked[hook.token, str(NUMBER)].append(NUMBER)
    found = Asking(running)
    async with meanwhile(found.run()):
        yield found
