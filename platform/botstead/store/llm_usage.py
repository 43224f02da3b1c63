"""What bots took of language models, by day. A part is set aside before each question, so that calls side by side stop in time.

The row of the day is locked first, and what is set aside is read in a statement of its own: under READ COMMITTED one statement
would not see what those set aside who held the lock before.
"""

from __future__ import annotations

from datetime import date

import msgspec

from botstead.core.declared import LlmDeclared
from botstead.core.metering import LlmUsage, Reserved
from botstead.store import queries
from botstead.store.postgres import Postgres

_SQL = queries.load("llm_usage")


class LlmDay(msgspec.Struct, frozen=True, kw_only=True):
    """What a bot took of its language model today (UTC).

    Args:
        day: which day that is.
        requests: questions that were answered, in whole or in part.
        asked: tokens sent.
        answered: tokens that came back.
        cost: in `currency`, by the prices of `[llm]`; null where the bot counts tokens.
        currency: of cost and budget; empty where the bot counts tokens.
        budget: of the day: money in `currency`, or tokens.
        left: of the budget, what is set aside not counted in.
        set_aside: for questions that are being answered, or whose process died: nobody knows what they took.
        estimated: of how many answers the server did not say what they took.
        refused: questions that were not asked, because the budget was used up.
    """

    day: date
    requests: int
    asked: int
    answered: int
    cost: float | None
    currency: str
    budget: float
    left: float
    set_aside: float
    estimated: int
    refused: int


class UsageRows:
    """Reads and writes them (implements `core.metering.Meter`)."""

    def __init__(self, postgres: Postgres) -> None:
        """Prepare; nothing is read yet.

        Args:
            postgres: where the rows are.
        """
        self._postgres = postgres

    async def reserve(self, bot: str, declared: LlmDeclared, amount: int, *, least: int | None = None) -> Reserved | None:
        """Set a part of the day aside; None when no such part is left, or there is no such bot.

        Args:
            bot: the bot's name.
            declared: its budget.
            amount: the most that may be taken.
            least: take what is left, if it is no less than this.

        Raises:
            Unavailable: the database is away; nothing was set aside.
        """
        async with self._postgres.unit() as connection:
            day = await connection.fetchrow(_SQL["lock_day"], bot, declared.day, declared.budget > 0, declared.currency)
            if day is None:
                return None
            if day["is_first"]:
                await connection.execute(_SQL["forget"])
            left = declared.day - day["taken"] - await connection.fetchval(_SQL["reserved"], day["bot"], day["day"])
            granted = min(amount, left)
            if granted < (amount if least is None else least):
                await connection.execute(_SQL["refuse"], day["bot"], day["day"])
                return None
            return Reserved(await connection.fetchval(_SQL["reserve"], day["bot"], day["day"], granted), granted)

    async def settle(self, reserved: Reserved, usage: LlmUsage) -> None:
        """Write down what was taken; a second time changes nothing.

        Args:
            reserved: from `reserve`.
            usage: what was taken.

        Raises:
            Unavailable: the database is away.
        """
        taken = (usage.asked, usage.answered, usage.cost, usage.requests, usage.estimated)
        async with self._postgres.unit() as connection:
            await connection.execute(_SQL["settle"], reserved.id, *taken)

    async def today(self, bot: int) -> LlmDay | None:
        """Return what a bot took today; None when it asked nothing.

        Args:
            bot: the bot's number.

        Raises:
            Unavailable: the database is away.
        """
        async with self._postgres.connection() as connection:
            row = await connection.fetchrow(_SQL["today"], bot)
        if row is None:
            return None
        unit = 1_000_000_000 if row["in_money"] else 1
        taken = row["cost"] if row["in_money"] else row["asked"] + row["answered"]
        return LlmDay(
            day=row["day"],
            requests=row["requests"],
            asked=row["asked"],
            answered=row["answered"],
            cost=row["cost"] / unit if row["in_money"] else None,
            currency=row["currency"] if row["in_money"] else "",
            budget=row["budget"] / unit,
            left=max(0, row["budget"] - taken) / unit,
            set_aside=row["reserved"] / unit,
            estimated=row["estimated"],
            refused=row["refused"],
        )
