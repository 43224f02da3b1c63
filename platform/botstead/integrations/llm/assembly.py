"""From the chunks of a stream to an answer, also where a server deviates from what is documented.

https://platform.openai.com/docs/api-reference/chat-streaming

Known deviations, all of them taken: a call's index missing, or always 0; the finish reason «stop» or empty though tools are
called; arguments as an object instead of text; usage in every chunk, in one without choices, of zeros, or nowhere; content as a
list of parts; a whole message instead of deltas; an object `error` in the middle of the stream. Reasoning is passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from botstead.integrations.llm.errors import LlmNonsense
from botstead.integrations.llm.models import ToolCall, Usage

MOST_CALLS: Final = 64
LONGEST: Final = 4_000_000
"""Characters of text and arguments of one answer."""


class StreamFailed(Exception):
    """The server says in its stream that it cannot go on."""


class _Growing:
    """One call of a tool while it comes."""

    def __init__(self, identity: str, index: int | None) -> None:
        self.id = identity
        self.index = index
        self.name = ""
        self.arguments = ""

    @property
    def whole(self) -> bool:
        """Whether its arguments are an object already, so that more of them would be too many."""
        try:
            return isinstance(msgspec.json.decode(self.arguments), dict)
        except msgspec.DecodeError:
            return False


class Assembly:
    """Takes the chunks of one answer."""

    def __init__(self) -> None:
        """Begin an answer."""
        self._texts: list[str] = []
        self._calls: list[_Growing] = []
        self._size = 0
        self.finish = ""
        self.model = ""
        self.usage: Usage | None = None
        self.asked = False
        """Whether the server may have begun to work."""
        self.begun = False
        """Whether something of an answer has come."""

    @property
    def text(self) -> str:
        """What it says so far."""
        return "".join(self._texts)

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The calls it holds so far. One without an id gets a number for it."""
        return tuple(
            ToolCall(call.id or f"call_{number}", call.name, call.arguments.strip() or "{}")
            for number, call in enumerate(self._calls, 1)
            if call.name
        )

    @property
    def size(self) -> int:
        """Characters of text and arguments so far."""
        return self._size

    def add(self, data: str) -> str:
        """Take the data of one event, and return the text that it adds.

        Args:
            data: one chunk as JSON, or several on lines of their own.

        Raises:
            StreamFailed: it is an error.
            LlmNonsense: it is no chunk, or the answer grows beyond all measure.
        """
        return "".join(self._add(chunk) for chunk in _chunks(data))

    def _add(self, chunk: Mapping[str, Any]) -> str:
        if chunk.get("error"):
            raise StreamFailed(_word(chunk["error"]))
        self.usage = _usage(chunk.get("usage")) or self.usage
        if isinstance(chunk.get("model"), str):
            self.model = chunk["model"]
        choice = _choice(chunk.get("choices"))
        if isinstance(choice.get("finish_reason"), str) and choice["finish_reason"]:
            self.finish = choice["finish_reason"]
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            delta = choice.get("message")
        return self._take(delta) if isinstance(delta, dict) else ""

    def _take(self, delta: Mapping[str, Any]) -> str:
        text = _text(delta.get("content"))
        calls = delta.get("tool_calls")
        if text:
            self._grow(len(text))
            self._texts.append(text)
        for fragment in calls if isinstance(calls, list) else ():
            if isinstance(fragment, dict):
                self._add_call(fragment)
        return text

    def _add_call(self, fragment: Mapping[str, Any]) -> None:
        given = fragment.get("function")
        function: Mapping[str, Any] = given if isinstance(given, dict) else {}
        name = function.get("name") if isinstance(function.get("name"), str) else ""
        call = self._called(fragment, str(name))
        arguments = function.get("arguments")
        if name and name != call.name and not call.arguments:
            call.name += str(name)
        if isinstance(arguments, dict):
            arguments = msgspec.json.encode(arguments).decode()
        if isinstance(arguments, str) and arguments:
            self._grow(len(arguments))
            call.arguments += arguments

    def _called(self, fragment: Mapping[str, Any], name: str) -> _Growing:
        """Find the call that a fragment goes on with, or begin one."""
        identity = fragment.get("id") if isinstance(fragment.get("id"), str) else ""
        index = fragment.get("index") if isinstance(fragment.get("index"), int) else None
        known = self._known(str(identity), index)
        if known is not None and not _is_new(known, str(identity), name, index=index):
            known.id = known.id or str(identity)
            return known
        if len(self._calls) >= MOST_CALLS:
            raise LlmNonsense(f"more than {MOST_CALLS} calls in one answer")
        self.begun = True
        self._calls.append(_Growing(str(identity), index))
        return self._calls[-1]

    def _known(self, identity: str, index: int | None) -> _Growing | None:
        if identity:
            found = next((call for call in self._calls if call.id == identity), None)
            if found is not None:
                return found
        if index is None:
            return self._calls[-1] if self._calls else None
        return next((call for call in reversed(self._calls) if call.index == index), None)

    def _grow(self, characters: int) -> None:
        self.begun = True
        self._size += characters
        if self._size > LONGEST:
            raise LlmNonsense(f"the answer is longer than {LONGEST} characters")


def _is_new(known: _Growing, identity: str, name: str, *, index: int | None) -> bool:
    """Whether a fragment begins another call than the one whose place it names."""
    if identity and known.id:
        return identity != known.id
    return bool(name) and bool(known.name) and (index is None or known.whole)


def _chunks(data: str) -> list[Mapping[str, Any]]:
    try:
        return [_chunk(data)]
    except LlmNonsense:
        lines = [line for line in data.split("\n") if line.strip() and line.strip() != DONE]
        if len(lines) < 2:
            raise
        return [_chunk(line) for line in lines]


DONE: Final = "[DONE]"
"""The data of the last event."""


def _chunk(data: str) -> Mapping[str, Any]:
    try:
        chunk = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise LlmNonsense("a chunk is no JSON") from error
    if not isinstance(chunk, dict):
        raise LlmNonsense("a chunk is no object")
    return chunk


def _choice(choices: object) -> Mapping[str, Any]:
    """Return the first choice; we never ask for more than one."""
    found = [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []
    return next((choice for choice in found if not choice.get("index")), {})


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") in {"text", "output_text"}]
    return "".join(text for text in texts if isinstance(text, str))


def _usage(given: object) -> Usage | None:
    """Read a usage object; None where it says nothing."""
    if not isinstance(given, dict):
        return None
    asked, answered = _count(given.get("prompt_tokens")), _count(given.get("completion_tokens"))
    return Usage(asked, answered) if asked or answered else None


def _count(given: object) -> int:
    return given if isinstance(given, int) and not isinstance(given, bool) and 0 <= given <= 10**9 else 0


def _word(error: object) -> str:
    """Return the type or code of an error, which is a word of the server's; never its message, which may quote the person."""
    words = [error.get("code"), error.get("type")] if isinstance(error, dict) else []
    return next((word[:60] for word in words if isinstance(word, str) and word.replace("_", "").isalnum()), "error")
