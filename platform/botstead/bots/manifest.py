"""`bot.toml`: what the platform has to know of a bot without running it."""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from botstead.bots.bot import NAME
from botstead.core.errors import BotBroken
from botstead.core.ports import Limits

FILE = "bot.toml"
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_SIZE = re.compile(r"(\d{1,12})\s*(?:([KMG]?)B)?", re.IGNORECASE)
_HOST = re.compile(r"(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*(:\d+)?|\*", re.IGNORECASE)


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What `bot.toml` says; every key may be left out.

    Args:
        name: the bot's name, instead of the one in `Bot(…)`.
        kind: `python`, or `http` for a bot that is a program behind `url`.
        description: one sentence that stands above the commands in `/help`.
        greeting: what `/start` answers before the commands.
        egress: hosts that `Http` may call: `api.example.org`, `*.example.org`, `127.0.0.1:9000`, or `*` for any.
        limits: see `core.ports.Limits`; `promise` is there.
        target: percent of its messages that the bot promises to answer; None leaves it to the objective `delivery_bot`.
        critical: whether a bot that answers too few wakes a person; otherwise it makes a ticket.
        url: where an http bot is.
        secret: the Standard Webhooks secret that an http bot shares with us, `whsec_…`.
    """

    name: str = ""
    kind: str = "python"
    description: str = ""
    greeting: str = ""
    egress: tuple[str, ...] = ()
    limits: Limits = Limits()
    target: float | None = None
    critical: bool = False
    url: str = ""
    secret: str = ""


def read_manifest(folder: Path) -> Manifest:
    """Read a bot's `bot.toml`; without the file everything has its default.

    Args:
        folder: the bot's folder.

    Raises:
        BotBroken: the file cannot be read, or a key or value is wrong; the message names file and line.
    """
    path = folder / FILE
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return Manifest()
    except (OSError, UnicodeDecodeError) as error:
        raise BotBroken(f"{path} cannot be read: {error}.") from error
    try:
        return _manifest(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise BotBroken(f"{path} is no TOML: {error}.") from error
    except _Wrong as error:
        raise BotBroken(f"{path} line {_line(text, error.key)}: {error}.") from error


class _Wrong(ValueError):
    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def _manifest(values: Mapping[str, Any]) -> Manifest:
    known = (*_TEXTS, *_LIMITS, *_PROMISES, "egress")
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            advice = f"Did you mean {near[0]}?" if near else f"There are {', '.join(sorted(known))}"
            raise _Wrong(key, f"unknown key {key}. {advice}".removesuffix("."))
    texts: dict[str, Any] = {key: _text(key, values[key]) for key in _TEXTS if key in values}
    limits: dict[str, Any] = {key: convert(key, values[key]) for key, convert in _LIMITS.items() if key in values}
    promises: dict[str, Any] = {key: convert(key, values[key]) for key, convert in _PROMISES.items() if key in values}
    manifest = Manifest(**texts, **promises, egress=_hosts(values.get("egress", [])), limits=Limits(**limits))
    if manifest.name and NAME.fullmatch(manifest.name) is None:
        raise _Wrong("name", f"name cannot be {manifest.name!r}: use lower-case letters, digits and hyphens")
    if manifest.kind not in {"python", "http"}:
        raise _Wrong("kind", f"kind is python or http, not {manifest.kind!r}")
    if manifest.kind == "http" and not manifest.url:
        raise _Wrong("kind", "an http bot needs its url")
    return manifest


def _text(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise _Wrong(key, f"{key} is a text in quotes, not {value!r}")
    return value


def _seconds(key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not 0 < value <= 3600:
        raise _Wrong(key, f"{key} is a number of seconds from 0 to 3600, not {value!r}")
    return float(value)


def _count(key: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 10_000:
        raise _Wrong(key, f"{key} is a whole number from 1 to 10000, not {value!r}")
    return value


def _truth(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _Wrong(key, f"{key} is true or false, not {value!r}")
    return value


def _percent(key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 100:
        raise _Wrong(key, f"{key} is a number of percent between 0 and 100, not {value!r}")
    return float(value)


def _size(key: str, value: object) -> int:
    found = _SIZE.fullmatch(str(value).strip()) if isinstance(value, int | str) and not isinstance(value, bool) else None
    if found is None:
        raise _Wrong(key, f'{key} is a size such as "256MB", not {value!r}')
    return int(found[1]) * _UNITS[(found[2] or "").upper()]


def _hosts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(host, str) for host in value):
        raise _Wrong("egress", 'egress is a list of hosts, such as ["api.example.org"]')
    for host in value:
        if _HOST.fullmatch(host) is None:
            raise _Wrong("egress", f"egress lists hosts, without https:// and path; {host!r} is none")
    return tuple(host.lower() for host in value)


_TEXTS = ("name", "kind", "description", "greeting", "url", "secret")
_PROMISES = {"target": _percent, "critical": _truth}
_LIMITS = {"deadline": _seconds, "promise": _seconds, "running": _count, "own_process": _truth, "memory": _size}


def _line(text: str, key: str) -> int:
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(rf"\s*\[*\s*[\"']?{re.escape(key)}\b", line):
            return number
    return 1
