"""`Llm`: what handlers ask. Every answer is metered; when the day's budget is used up, nothing is asked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from decimal import Decimal
from functools import partial
from typing import Final

import msgspec

from botstead.core.declared import LlmDeclared
from botstead.core.errors import Unavailable
from botstead.core.metering import LlmUsage, Meter, Reserved
from botstead.core.ports import Incoming
from botstead.integrations.llm import meter as metering
from botstead.integrations.llm.assembly import Assembly
from botstead.integrations.llm.errors import LlmLimit, LlmSpent, LlmUnavailable
from botstead.integrations.llm.models import BILLIONTHS, Answer, Asked, Message, Question, Usage, conversation, said
from botstead.integrations.llm.server import TOTAL, Server
from botstead.integrations.llm.tools import Function, Tools
from botstead.runtime.tasks import Tasks, insist
from botstead.telemetry.logs import event

ROUNDS: Final = 5
"""Times that tools are called before the answer must be there."""
SETTLE_TRIES: Final = 5
SETTLE_WAIT: Final = 1.0
"""Seconds between two tries to write down what was taken. What cannot be written stays reserved."""

logger = logging.getLogger(__name__)


class LanguageModel:
    """The language model of one bot. Called with an event, it gives that run's `Llm`."""

    def __init__(self, declared: LlmDeclared, *, server: Server, meter: Meter) -> None:
        """Build it; `processes/` does.

        Args:
            declared: its `[llm]`, with nothing left open.
            server: who is asked.
            meter: what was taken so far.
        """
        self.declared = declared
        self.server = server
        self._meter = meter
        self._settling = Tasks(on_failure=_not_settled)

    def __call__(self, incoming: Incoming) -> Llm:
        """Return what the handlers of one run ask."""
        metering.start(incoming.bot, self.declared.model)
        return Llm(self, incoming.bot)

    async def reserve(self, bot: str, usage: Usage) -> Reserved:
        """Set the most aside that a question may take.

        Args:
            bot: the bot's name.
            usage: the most.

        Raises:
            LlmSpent: so much is not left of the day.
            LlmUnavailable: the meter cannot be read.
        """
        amount = self.declared.amount(usage.asked, usage.answered)
        try:
            reserved = await self._meter.reserve(bot, self.declared, amount)
        except Unavailable as error:
            raise LlmUnavailable from error
        if reserved is None:
            metering.refused(bot, self.declared.model)
            raise LlmSpent
        return reserved

    async def settle(self, bot: str, reserved: Reserved, usage: LlmUsage) -> None:
        """Write down what was taken, also when the run that asked is cancelled meanwhile.

        Args:
            bot: the bot's name.
            reserved: from `reserve`.
            usage: what was taken.
        """
        metering.count(bot, self.declared.model, usage)
        await asyncio.shield(self._settling.start("llm-settle", self._settle(bot, reserved, usage)))

    async def _settle(self, bot: str, reserved: Reserved, usage: LlmUsage) -> None:
        if not await insist(partial(self._meter.settle, reserved, usage), tries=SETTLE_TRIES, wait=SETTLE_WAIT):
            event(logger, "llm_usage_not_kept", level=logging.ERROR, bot=bot)


