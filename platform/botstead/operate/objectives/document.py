"""YAML documents that people write, read into structs; each mistake is named with file and line. Pure but for `read`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from botstead.core.errors import ConfigurationError

Document = TypeVar("Document")

INSTALLED = "alerts"
"""Where a wheel holds the folder, beside `operate`'s modules."""
TREE = Path(__file__).parents[4] / "alerts"
"""Where the source tree holds it."""
_PLACE = re.compile(r" - at `(\$[^`]*)`$")
_UNKNOWN = re.compile(r"unknown field `([^`]*)`")
_STEP = re.compile(r"(\.[^.\[]+|\[[^\]]*\])$")


def shipped(name: str) -> Path:
    """Return where a file of `alerts/` is: in the installed package, or in the source tree.

    Args:
        name: such as `objectives.yml`.
    """
    installed = Path(str(resources.files("botstead.operate"))) / INSTALLED / name
    return installed if installed.exists() else TREE / name


def read(path: Path, kind: type[Document]) -> Document:
    """Read a file.

    Args:
        path: where it is.
        kind: what it holds.

    Raises:
        ConfigurationError: it cannot be read, or holds something else; the message names file and line.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}.") from error
    return parse(text, kind, name=str(path))


def parse(text: str, kind: type[Document], *, name: str) -> Document:
    """Read a document.

    Args:
        text: YAML.
        kind: what it holds: a msgspec struct that forbids unknown fields.
        name: what messages call it.

    Raises:
        ConfigurationError: it holds something else; the message names the line.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        lines: dict[str, int] = {}
        value = _value(node, "$", lines) if node else None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigurationError(f"{name} line {line}: {error.problem or 'this is no YAML'}.") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigurationError(f"{name}: this is no YAML: {error}.") from error
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        message, place = _split(str(error))
        field = place.removeprefix("$.").removeprefix("$")
        advice = _advice(message, kind)
        raise ConfigurationError(
            f"{name} line {_line(place, message, lines)}: {f'{field}: ' if field else ''}{message}.{advice}"
        ) from error


def _value(node: yaml.Node, place: str, lines: dict[str, int]) -> Any:
    """Build a value, and note where each part of it stands."""
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        found: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = _scalar(key_node)
            if key in found:
                raise yaml.MarkedYAMLError(problem=f"{key} stands here twice", problem_mark=key_node.start_mark)
            lines[f"{place}.{key}"] = key_node.start_mark.line + 1
            found[key] = _value(value_node, f"{place}.{key}", lines)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, f"{place}[{number}]", lines) for number, item in enumerate(node.value)]
    return _scalar(node)


def _scalar(node: yaml.Node) -> Any:
    if not isinstance(node, yaml.ScalarNode):
        raise yaml.MarkedYAMLError(problem="a name is a word", problem_mark=node.start_mark)
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node)
    finally:
        loader.dispose()


def _split(message: str) -> tuple[str, str]:
    found = _PLACE.search(message)
    return (message[: found.start()], found[1]) if found else (message, "$")


def _line(place: str, message: str, lines: dict[str, int]) -> int:
    unknown = _UNKNOWN.search(message)
    for candidate in (f"{place}.{unknown[1]}" if unknown else place, place):
        if candidate in lines:
            return lines[candidate]
    while place not in lines and _STEP.search(place):
        place = _STEP.sub("", place)
    return lines.get(place, 1)


def _advice(message: str, kind: object) -> str:
    unknown = _UNKNOWN.search(message)
    near = difflib.get_close_matches(unknown[1], sorted(set(_fields(kind))), n=1) if unknown else []
    return f" Did you mean {near[0]}?" if near else ""


def _fields(kind: object) -> Iterator[str]:
    """Name every field of a struct and of the structs in it."""
    pending, seen = [msgspec.inspect.type_info(kind)], set()
    while pending:
        info = pending.pop()
        if isinstance(info, msgspec.inspect.StructType):
            if info.cls in seen:
                continue
            seen.add(info.cls)
            yield from (field.encode_name for field in info.fields)
            pending += [field.type for field in info.fields]
        elif isinstance(info, msgspec.inspect.UnionType):
            pending += info.types
        elif isinstance(info, msgspec.inspect.VarTupleType | msgspec.inspect.ListType):
            pending.append(info.item_type)
        elif isinstance(info, msgspec.inspect.DictType):
            pending.append(info.value_type)
