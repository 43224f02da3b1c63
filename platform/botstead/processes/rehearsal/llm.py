"""`chat.llm`: the double of the server that `Llm` asks."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final

import msgspec

from botstead.bots.testing import KitClock
from botstead.core.declared import LlmDeclared
from botstead.core.metering import LlmUsage, Reserved
from botstead.integrations.llm.assembly import Assembly
from botstead.integrations.llm.errors import LlmInterrupted, LlmUnavailable
from botstead.integrations.llm.models import Question
from botstead.integrations.llm.server import TOTAL, Server
from botstead.processes.rehearsal.double import Double

USUAL: Final = "This is the test double of a language model."


class LlmDouble(Double, Server):
    """Answers what the test says, in the words of the protocol. `Llm` itself, with its tools and its budget, is the real one."""

    def __init__(self, clock: KitClock) -> None:
        """Build it.

        Args:
            clock: the kit's time.
        """
        Double.__init__(self, clock)
        self._usual: Sequence[str] = (USUAL,)
        self._breaks = False
        self._calls: deque[Mapping[str, Any]] = deque()
        self.asked: list[Question] = []
        """What was asked, oldest first."""

    def returns(self, text: str) -> None:
        """Say what it answers from now on, in one piece.

        Args:
            text: the answer.
        """
        self.streams(text)

    def streams(self, *pieces: str, breaks: bool = False) -> None:
        """Say what it answers from now on, piece by piece.

        Args:
            pieces: of one text.
            breaks: whether the connection breaks after them, in the middle of the answer.
        """
        self._usual = pieces
        self._breaks = breaks

    def calls(self, tool: str, **arguments: object) -> None:
        """Let the next answer be that it wants a tool called; the one after it, again, what `returns` says.

        Args:
            tool: the function's name.
            arguments: what it is called with.
        """
        called = {"name": tool, "arguments": msgspec.json.encode(arguments).decode()}
        self._calls.append({"id": f"call_{len(self._calls) + 1}", "type": "function", "function": called})

    async def stream(
        self, question: Question, assembly: Assembly, *, bot: str, seconds: float = TOTAL
    ) -> AsyncGenerator[str, None]:
        """Answer. See `Server.stream`."""
        del bot
        self.asked.append(question)
        error = self.met(seconds)
        if error is not None:
            raise LlmUnavailable from error
        assembly.asked = True
        if self._calls:
            assembly.add(_chunk({"tool_calls": [{**self._calls.popleft(), "index": 0}]}, "tool_calls"))
            return
        for piece in self._usual:
            yield assembly.add(_chunk({"content": piece}))
        if self._breaks:
            raise LlmInterrupted
        assembly.add(_chunk({}, "stop"))


class KitMeter:
    """Lets a day bring anything, and adds up. Implements `core.metering.Meter`."""

    def __init__(self) -> None:
        """Start a day."""
        self._number = 0
        self.taken = LlmUsage()

    async def reserve(self, bot: str, declared: LlmDeclared, amount: int, *, least: int | None = None) -> Reserved | None:
        """Set it aside."""
        del bot, declared, least
        self._number += 1
        return Reserved(self._number, amount)

    async def settle(self, reserved: Reserved, usage: LlmUsage) -> None:
        """Add it up."""
        del reserved
        self.taken = self.taken + usage


def _chunk(delta: Mapping[str, Any], finish: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return msgspec.json.encode({"object": "chat.completion.chunk", "model": "double", "choices": [choice]}).decode()
