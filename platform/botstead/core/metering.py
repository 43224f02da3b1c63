"""What answers of language models take, and the meter that keeps it: where `integrations`, `pipeline` and `store` meet."""

from __future__ import annotations

from typing import Protocol

import msgspec

from botstead.core.declared import LlmDeclared


class LlmUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What answers of a language model took.

    Args:
        asked: tokens that were sent.
        answered: tokens that came back.
        cost: in billionths of the currency, by the prices of `[llm]`.
        requests: how many.
        estimated: of how many the server did not say what they took.
    """

    asked: int = 0
    answered: int = 0
    cost: int = 0
    requests: int = 0
    estimated: int = 0

    def amount(self, declared: LlmDeclared) -> int:
        """Return what this takes of a day, in the unit of `LlmDeclared.day`."""
        return self.cost if declared.budget else self.asked + self.answered

    def __add__(self, other: LlmUsage) -> LlmUsage:
        """Add up two."""
        return LlmUsage(
            asked=self.asked + other.asked,
            answered=self.answered + other.answered,
            cost=self.cost + other.cost,
            requests=self.requests + other.requests,
            estimated=self.estimated + other.estimated,
        )


class Reserved(msgspec.Struct, frozen=True):
    """A part of a bot's day that is set aside until it is known what was taken.

    Args:
        id: names it.
        amount: billionths of money, or tokens: the unit of `LlmDeclared.day`.
    """

    id: int
    amount: int


class Meter(Protocol):
    """Keeps what a bot's answers took, and stops them when the day's budget is used up."""

    async def reserve(self, bot: str, declared: LlmDeclared, amount: int, *, least: int | None = None) -> Reserved | None:
        """Set a part of the day aside; None when no such part is left.

        Args:
            bot: the bot's name.
            declared: its budget.
            amount: the most that may be taken.
            least: take what is left, if it is no less than this; None wants all of `amount`.

        Raises:
            Unavailable: the meter cannot be read; nothing was set aside.
        """
        ...

    async def settle(self, reserved: Reserved, usage: LlmUsage) -> None:
        """Say what was taken. Safe to repeat. What nobody settles counts as taken until the day ends.

        Args:
            reserved: from `reserve`.
            usage: what was taken; may be more than was set aside.

        Raises:
            Unavailable: the meter cannot be written.
        """
        ...
