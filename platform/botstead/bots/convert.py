"""From what people write to what a handler's annotation asks for: int, float, str, bool, Enum. Pure."""

from __future__ import annotations

import enum
import math
import types
from collections.abc import Callable
from typing import Any, TypeAlias, Union, get_args, get_origin

Converter: TypeAlias = Callable[[str], object]

_TRUE = frozenset({"yes", "y", "true", "on", "1"})
_FALSE = frozenset({"no", "n", "false", "off", "0"})


class Unfit(ValueError):
    """What somebody wrote is not what the handler takes; the message is a sentence for that person."""


def converter(annotation: object) -> Converter | None:
    """Return what turns a word into a value of this annotation, or None when there is no such thing.

    Args:
        annotation: `str`, `int`, `float`, `bool`, an `Enum`, or one of these `| None`.
    """
    kind = _without_none(annotation)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _enum(kind)
    return _PLAIN.get(kind) if isinstance(kind, type) else None


def _without_none(annotation: object) -> object:
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        return kinds[0] if len(kinds) == 1 else annotation
    return annotation


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Unfit(f"«{_short(text)}» is not a whole number.") from None


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise Unfit(f"«{_short(text)}» is not a number.")
    return value


def _truth(text: str) -> bool:
    word = text.casefold()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise Unfit(f"«{_short(text)}» is neither yes nor no.")


def _enum(kind: type[enum.Enum]) -> Converter:
    members: dict[str, enum.Enum] = {}
    for member in kind:
        members[member.name.casefold()] = member
        members[str(member.value).casefold()] = member
    choices = ", ".join(str(member.value) for member in kind)

    def convert(text: str) -> enum.Enum:
        found = members.get(text.casefold())
        if found is None:
            raise Unfit(f"«{_short(text)}» is not one of: {choices}.")
        return found

    return convert


def _short(text: str, most: int = 40) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


_PLAIN: dict[Any, Converter] = {str: str, int: _whole, float: _number, bool: _truth}
