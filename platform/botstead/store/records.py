"""What the registry knows of bots and channels, as people see it: never a secret, only the names of those that exist."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from botstead.core.errors import Invalid, NotFound
from botstead.core.secret import Secret

PREVIOUS = "_previous"
"""`<name>_previous` holds a secret from before its rotation, which is still accepted."""
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class BotRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A bot as lists show it."""

    id: int
    name: str
    kind: str
    enabled: bool
    problem: str | None
    settings: Mapping[str, Any]
    created_at: datetime


class ChannelRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A channel as lists show it. `number` is what conversation keys begin with."""

    number: int
    public_id: str
    bot: str
    kind: str
    name: str
    settings: Mapping[str, Any]
    enabled: bool
    health: Mapping[str, Any] | None
    health_at: datetime | None
    created_at: datetime


class HttpBot(msgspec.Struct, frozen=True, kw_only=True):
    """A bot that is reached over HTTP, with the secrets to sign requests to it."""

    id: int
    name: str
    settings: Mapping[str, Any]
    secrets: Mapping[str, Secret]
    enabled: bool


class Address(NamedTuple):
    """Another external id of a conversation."""

    channel: int
    external: str
    conversation: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What to change in a bot or channel; None leaves a thing as it is.

    Args:
        name: what people call a channel.
        enabled: whether it runs.
        settings: merged into those that exist; a null removes one.
        secrets: likewise; a replaced one is kept as `<name>_previous`.
    """

    name: str | None = None
    enabled: bool | None = None
    settings: Mapping[str, Any] = {}
    secrets: Mapping[str, str | None] = {}


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Merge settings or secrets: a None removes (as in RFC 7396, one level deep)."""
    both = {**old, **new}
    return {name: value for name, value in both.items() if value is not None}


def rotated(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    """Return the new secrets together with what each one replaced.

    Args:
        old: secrets as kept, `<name>_previous` included.
        new: secrets as they shall be, without any `<name>_previous`.
    """
    kept = dict(new)
    for name, value in new.items():
        before = old.get(name)
        previous = before if before not in (None, value) else old.get(name + PREVIOUS)
        if previous is not None:
            kept[name + PREVIOUS] = previous
    return kept


def current(secrets: Mapping[str, str]) -> dict[str, str]:
    """Return secrets without those from before a rotation."""
    return {name: value for name, value in secrets.items() if not name.endswith(PREVIOUS)}


def to_json(value: Any) -> str:
    """Write JSON that a `jsonb` column takes.

    Raises:
        Invalid: it holds a NUL character, which Postgres cannot keep.
    """
    encoded = msgspec.json.encode(value)
    if _NUL.search(encoded):
        raise Invalid("A setting holds a NUL character. Remove it.")
    return encoded.decode()


def from_json(text: str | None) -> Any:
    """Read a `jsonb` column; null stays None."""
    return None if text is None else msgspec.json.decode(text)


def no_bot(name: str) -> NotFound:
    """Say that there is no such bot."""
    return NotFound(f"There is no bot named {name}. `botstead bots list` shows them.")


def no_channel() -> NotFound:
    """Say that there is no such channel."""
    return NotFound("There is no channel by that id. `botstead channels list` shows them.")
