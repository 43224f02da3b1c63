"""What is sent to a model and what comes back, in the words of chat completions.

https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypeAlias

import msgspec

from botstead.core.errors import HandlerFailed

BILLIONTHS: Final = 1_000_000_000
ROLES: Final = ("system", "developer", "user", "assistant", "tool")
Message: TypeAlias = Mapping[str, Any]
"""One message of a conversation: `{"role": "user", "content": "Hello"}`."""
Asked: TypeAlias = str | Sequence[Message]
"""A question, or a conversation up to the message that is to be answered."""


class ToolCall(msgspec.Struct, frozen=True):
    """The model wants a tool to be called.

    Args:
        id: names it in the answer to it.
        name: of the tool.
        arguments: a JSON object as text, as the model wrote it: perhaps no JSON at all.
    """

    id: str
    name: str
    arguments: str = "{}"


class Usage(msgspec.Struct, frozen=True):
    """What an answer took.

    Args:
        asked: tokens that were sent.
        answered: tokens that came back, those of its reasoning included.
        estimated: whether the server did not say, so that four bytes were taken for a token.
    """

    asked: int = 0
    answered: int = 0
    estimated: bool = False


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a model answered.

    Args:
        text: Markdown, as models write it; may be empty where tools are called.
        calls: tools that it wants called. Whether there are any decides, not `finish`, which servers fill in differently.
        usage: tokens.
        cost: what they cost, by the prices of `[llm]`; 0 without prices.
        currency: of the cost.
        finish: the server's word for why it ended: stop, length, tool_calls; may be empty.
        model: the server's word for the model that answered; may be empty.
    """

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    usage: Usage = Usage()
    cost: Decimal = Decimal(0)
    currency: str = ""
    finish: str = ""
    model: str = ""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One request to a model.

    Args:
        messages: the conversation.
        tools: as JSON schemas.
        max_tokens: of the answer.
        temperature: 0 to 2; None leaves it to the server.
    """

    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Any], ...] = ()
    max_tokens: int = 1_024
    temperature: float | None = None

    @property
    def size(self) -> int:
        """Bytes of what the model reads."""
        return len(msgspec.json.encode(self.messages)) + (len(msgspec.json.encode(self.tools)) if self.tools else 0)


def conversation(asked: Asked, system: str = "") -> tuple[Message, ...]:
    """Make the messages of a request.

    Args:
        asked: a text, or messages.
        system: stands before them.

    Raises:
        HandlerFailed: it is neither, or is empty.
    """
    messages: Iterable[Message] = [{"role": "user", "content": asked}] if isinstance(asked, str) else asked
    found = tuple(_checked(message) for message in messages)
    if not found:
        raise HandlerFailed("llm: there is nothing to answer. Give a text or a list of messages.")
    return ({"role": "system", "content": system}, *found) if system else found


def _checked(message: object) -> Message:
    if not isinstance(message, Mapping) or message.get("role") not in ROLES:
        raise HandlerFailed(f'llm: a message is like {{"role": "user", "content": "Hello"}}, its role one of {", ".join(ROLES)}.')
    return message


def said(answer: Answer) -> Message:
    """Write an answer as a message of the conversation that goes on after it.

    Args:
        answer: with or without calls.
    """
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}} for call in answer.calls
    ]
    return {"role": "assistant", "content": answer.text or None, **({"tool_calls": calls} if calls else {})}
