"""What the Bot API takes: every request is held to its published schema, and to the limits that stand in prose.

The schema is read from `../shared/specs/telegram-bot-api.json` beside the repository. Without that file only the limits in prose
are checked, and `Rules.has_schema` says so.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

SCHEMA = Path(__file__).resolve().parents[3] / "shared" / "specs" / "telegram-bot-api.json"

Check = Callable[[Any, str], list[str]]
"""Looks at a value; the name says where it stands. Returns what is wrong with it."""

UPLOAD = object()
"""Stands for a file that came as multipart."""

_TAGS = frozenset(
    {"b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "span", "a", "code", "pre", "blockquote"}
    | {"tg-spoiler", "tg-emoji", "tg-time"}
)
_TAG = re.compile(
    r"<(?P<end>/?)(?P<name>[a-zA-Z][a-zA-Z0-9-]*)(?P<attributes>(?:\s+[a-zA-Z-]+(?:=(?:\"[^\"<>]*\"|'[^'<>]*'))?)*)\s*>"
)
_PRIMITIVES: Mapping[str, tuple[type, ...]] = {"Integer": (int,), "String": (str,), "Boolean": (bool,), "Float": (int, float)}


class Unparsable(ValueError):
    """Telegram cannot parse the entities of a text."""


def utf16(text: str) -> int:
    """Length as Telegram counts it."""
    return len(text.encode("utf-16-le")) // 2


def without_tags(text: str) -> str:
    """What is left of an HTML text when Telegram has parsed it."""
    out: list[str] = []
    opened: list[str] = []
    position = 0
    for at in re.finditer("<", text):
        if at.start() < position:
            continue
        tag = _TAG.match(text, at.start())
        if tag is None or tag["name"].lower() not in _TAGS:
            raise Unparsable(f"can't parse entities: Unsupported start tag at byte offset {at.start()}")
        out.append(text[position : at.start()])
        position = tag.end()
        if not tag["end"]:
            opened.append(tag["name"])
        elif not opened or opened.pop() != tag["name"]:
            raise Unparsable(f"can't parse entities: Unmatched end tag at byte offset {at.start()}")
    if opened:
        raise Unparsable(f"can't parse entities: Can't find end tag corresponding to start tag {opened[-1]}")
    return "".join(html.unescape(piece) for piece in [*out, text[position:]])


class Rules:
    """Checks requests."""

    def __init__(self, schema: Path = SCHEMA) -> None:
        document = json.loads(schema.read_text()) if schema.exists() else {"methods": {}, "types": {}}
        self._methods: dict[str, Any] = document["methods"]
        self._types: dict[str, Any] = document["types"]
        self._made: dict[tuple[str, ...], Check] = {}

    @property
    def has_schema(self) -> bool:
        """Whether the published schema was found."""
        return bool(self._methods)

    def method(self, name: str) -> str | None:
        """The method's proper name; Telegram does not mind the case."""
        if not self.has_schema or name in self._methods:
            return name
        return {known.lower(): known for known in self._methods}.get(name.lower())

    def typed(self, method: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters that came as text (query, form), as the JSON they stand for."""
        kinds = {field["name"]: field["types"] for field in self._methods.get(method, {}).get("fields", ())}
        return {name: _typed(value, kinds.get(name, ["String"])) for name, value in fields.items()}

    def violations(self, method: str, fields: Mapping[str, Any]) -> list[str]:
        """What is wrong with a request by the schema."""
        if method not in self._methods:
            return [f"{method}: no such method"] if self.has_schema else []
        return _object(self._methods[method].get("fields", ()), self._check)(fields, method)

    def _check(self, types: Sequence[str]) -> Check:
        key = tuple(types)
        if key not in self._made:
            self._made[key] = lambda value, where: self._made[key](value, where)  # noqa: PLW0108  types refer to themselves
            self._made[key] = _any([self._one(name) for name in types])
        return self._made[key]

    def _one(self, name: str) -> Check:
        if name.startswith("Array of "):
            return _array(self._check([name.removeprefix("Array of ")]))
        if name in _PRIMITIVES:
            return _primitive(name)
        if name == "InputFile":
            return lambda value, where: [] if value is UPLOAD else [f"{where}: not an upload"]
        kind = self._types[name]
        if kind.get("subtypes"):
            return _any([self._one(each) for each in kind["subtypes"]])
        return _object(kind.get("fields", ()), self._check)


def _any(checks: Sequence[Check]) -> Check:
    """One of these must be content."""

    def check(value: Any, where: str) -> list[str]:
        complaints: list[str] = []
        for each in checks:
            found = each(value, where)
            if not found:
                return []
            complaints = complaints or found
        return complaints

    return check


def _array(item: Check) -> Check:
    def check(value: Any, where: str) -> list[str]:
        if not isinstance(value, list):
            return [f"{where}: {type(value).__name__} is no list"]
        return [complaint for number, each in enumerate(value) for complaint in item(each, f"{where}[{number}]")]

    return check


def _primitive(name: str) -> Check:
    def check(value: Any, where: str) -> list[str]:
        if isinstance(value, _PRIMITIVES[name]) and (name == "Boolean" or not isinstance(value, bool)):
            return []
        return [f"{where}: {type(value).__name__} is no {name}"]

    return check


def _object(fields: Sequence[Any], check_of: Callable[[Sequence[str]], Check]) -> Check:
    """An object with these fields and no other."""
    known = {field["name"]: field["types"] for field in fields}
    required = [field["name"] for field in fields if field["required"]]

    def check(value: Any, where: str) -> list[str]:
        if not isinstance(value, Mapping):
            return [f"{where}: {type(value).__name__} is no object"]
        found = [f"{where}: {name} is missing" for name in required if name not in value]
        for name, each in value.items():
            found += check_of(known[name])(each, f"{where}.{name}") if name in known else [f"{where}.{name}: no such field"]
        return found

    return check


def _typed(value: Any, types: Sequence[str]) -> Any:
    if not isinstance(value, str) or types == ["String"]:
        return value
    if "String" in types:
        return int(value) if "Integer" in types and re.fullmatch(r"-?\d+", value) else value
    if types == ["Boolean"]:
        return {"true": True, "1": True, "false": False, "0": False}.get(value.lower(), value)
    try:
        return json.loads(value)
    except ValueError:
        return value


def refusal(method: str, fields: Mapping[str, Any]) -> str | None:
    """Why Telegram would answer 400 to this, by limits that the schema does not hold."""
    try:
        shown = {name: _shown(fields, name) for name in ("text", "caption") if name in fields}
    except Unparsable as error:
        return str(error)
    if method == "answerCallbackQuery":
        return "MESSAGE_TOO_LONG" if len(shown.get("text", "")) > 200 else None
    if "text" in shown and not shown["text"].strip():
        return "message text is empty"
    if utf16(shown.get("text", "")) > 4096:
        return "message is too long"
    if utf16(shown.get("caption", "")) > 1024:
        return "message caption is too long"
    return _bad_keyboard(fields.get("reply_markup")) or _bad_secret(fields.get("secret_token"))


def _shown(fields: Mapping[str, Any], name: str) -> str:
    return without_tags(fields[name]) if fields.get("parse_mode") == "HTML" else str(fields[name])


def _bad_keyboard(markup: Any) -> str | None:
    rows = markup.get("inline_keyboard", []) if isinstance(markup, dict) else []
    for button in (button for row in rows for button in row):
        if len(button.keys() & {"url", "callback_data", "web_app", "copy_text", "pay", "callback_game", "login_url"}) != 1:
            return "can't parse inline keyboard button: text buttons are unallowed in the inline keyboard"
        if "callback_data" in button and not 1 <= len(button["callback_data"].encode()) <= 64:
            return "BUTTON_DATA_INVALID"
        if not button.get("text"):
            return "can't parse inline keyboard button: button text must be non-empty"
    return None


def _bad_secret(secret: Any) -> str | None:
    return (
        None if secret is None or re.fullmatch(r"[A-Za-z0-9_-]{1,256}", secret) else "secret token contains unallowed characters"
    )
