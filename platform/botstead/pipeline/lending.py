"""Lends a bot in a process of its own a part of what its language model may take in a day, since that process reaches no meter.

Before each event as much is set aside as one message may take; the process says with its answer what it took. One that died says
nothing, and counts as if it had taken all that it was lent. So the day's stop holds for these bots too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec

from botstead.core.declared import LlmDeclared
from botstead.core.metering import LlmUsage, Meter, Reserved
from botstead.core.ports import Incoming
from botstead.runtime.tasks import Tasks, insist
from botstead.telemetry.logs import event

TRIES: Final = 5
WAIT: Final = 1.0
"""Seconds between two tries to write down what was taken. What cannot be written stays set aside."""

logger = logging.getLogger(__name__)


class Lending:
    """Lends to one bot."""

    def __init__(self, meter: Meter, declared: LlmDeclared, *, taken: Callable[[str, LlmUsage], None]) -> None:
        """Prepare.

        Args:
            meter: where the day is kept.
            declared: the bot's budget.
            taken: called with the bot's name and what was taken, for metrics.
        """
        self._meter = meter
        self._declared = declared
        self._taken = taken
        self._settling = Tasks(on_failure=_not_settled)

    async def lend(self, incoming: Incoming) -> tuple[Incoming, Reserved | None]:
        """Set a part aside, and write it on the event.

        Args:
            incoming: what the bot will be given.

        Raises:
            Unavailable: the meter cannot be read.
        """
        reserved = await self._meter.reserve(incoming.bot, self._declared, self._declared.of_message, least=1)
        return msgspec.structs.replace(incoming, allowance=reserved.amount if reserved else 0), reserved

    def settle(self, bot: str, reserved: Reserved | None, usage: LlmUsage | None) -> None:
        """Write down what was taken, soon.

        Args:
            bot: its name.
            reserved: from `lend`.
            usage: what was taken; None when nobody knows.
        """
        if reserved is None:
            return
        if usage is None:
            usage = LlmUsage(cost=reserved.amount) if self._declared.budget else LlmUsage(asked=reserved.amount)
            usage = msgspec.structs.replace(usage, requests=1, estimated=1)
        self._taken(bot, usage)
        self._settling.start("llm-settle", self._settle(bot, reserved, usage))

    async def drain(self) -> None:
        """Wait until what was taken is written."""
        await self._settling.stop(TRIES * WAIT)

    async def _settle(self, bot: str, reserved: Reserved, usage: LlmUsage) -> None:
        if not await insist(partial(self._meter.settle, reserved, usage), tries=TRIES, wait=WAIT):
            event(logger, "llm_usage_not_kept", level=logging.ERROR, bot=bot)


def _not_settled(task: str, error: BaseException) -> None:
    event(logger, f"{task}_failed", level=logging.ERROR, exception=error)
