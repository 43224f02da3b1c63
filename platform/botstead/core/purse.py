"""What a run in another process may take of its bot's language model, and what it took. Pure; no meter is asked."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

from botstead.core.declared import LlmDeclared
from botstead.core.metering import LlmUsage, Reserved


class Purse:
    """The allowance of one run (see `Incoming.allowance`)."""

    def __init__(self, allowance: int) -> None:
        """Fill it.

        Args:
            allowance: billionths of money, or tokens.
        """
        self._left = allowance
        self.spent = LlmUsage()

    def take(self, amount: int, *, least: int | None = None) -> int:
        """Take a part out, and return how much it was: `amount`, or what is left if it is no less than `least`, or 0.

        Args:
            amount: the most that may be used.
            least: None wants all of `amount`.
        """
        granted = min(amount, self._left)
        if granted < (amount if least is None else least):
            return 0
        self._left -= granted
        return granted

    def put_back(self, granted: int, used: int, usage: LlmUsage) -> None:
        """Put back what was not used.

        Args:
            granted: from `take`.
            used: in the same unit; may be more.
            usage: what it was used for.
        """
        self._left += granted - used
        self.spent += usage


purse: Final[ContextVar[Purse | None]] = ContextVar("purse", default=None)
"""That of the run which is going on, in a process without a meter."""


class PurseMeter:
    """The meter of a process that has none of its own: each run's purse (implements `core.metering.Meter`)."""

    def __init__(self) -> None:
        """Start with nothing set aside."""
        self._open: dict[int, tuple[Purse, LlmDeclared, int]] = {}
        self._number = 0

    async def reserve(self, bot: str, declared: LlmDeclared, amount: int, *, least: int | None = None) -> Reserved | None:
        """Set a part of the purse aside; see `core.metering.Meter`."""
        del bot
        found = purse.get()
        granted = 0 if found is None else found.take(amount, least=least)
        if found is None or not granted:
            return None
        self._number += 1
        self._open[self._number] = (found, declared, granted)
        return Reserved(self._number, granted)

    async def settle(self, reserved: Reserved, usage: LlmUsage) -> None:
        """Say what was taken; see `core.metering.Meter`."""
        if reserved.id in self._open:
            found, declared, granted = self._open.pop(reserved.id)
            found.put_back(granted, usage.amount(declared), usage)
