"""One request to a server with chat completions: its body, deadlines, tries before the first token, and what refusals mean.

https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final

import msgspec

from botstead.core.errors import EgressError, EgressRefused, EgressResting, EgressUnsent
from botstead.core.messages import Call
from botstead.core.ports import Streamed
from botstead.core.secret import Secret
from botstead.integrations.llm.assembly import DONE, Assembly, StreamFailed
from botstead.integrations.llm.errors import LlmInterrupted, LlmNonsense, LlmRefused, LlmUnavailable
from botstead.integrations.llm.models import Question
from botstead.integrations.llm.sse import Events
from botstead.runtime.outside import Service

FIRST: Final = 60.0
"""Seconds until a server begins its answer: it may have to load the model, and reads all that was said."""
IDLE: Final = 30.0
TOTAL: Final = 300.0
TRIES: Final = 3
FIRST_WAIT: Final = 0.5
"""Seconds before the second try, doubled before the third, each times a random number from 0.5 to 1."""
LONGEST_WAIT: Final = 10.0
"""A server that asks for a longer pause is not asked again for this answer."""
_AGAIN: Final = frozenset({429, 500, 502, 503, 504})
_BODY_LIMIT: Final = 32 * 1_048_576
_ERROR_LIMIT: Final = 65_536
_SECRET: Final = "llm_key"  # noqa: S105  # a placeholder's name


class _Again(Exception):
    """Another try may do better."""

    def __init__(self, cause: Exception | str, *, after: float = 0.0) -> None:
        super().__init__(str(cause))
        self.after = after


class Dialect:
    """What a server was found not to understand. One object a server: what it refused once, it is not sent again."""

    def __init__(self) -> None:
        """Believe the documentation."""
        self.tells_usage = True
        self.limit = "max_tokens"

    def learn(self, status: int, words: str) -> bool:
        """Take a refusal as a lesson; returns whether the request now is another one.

        Args:
            status: of the answer.
            words: its body.
        """
        if status not in {400, 422}:
            return False
        if self.tells_usage and "stream_options" in words:
            self.tells_usage = False
            return True
        if self.limit == "max_tokens" and "max_completion_tokens" in words:
            self.limit = "max_completion_tokens"
            return True
        return False


class Server:
    """Asks one model at one server."""

    def __init__(  # noqa: PLR0913  who is asked, and how
        self,
        service: Service,
        *,
        base: str,
        model: str,
        key: Callable[[str], Secret | None],
        at: str = "",
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Build it.

        Args:
            service: the way out.
            base: `https://host/v1`.
            model: its name at the server.
            key: a bot's key as of now, or None for a server that wants none.
            at: the server's host: it rests for itself when it fails.
            chance: a random number from 0 to 1, for jitter.
        """
        self._service = service
        self._at = at
        self._url = f"{base.rstrip('/')}/chat/completions"
        self._model = model
        self._key = key
        self._chance = chance
        self._dialect = Dialect()

    async def stream(
        self, question: Question, assembly: Assembly, *, bot: str, seconds: float = TOTAL
    ) -> AsyncGenerator[str, None]:
        """Ask, and give the text of the answer while it comes; the rest stands in `assembly`.

        Whoever stops reading ends the request. Tried again only as long as nothing of an answer has come.

        Args:
            question: what is asked.
            assembly: takes the answer; a fresh one.
            bot: who asks.
            seconds: all of it; the message's own deadline counts too.

        Raises:
            LlmUnavailable: no answer came.
            LlmInterrupted: the answer broke off.
            LlmNonsense: what came is no answer.
            LlmRefused: the server says that the request is wrong.
        """
        loop = asyncio.get_running_loop()
        over = loop.time() + seconds
        for number in range(1, TRIES + 1):
            try:
                async with aclosing(self._once(question, assembly, self._key(bot), over - loop.time())) as pieces:
                    async for piece in pieces:
                        yield piece
            except _Again as again:
                wait = max(again.after, FIRST_WAIT * 2 ** (number - 1) * (0.5 + self._chance() / 2))
                if number == TRIES or wait > LONGEST_WAIT or loop.time() + wait >= over:
                    raise LlmUnavailable from again
                await asyncio.sleep(wait)
            else:
                return

    async def _once(
        self, question: Question, assembly: Assembly, key: Secret | None, seconds: float
    ) -> AsyncGenerator[str, None]:
        secrets = {} if key is None else {_SECRET: key}
        assembly.asked = True
        try:
            async with self._service.stream(
                self._call(question, key), secrets, seconds=seconds, first=FIRST, idle=IDLE
            ) as answer:
                if answer.status != 200:
                    assembly.asked = False
                    await self._refused(answer)
                async with aclosing(_pieces(answer, assembly)) as pieces:
                    async for piece in pieces:
                        yield piece
        except (EgressError, StreamFailed) as error:
            raise _meant(error, assembly) from error

    def _call(self, question: Question, key: Secret | None) -> Call:
        headers = {"content-type": "application/json", "accept": "text/event-stream, application/json"}
        if key is not None:
            headers["authorization"] = f"Bearer {{secret:{_SECRET}}}"
        body = msgspec.json.encode(self._body(question))
        return Call(method="POST", url=self._url, headers=headers, body=body, limit=_BODY_LIMIT)

    def _body(self, question: Question) -> Mapping[str, Any]:
        dialect = self._dialect
        body: dict[str, Any] = {
            "model": self._model,
            "messages": question.messages,
            "stream": True,
            dialect.limit: question.max_tokens,
        }
        if dialect.tells_usage:
            body["stream_options"] = {"include_usage": True}
        if question.tools:
            body["tools"] = question.tools
        if question.temperature is not None:
            body["temperature"] = question.temperature
        return body

    async def _refused(self, answer: Streamed) -> None:
        """Say what an answer without a model's words means: always raises."""
        status, after = answer.status, _seconds(answer.headers)
        words = bytearray()
        async for piece in answer:
            words += piece
            if len(words) > _ERROR_LIMIT:
                break
        if self._dialect.learn(status, words.decode(errors="replace")):
            raise _Again(f"status {status}, in another dialect")
        if status in _AGAIN:
            raise _Again(f"status {status}", after=after)
        raise LlmRefused(f"The model server refuses: status {status}. Check base, model and key of the bot's [llm].")


