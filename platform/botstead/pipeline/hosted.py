"""A bot in a process of its own: what it breaks is its own process, and what it eats is its own memory."""

from __future__ import annotations

import asyncio
import logging
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import msgspec

from botstead.core.clock import Clock, SystemClock
from botstead.core.drafting import Drafts
from botstead.core.errors import HandlerFailed, RetryAdvice, Unavailable
from botstead.core.metering import LlmUsage
from botstead.core.ports import Effects, Incoming, Limits
from botstead.pipeline.answering import Answered, note, note_calls
from botstead.pipeline.lending import Lending
from botstead.runtime.children import CallFailed, Child, ChildBroken, ChildDied
from botstead.runtime.tasks import Tasks
from botstead.telemetry.logs import event

logger = logging.getLogger(__name__)

HOST = (sys.executable, "-P", "-m", "botstead.processes.bot_host")
"""The program that a bot's process runs."""

START = 15.0
"""Seconds that a bot's process may take until it is ready."""

WATCH = 0.5
"""Seconds between two looks at the memory of a bot's process."""

QUARANTINE_MEMORY = 512 * 1024 * 1024
"""Bytes that a bot without a memory limit may use in quarantine."""

FIRST_REST = 0.5
LONGEST_REST = 30.0
"""Seconds until a process is started again that keeps dying or growing: from the second time on, doubled up to the longest."""

LONG_LIFE = 60.0
"""A process that lived for so many seconds does not «keep» dying."""


class BotDied(HandlerFailed):
    """The bot's process died while it ran this event. The notes of the cause hold the end of its output."""

    code = "bot_died"

    def __init__(self, how: str, *, alone: bool) -> None:
        """Build the error.

        Args:
            how: how the process ended, as a phrase: "exit status 3", "signal SIGABRT".
            alone: whether this was the only event it ran, and so the one that killed it. Of several any may be it.
        """
        super().__init__(f"The bot's process died: {how}.")
        self.how = how
        self.alone = alone


class BotResting(HandlerFailed):
    """The bot's process cannot be started now, and this event did not run. Retry after the seconds named."""

    code = "bot_resting"
    retry: ClassVar[RetryAdvice] = "after"


class _Failed(HandlerFailed):
    """The bot's handler failed in its process."""

    def __init__(self, message: str, *, after: float | None, spent: LlmUsage | None) -> None:
        super().__init__(message, after=after)
        self.spent = spent


