"""`bot.toml`: what the platform has to know of a bot without running it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from botstead.bots.bot import NAME
from botstead.bots.manifest import llm, services
from botstead.bots.manifest import values as take
from botstead.bots.manifest.values import Wrong
from botstead.core.declared import LlmDeclared, MailDeclared, RestDeclared, SlackDeclared
from botstead.core.errors import BotBroken
from botstead.core.ports import Limits

FILE = "bot.toml"


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
        rest: REST services by name, from `[rest.NAME]`.
        mail: the mail server, from `[mail]`.
        slack: where `Slack` posts, from `[slack]`.
        llm: the language model, from `[llm]`.
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
    rest: Mapping[str, RestDeclared] = {}
    mail: MailDeclared | None = None
    slack: SlackDeclared | None = None
    llm: LlmDeclared | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of secrets that the bot's services need, sorted."""
        declared = [*self.rest.values(), self.mail, self.slack, self.llm]
        return tuple(sorted({one.secret for one in declared if one is not None and one.secret}))


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
    except Wrong as error:
        raise BotBroken(f"{path} line {_line(text, error.table, error.key)}: {str(error).removesuffix('.')}.") from error


_TEXTS: Final = ("name", "kind", "description", "greeting", "url", "secret")
_LIMITS: Final[services.Taken] = {
    "deadline": take.seconds,
    "promise": take.seconds,
    "running": take.count,
    "own_process": take.truth,
    "memory": take.size,
}
_OTHERS: Final[Mapping[str, Any]] = {
    **dict.fromkeys(_TEXTS, take.text),
    "egress": take.hosts,
    "target": take.percent,
    "critical": take.truth,
    "rest": lambda _key, given: services.rest(given),
    "mail": lambda _key, given: services.mail(given),
    "slack": lambda _key, given: services.slack(given),
    "llm": lambda _key, given: llm.read(given),
}


def _manifest(values: Mapping[str, Any]) -> Manifest:
    take.only(values, (*_OTHERS, *_LIMITS))
    limits = {key: convert(key, values[key]) for key, convert in _LIMITS.items() if key in values}
    others = {key: convert(key, values[key]) for key, convert in _OTHERS.items() if key in values}
    manifest = Manifest(**others, limits=Limits(**limits))
    if manifest.name and NAME.fullmatch(manifest.name) is None:
        raise Wrong("name", f"name cannot be {manifest.name!r}: use lower-case letters, digits and hyphens")
    if manifest.kind not in {"python", "http"}:
        raise Wrong("kind", f"kind is python or http, not {manifest.kind!r}")
    if manifest.kind == "http" and not manifest.url:
        raise Wrong("kind", "an http bot needs its url")
    return manifest


def _line(text: str, table: str, key: str) -> int:
    """Return the line of a key; when it is not there, that of its table; when there is none, the first."""
    lines = list(enumerate(text.splitlines(), 1))
    head = re.compile(r"\s*\[\s*" + r"\s*\.\s*".join(f"[\"']?{re.escape(part)}[\"']?" for part in table.split(".")) + r"\s*\]")
    first = next((number for number, line in lines if table and head.match(line)), 0)
    for number, line in lines[first:]:
        if first and re.match(r"\s*\[", line):
            break
        if re.match(rf"\s*\[*\s*[\"']?{re.escape(key)}\b", line):
            return number
    return first or 1
