"""What answers take: estimates before a call, what is counted after it, and the purse of a bot that runs in its own process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from botstead.core.declared import LlmDeclared
from botstead.core.metering import LlmUsage
from botstead.integrations.llm.models import BILLIONTHS, Question, ToolCall, Usage
from botstead.telemetry.catalog import LLM_COST, LLM_REFUSALS, LLM_TOKENS, register

BYTES_OF_TOKEN: Final = 4
"""Of usual text, for servers that do not count."""
FEWEST_BYTES: Final = 2
"""Of a token, for the estimate that is reserved: more than most text takes, so that calls side by side stay below the budget."""


def start(bot: str, model: str) -> None:
    """Show a bot's figures at 0.

    Args:
        bot: its name.
        model: as declared.
    """
    register("model", model)
    LLM_TOKENS.at(bot, model, "in")
    LLM_COST.at(bot, model)
    LLM_REFUSALS.at(bot, model)


def highest(question: Question) -> Usage:
    """Return the most that a question is expected to take.

    Args:
        question: what will be asked.
    """
    return Usage(question.size // FEWEST_BYTES + 1, question.max_tokens, estimated=True)


def estimated(question: Question, text: str, calls: Sequence[ToolCall]) -> Usage:
    """Return what an answer took where the server does not say.

    Args:
        question: what was asked.
        text: what was answered so far.
        calls: what tools were called so far.
    """
    answered = len(text.encode()) + sum(len(call.name) + len(call.arguments.encode()) for call in calls)
    return Usage(-(-question.size // BYTES_OF_TOKEN), -(-answered // BYTES_OF_TOKEN), estimated=True)


def taken(declared: LlmDeclared, usage: Usage) -> LlmUsage:
    """Return usage as it is kept: with its cost.

    Args:
        declared: the prices.
        usage: tokens.
    """
    cost = declared.cost(usage.asked, usage.answered)
    return LlmUsage(asked=usage.asked, answered=usage.answered, cost=cost, requests=1, estimated=int(usage.estimated))


def count(bot: str, model: str, usage: LlmUsage) -> None:
    """Count what an answer took.

    Args:
        bot: the bot's name.
        model: as declared.
        usage: of one answer or several.
    """
    LLM_TOKENS.at(bot, model, "in").inc(usage.asked)
    LLM_TOKENS.at(bot, model, "out").inc(usage.answered)
    LLM_COST.at(bot, model).inc(usage.cost / BILLIONTHS)


def refused(bot: str, model: str) -> None:
    """Count a question that was not asked, because there was no budget left.

    Args:
        bot: the bot's name.
        model: as declared.
    """
    LLM_REFUSALS.at(bot, model).inc()