class HostedBot:
    """Runs one bot folder in child processes. Implements `core.ports.Handler`.

    The process starts with the first event. One that dies is started again, at once the first time, later each time it
    goes on dying. One that exceeds `limits.memory` gets no new events, finishes those it has, and is replaced.
    """

    def __init__(  # noqa: PLR0913  what a process is made of, each given by name
        self,
        name: str,
        folder: Path,
        *,
        limits: Limits,
        environment: Mapping[str, str] | None = None,
        told: Callable[[], bytes] = bytes,
        lending: Lending | None = None,
        host: Sequence[str] = HOST,
        clock: Clock | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Build it; nothing starts yet.

        Args:
            name: the bot's name.
            folder: the folder with its `bot.py`.
            limits: deadline and memory.
            environment: everything that the process finds in its environment.
            told: what the process is told before it runs an event, such as the bot's secrets; it stands neither in the
                environment nor on the command line.
            lending: lends it a part of what its language model may take; None: it has none.
            host: the program and its first arguments.
            clock: for the back-off.
            chance: a random number from 0 to 1, for the back-off's jitter.
        """
        self.name = name
        self.limits = limits
        self._command = (*host, "--folder", str(folder), "--memory", str(limits.memory))
        self._environment = dict(environment or {})
        self._told = told
        self.drafts: Drafts | None = None
        """Shows what handlers stream while it grows; `processes/` gives it."""
        self._lending = lending
        self._rest = _Rest(clock or SystemClock(), chance)
        self._child: Child | None = None
        self._began = 0.0
        self._children: set[Child] = set()
        self._watches = Tasks()
        self._starting = asyncio.Lock()
        self._stopped = False

    @classmethod
    def for_quarantine(  # noqa: PLR0913  likewise
        cls,
        folder: Path,
        limits: Limits,
        *,
        name: str = "",
        environment: Mapping[str, str] | None = None,
        told: Callable[[], bytes] = bytes,
        lending: Lending | None = None,
        host: Sequence[str] = HOST,
    ) -> HostedBot:
        """Build one for its wards only: any bot, with a memory limit even if it has none itself.

        Args:
            folder: the folder with its `bot.py`.
            limits: the bot's own.
            name: the bot's name; by default the folder's.
            environment: everything that the process finds in its environment.
            told: see the class.
            lending: see the class.
            host: the program and its first arguments.
        """
        limited = msgspec.structs.replace(limits, memory=limits.memory or QUARANTINE_MEMORY)
        named = name or folder.name
        return cls(named, folder, limits=limited, environment=environment, told=told, lending=lending, host=host)

    @property
    def running(self) -> int:
        """How many events the processes have not answered, those that nobody waits for any longer included."""
        return sum(child.running for child in self._children)

    async def start(self) -> None:
        """Start the process now instead of with the first event, to learn whether the bot can be loaded.

        Raises:
            BotResting: it cannot; the message says why.
        """
        await self._current()

    async def handle(self, incoming: Incoming) -> Effects:
        """Run the bot on one event, beside others, in its long-lived process.

        Raises:
            BotDied: the process died meanwhile.
            BotResting: there is no process now; the event did not run.
            HandlerFailed: the bot raised, ran out of time, or answered nonsense.
        """
        return await self.run(await self._current(), incoming)

    def ward(self) -> Ward:
        """Make a place where events run one at a time, in processes that run no others."""
        return Ward(self)

    async def stop(self) -> None:
        """End every process of this bot, and what runs in it. Let the worker drain first."""
        self._stopped = True
        await self._watches.stop(0)
        await asyncio.gather(*map(self.end, self._children))
        if self._lending is not None:
            await self._lending.drain()

    async def begin(self) -> Child:
        """Start a process besides the current one; whoever does has to `end` it.

        Raises:
            BotResting: none can be started.
        """
        if self._stopped:
            raise BotResting("The bot is being stopped.", after=1.0)
        self._rest.require_over()
        try:
            child = await Child.start(self._command, environment=self._environment, seconds=START)
        except (ChildBroken, ChildDied) as error:
            raise BotResting(f"The bot cannot be started. {error.message}", after=self._rest.note_failed_start()) from error
        self._children.add(child)
        if self.is_too_large(child):
            used = child.resident()
            await self.end(child)
            advice = (
                f"It uses {_megabytes(used)} before its first event, its limit is {_megabytes(self.limits.memory)}: raise memory."
            )
            raise BotResting(f"The bot cannot be started. {advice}", after=self._rest.note_failed_start())
        event(logger, "bot_process_started", bot=self.name, child=child.pid)
        return child

    async def end(self, child: Child) -> None:
        """End a process that `begin` started."""
        try:
            await child.stop()
        finally:
            self._children.discard(child)

    async def run(self, child: Child, incoming: Incoming) -> Effects:
        """Run one event in a process.

        Raises:
            BotDied: the process died meanwhile.
            BotResting: the budget of its language model cannot be read now; the event did not run.
            HandlerFailed: the bot raised, ran out of time, or answered nonsense.
        """
        if self._lending is None:
            return (await self._call(child, incoming))[0]
        try:
            incoming, reserved = await self._lending.lend(incoming)
        except Unavailable as error:
            raise BotResting(error.message, after=error.after or 1.0) from error
        spent: LlmUsage | None = None
        try:
            effects, spent = await self._call(child, incoming)
        except _Failed as failed:
            spent = failed.spent
            raise
        finally:
            self._lending.settle(incoming.bot, reserved, spent)
        return effects

    async def _call(self, child: Child, incoming: Incoming) -> tuple[Effects, LlmUsage]:
        try:
            child.tell(self._told())
            answer = await self._answer(child, incoming)
            answered = msgspec.json.decode(answer, type=Answered)
        except ChildDied as died:
            raise BotDied(died.how, alone=died.alone) from died
        except CallFailed as failed:
            raise _Failed(failed.message, after=failed.after, spent=note(failed.attached)) from failed
        except msgspec.DecodeError as error:
            raise HandlerFailed(f"The bot's process answered nonsense: {error}") from error
        note_calls(answered.calls)
        return answered, answered.spent

    async def _answer(self, child: Child, incoming: Incoming) -> bytes:
        """Call, and show meanwhile what the bot's process tells of a text that grows."""
        growing = None if self.drafts is None else self.drafts.begin(incoming)
        body = msgspec.json.encode(incoming)
        if growing is None:
            return await child.call(body, seconds=self.limits.deadline)
        try:
            return await child.call(
                body, seconds=self.limits.deadline, partly=lambda text: growing.show(text.decode(errors="replace"))
            )
        finally:
            growing.end()

    def is_too_large(self, child: Child) -> bool:
        """Whether a process uses more memory than the bot may."""
        return 0 < self.limits.memory < child.resident()

    async def _current(self) -> Child:
        async with self._starting:
            if self._child is not None and not self._child.alive:
                self._lose(self._child, "bot_process_died", how=self._child.how, level=logging.WARNING)
            if self._child is None:
                self._child = await self.begin()
                self._began = self._rest.now()
                self._watches.start(f"bot-{self.name}-{self._child.pid}", self._watch(self._child))
            return self._child

    def _lose(self, child: Child, what: str, *, how: str, level: int = logging.INFO) -> None:
        """Have no current process any longer; the next one starts at once, or after a rest if this happens often."""
        event(logger, what, level=level, bot=self.name, child=child.pid, how=how)
        self._child = None
        self._rest.note_end(lived=self._rest.now() - self._began)

    async def _watch(self, child: Child) -> None:
        """Look after one process until it is gone, by its own doing or because it grew too large."""
        while not await child.ended(seconds=WATCH):
            if self.is_too_large(child):
                if self._child is child:
                    self._lose(child, "bot_process_recycled", how=_megabytes(child.resident()))
                await child.finish(seconds=self.limits.deadline)
        self._children.discard(child)


class Ward:
    """Runs events of one bot that may kill their process, one at a time.

    A process that answered well runs the next one. One that did not is ended; and a death is put down to an event only if
    the process had run no other before, which might have hurt it.
    """

    def __init__(self, bot: HostedBot) -> None:
        """Start nothing yet.

        Args:
            bot: whose events.
        """
        self._bot = bot
        self._child: Child | None = None

    async def handle(self, incoming: Incoming) -> Effects:
        """Run the bot on one event. One that dies in a process that had run others is run once more, in a fresh one.

        Raises:
            BotDied: the process died, and this event did it.
            BotResting: no process could be started; the event did not run.
            HandlerFailed: the bot raised, ran out of time, or answered nonsense.
        """
        if self._child is not None:
            with suppress(BotDied):
                return await self._run(self._child, incoming)
        self._child = await self._bot.begin()
        return await self._run(self._child, incoming)

    async def end(self) -> None:
        """End its process, if there is one."""
        child, self._child = self._child, None
        if child is not None:
            await self._bot.end(child)

    async def _run(self, child: Child, incoming: Incoming) -> Effects:
        well = False
        try:
            effects = await self._bot.run(child, incoming)
            well = not self._bot.is_too_large(child)
            return effects
        finally:
            if not well:
                await self.end()


def _megabytes(count: int) -> str:
    return f"{count / 1_048_576:.0f} MB"


class _Rest:
    """How long to wait until an ended process is started again: not at all, then `FIRST_REST`, doubled each time."""

    def __init__(self, clock: Clock, chance: Callable[[], float]) -> None:
        self._clock = clock
        self._chance = chance
        self._ends = 0
        self._over_at = 0.0

    def now(self) -> float:
        return self._clock.monotonic()

    def require_over(self) -> None:
        left = self._over_at - self.now()
        if left > 0:
            raise BotResting(f"The bot's process ended {self._ends} times in a row.", after=left)

    def note_end(self, *, lived: float) -> None:
        self._ends = 1 if lived >= LONG_LIFE else self._ends + 1
        self._begin(self._ends - 1)

    def note_failed_start(self) -> float:
        self._ends += 1
        return self._begin(self._ends)

    def _begin(self, times: int) -> float:
        longest = min(LONGEST_REST, FIRST_REST * 2.0 ** min(times - 1, 16)) if times else 0.0
        seconds = longest * (0.5 + self._chance() / 2)
        self._over_at = self.now() + seconds
        return seconds
