"""Python functions as tools that a model may call: their schema, and calls of them with what the model wrote."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias, get_type_hints

import msgspec

from botstead.core.errors import HandlerFailed
from botstead.integrations.llm.models import Message, ToolCall

Function: TypeAlias = Callable[..., Any]
LONGEST_RESULT: Final = 65_536
"""Characters of what one call returned that the model reads."""
_KINDS: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Tool:
    """One function that a model may call. Its docstring tells the model what it is for."""

    def __init__(self, function: Function) -> None:
        """Read its signature.

        Args:
            function: with or without `async`; every parameter has a type that JSON can express.

        Raises:
            HandlerFailed: a parameter has no type, or one that no JSON schema describes.
        """
        self.name = getattr(function, "__name__", "")
        self._function = function
        self._arguments = self._struct()
        self.schema: Mapping[str, Any] = {
            "type": "function",
            "function": {
                "name": self.name,
                "description": inspect.getdoc(function) or self.name,
                "parameters": _schema(self._arguments, self.name),
            },
        }

    def _struct(self) -> type[msgspec.Struct]:
        try:
            hints = get_type_hints(self._function)
            parameters = inspect.signature(self._function).parameters.values()
        except (NameError, TypeError, ValueError) as error:
            raise HandlerFailed(f"llm: the tool {self.name}() cannot be read: {error}") from error
        fields: list[Any] = []
        for parameter in parameters:
            if parameter.kind not in _KINDS or parameter.name not in hints:
                raise HandlerFailed(f"llm: the tool {self.name}() needs a type for each parameter; {parameter} has none.")
            default = msgspec.NODEFAULT if parameter.default is parameter.empty else parameter.default
            fields.append((parameter.name, hints[parameter.name], msgspec.field(default=default)))
        return msgspec.defstruct(self.name or "tool", fields, kw_only=True, forbid_unknown_fields=True)

    async def call(self, arguments: str) -> str:
        """Call the function, and return what the model is to read. Arguments that do not fit are told to the model.

        A function without `async` runs in a thread.

        Args:
            arguments: as the model wrote them.

        Raises:
            Exception: whatever the function raised.
        """
        try:
            given = msgspec.convert(msgspec.json.decode(arguments), self._arguments, strict=False)
        except (msgspec.MsgspecError, RecursionError) as error:
            return f"These arguments do not fit: {error}"
        values = {name: getattr(given, name) for name in self._arguments.__struct_fields__}
        if inspect.iscoroutinefunction(self._function):
            return _text(await self._function(**values))
        return _text(await asyncio.to_thread(self._function, **values))


class Tools:
    """The functions of one conversation, by name."""

    def __init__(self, functions: Sequence[Function] = ()) -> None:
        """Read them.

        Args:
            functions: see `Tool`.

        Raises:
            HandlerFailed: see `Tool`; or two have one name.
        """
        made = [Tool(function) for function in functions]
        self._tools = {tool.name: tool for tool in made}
        if len(self._tools) < len(made) or not all(self._tools):
            raise HandlerFailed("llm: each tool is a function with a name of its own.")

    @property
    def schemas(self) -> tuple[Mapping[str, Any], ...]:
        """What the model is told of them."""
        return tuple(tool.schema for tool in self._tools.values())

    async def answer(self, call: ToolCall) -> Message:
        """Do what the model asks for, and return the message that tells it what came out.

        Args:
            call: a tool that is not there is told to the model.

        Raises:
            Exception: whatever the tool raised.
        """
        tool = self._tools.get(call.name)
        content = f"There is no tool {call.name[:64]}." if tool is None else await tool.call(call.arguments)
        return {"role": "tool", "tool_call_id": call.id, "content": content[:LONGEST_RESULT]}


def _schema(arguments: type[msgspec.Struct], name: str) -> Mapping[str, Any]:
    try:
        (found,), components = msgspec.json.schema_components([arguments], ref_template="#/$defs/{name}")
    except TypeError as error:
        raise HandlerFailed(f"llm: a parameter of the tool {name}() has a type that JSON cannot express: {error}") from error
    own = components.pop(found["$ref"].rpartition("/")[2])
    own.pop("title", None)
    return {**own, **({"$defs": components} if components else {})}


def _text(result: object) -> str:
    if isinstance(result, str):
        return result
    try:
        return msgspec.json.encode(result).decode()
    except (TypeError, ValueError):
        return str(result)
