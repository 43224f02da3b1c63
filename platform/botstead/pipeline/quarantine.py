"""Where messages run that may have taken their process down: apart from all others, one at a time in each of a few processes.

Most of them only stood beside the one that did it. So a process that answers well takes the next one, in milliseconds, and
those that are known to kill wait for all others.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import msgspec

from botstead.core.ports import Effects, Incoming

PLACES = 4
"""Processes at once, of all bots together."""
PLACES_OF_A_BOT = 3
"""At most so many of them are one bot's, so that another one's messages do not wait for what hangs in it."""


class Ward(Protocol):
    """A process for suspects of one bot, and its successor after a death. See `hosted.Ward`."""

    async def handle(self, incoming: Incoming) -> Effects:
        """Run the bot on one event; no other runs meanwhile."""
        ...

    async def end(self) -> None:
        """End the process."""
        ...


class Alone(Protocol):
    """A bot that can run one message apart from others."""

    def ward(self) -> Ward:
        """Make one; no process is started yet."""
        ...


class _Suspect(msgspec.Struct, eq=False):
    """A message and where it runs. `guilty`: it was alone when its process died."""

    bot: int
    alone: Alone
    guilty: bool
    turn: asyncio.Future[None]
    ward: Ward | None = None


class Quarantine:
    """Gives suspects their turns: first those that nothing speaks against, and bots alike."""

    def __init__(self) -> None:
        """Start empty."""
        self._inside: list[_Suspect] = []
        self._waiting: list[_Suspect] = []

    async def run(self, bot: int, alone: Alone, incoming: Incoming, *, claims: int) -> Effects:
        """Run one suspect when it is its turn.

        Args:
            bot: the bot's number.
            alone: the bot.
            incoming: the message.
            claims: deaths that it may be to blame for, 1 or more. The first may have been another's; any further was its own.

        Raises:
            HandlerFailed: as the ward's `handle`; `BotDied` when this message did it.
        """
        suspect = _Suspect(bot, alone, claims > 1, asyncio.get_running_loop().create_future())
        self._waiting.append(suspect)
        self._admit()
        try:
            await suspect.turn
            assert suspect.ward is not None
            return await suspect.ward.handle(incoming)
        finally:
            await self._leave(suspect)

    async def _leave(self, suspect: _Suspect) -> None:
        if suspect.ward is None:
            self._waiting.remove(suspect)
            return
        heir = self._next(leaving=suspect)
        try:
            if heir is not None and heir.bot == suspect.bot:
                self._enter(heir, suspect.ward)
            else:
                await suspect.ward.end()
        finally:
            self._inside.remove(suspect)
            self._admit()

    def _admit(self) -> None:
        while (suspect := self._next()) is not None:
            self._enter(suspect, suspect.alone.ward())

    def _enter(self, suspect: _Suspect, ward: Ward) -> None:
        self._waiting.remove(suspect)
        self._inside.append(suspect)
        suspect.ward = ward
        if not suspect.turn.done():  # cancelled, but not gone yet: it hands on what it was given
            suspect.turn.set_result(None)

    def _next(self, *, leaving: _Suspect | None = None) -> _Suspect | None:
        """Return who may go in, if anybody may; `leaving` counts as gone, and its own bot comes first among equals."""
        inside = [each for each in self._inside if each is not leaving]
        if len(inside) >= PLACES:
            return None
        places = {each.bot: 0 for each in self._waiting}
        for each in inside:
            places[each.bot] = places.get(each.bot, 0) + 1
        guilty = any(each.guilty for each in inside)
        fit = [each for each in self._waiting if places[each.bot] < PLACES_OF_A_BOT and not (guilty and each.guilty)]
        staying = leaving.bot if leaving else None
        return min(fit, key=lambda each: (each.guilty, places[each.bot], each.bot != staying), default=None)