class Llm:
    """A language model, for handlers: `llm: Llm` in a handler's parameters, `[llm]` in `bot.toml`.

    What goes wrong is an exception whose sentence the person reads, unless the handler catches it: see errors.py.
    """

    def __init__(self, model: LanguageModel, bot: str) -> None:
        """Build it; `LanguageModel` does, one for each run.

        Args:
            model: the bot's.
            bot: the bot's name.
        """
        self._model = model
        self._bot = bot
        self._used = 0

    async def ask(  # noqa: PLR0913  # the words of the protocol
        self,
        prompt: Asked,
        *,
        system: str = "",
        tools: Sequence[Function] = (),
        max_tokens: int = 0,
        temperature: float | None = None,
        seconds: float = TOTAL,
    ) -> Answer:
        """Ask, and wait for the whole answer. Tools that it wants called stand in `calls`; `run` calls them.

        Args:
            prompt: a text, or messages such as `{"role": "user", "content": "Hello"}`.
            system: what the model is to be, before everything else.
            tools: functions that it may want called; their types and docstrings describe them.
            max_tokens: of the answer; 0: that of `bot.toml`.
            temperature: 0 to 2; None leaves it to the server.
            seconds: all of it; the message's own deadline counts too.

        Raises:
            LlmError: see errors.py. Left alone, its sentence becomes the reply.
            LlmRefused: the server says that the request is wrong; the operator reads why.
        """
        question = self._question(conversation(prompt, system), Tools(tools), max_tokens, temperature)
        return await self._whole(question, seconds)

    async def stream(
        self, prompt: Asked, *, system: str = "", max_tokens: int = 0, temperature: float | None = None, seconds: float = TOTAL
    ) -> AsyncGenerator[str, None]:
        """Ask, and give pieces of text as they come. Stop reading, and the server is told to stop.

        Args:
            prompt: see `ask`.
            system: see `ask`.
            max_tokens: see `ask`.
            temperature: see `ask`.
            seconds: see `ask`.

        Raises:
            LlmError: as `ask`; in the middle of the answer `LlmInterrupted`.
        """
        question = self._question(conversation(prompt, system), Tools(), max_tokens, temperature)
        async with aclosing(self._answering(question, Assembly(), seconds)) as pieces:
            async for piece in pieces:
                yield piece

    async def run(  # noqa: PLR0913  # what bounds it
        self,
        prompt: Asked,
        *,
        tools: Sequence[Function],
        system: str = "",
        rounds: int = ROUNDS,
        seconds: float = TOTAL,
        tokens: int = 0,
        money: str | Decimal = "",
        max_tokens: int = 0,
    ) -> Answer:
        """Ask, call the tools that the model wants called, tell it what came out, until it answers in words.

        Args:
            prompt: see `ask`.
            tools: functions, with `async` or without; what one raises ends the run.
            system: see `ask`.
            rounds: times that tools are called, at most.
            seconds: all of it, tools included.
            tokens: asked and answered together, at most; 0: no limit but the budget's.
            money: such as "0.05", at most, in the currency of `bot.toml`; empty: no limit but the budget's.
            max_tokens: of each answer.

        Returns:
            The last answer, with the usage and cost of all.

        Raises:
            LlmLimit: it was not done within these limits.
            LlmError: as `ask`.
        """
        limits = _Limits(tokens, int(Decimal(money or 0) * BILLIONTHS))
        try:
            async with asyncio.timeout(seconds) as deadline:
                return await self._rounds(conversation(prompt, system), Tools(tools), rounds, limits, max_tokens)
        except TimeoutError as error:
            if deadline.expired():
                raise LlmLimit from error
            raise

    async def _rounds(self, messages: tuple[Message, ...], tools: Tools, rounds: int, limits: _Limits, max_tokens: int) -> Answer:
        for _ in range(rounds + 1):
            answer = await self._whole(self._question(messages, tools, max_tokens, None), TOTAL)
            limits.add(answer)
            if not answer.calls:
                return limits.whole(answer)
            limits.require_room()
            messages = (*messages, said(answer), *[await tools.answer(call) for call in answer.calls])
        raise LlmLimit

    def _question(self, messages: tuple[Message, ...], tools: Tools, max_tokens: int, temperature: float | None) -> Question:
        most = max_tokens or self._model.declared.max_tokens
        return Question(messages=messages, tools=tools.schemas, max_tokens=most, temperature=temperature)

    async def _whole(self, question: Question, seconds: float) -> Answer:
        assembly = Assembly()
        async with aclosing(self._answering(question, assembly, seconds)) as pieces:
            async for _ in pieces:
                pass
        declared = self._model.declared
        usage = assembly.usage or metering.estimated(question, assembly.text, assembly.calls)
        return Answer(
            text=assembly.text,
            calls=assembly.calls,
            usage=usage,
            cost=Decimal(declared.cost(usage.asked, usage.answered)) / BILLIONTHS,
            currency=declared.currency,
            finish=assembly.finish,
            model=assembly.model,
        )

    async def _answering(self, question: Question, assembly: Assembly, seconds: float) -> AsyncGenerator[str, None]:
        """Reserve, ask, and settle, however it ends."""
        model = self._model
        highest = metering.highest(question)
        if self._used + model.declared.amount(highest.asked, highest.answered) > model.declared.of_message:
            metering.refused(self._bot, model.declared.model)
            raise LlmLimit
        reserved = await model.reserve(self._bot, highest)
        try:
            async with aclosing(model.server.stream(question, assembly, bot=self._bot, seconds=seconds)) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            usage = LlmUsage()
            if assembly.asked:
                found = assembly.usage or metering.estimated(question, assembly.text, assembly.calls)
                usage = metering.taken(model.declared, found)
            self._used += usage.amount(model.declared)
            await model.settle(self._bot, reserved, usage)


class _Limits:
    """What one `run` has taken so far, and may take."""

    def __init__(self, tokens: int, money: int) -> None:
        self._tokens = tokens
        self._money = Decimal(money) / BILLIONTHS
        self._usage = Usage()
        self._cost = Decimal(0)

    def add(self, answer: Answer) -> None:
        usage = self._usage
        self._usage = Usage(
            usage.asked + answer.usage.asked,
            usage.answered + answer.usage.answered,
            estimated=usage.estimated or answer.usage.estimated,
        )
        self._cost += answer.cost

    def require_room(self) -> None:
        if self._tokens and self._usage.asked + self._usage.answered >= self._tokens:
            raise LlmLimit
        if self._money and self._cost >= self._money:
            raise LlmLimit

    def whole(self, answer: Answer) -> Answer:
        return msgspec.structs.replace(answer, usage=self._usage, cost=self._cost)


def _not_settled(task: str, error: BaseException) -> None:
    event(logger, f"{task}_failed", level=logging.ERROR, exception=error)
