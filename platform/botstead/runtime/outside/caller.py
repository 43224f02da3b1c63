"""For whom the running code calls outside services: the bot, and until when its message can wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, NamedTuple


class Caller(NamedTuple):
    """Who calls.

    Args:
        bot: the bot's name; empty for the platform itself.
        until: monotonic seconds at which the run's own deadline passes.
    """

    bot: str = ""
    until: float = float("inf")


NOBODY: Final = Caller()
caller: Final[ContextVar[Caller]] = ContextVar("caller", default=NOBODY)
"""Set by the runner for the time of one run."""


@contextmanager
def calling(bot: str, until: float = float("inf")) -> Iterator[None]:
    """Let what runs inside call for a bot.

    Args:
        bot: its name.
        until: monotonic seconds; see `Caller`.
    """
    before = caller.set(Caller(bot, until))
    try:
        yield
    finally:
        caller.reset(before)