async def _pieces(answer: Streamed, assembly: Assembly) -> AsyncGenerator[str, None]:
    """Read a stream to its end, or an answer that came in one piece."""
    if answer.headers.get("content-type", "").partition(";")[0].strip().casefold() == "application/json":
        whole = b"".join([piece async for piece in answer])
        if text := assembly.add(whole.decode(errors="replace")):
            yield text
        return
    events = Events()
    async for piece in answer:
        for data in events.feed(piece):
            if data.strip() == DONE:
                return
            if text := assembly.add(data):
                yield text
    for data in events.end():
        if data.strip() != DONE and (text := assembly.add(data)):
            yield text
    if not assembly.begun and not assembly.finish:
        raise LlmNonsense("the stream ended without an answer")


def _meant(error: Exception, assembly: Assembly) -> Exception:
    """Say what a failure means: a reason to try again only while nothing has come."""
    if assembly.begun:
        return LlmInterrupted()
    if isinstance(error, EgressUnsent | EgressRefused):
        assembly.asked = False
    if isinstance(error, EgressUnsent) and not isinstance(error, EgressResting):
        return _Again(error)
    return LlmUnavailable()


def _seconds(headers: Mapping[str, str]) -> float:
    """Read how long a server wants to be left alone: `retry-after-ms`, or `Retry-After` in seconds (RFC 9110, 10.2.3)."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        if value.isascii() and value.isdigit() and len(value) <= 9:
            return int(value) * unit
    return 0.0
