"""Which chat networks there are: each kind's code, and what its folder says of it.

A new network is a new folder with the same files, and one more line in `_KINDS`. Payment providers are kinds of another
folder, with a manifest of the same form: `manifest_of` reads what stands beside a kind's code, wherever that is.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

import msgspec

from botstead.channels import loopback, telegram, webchat, webhook
from botstead.core.ports import ChannelKind


class Field(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A setting or secret that an operator gives.

    Args:
        about: what it is for.
        required: whether a channel cannot be made without it.
        made: whether it is made, and shown once, when it is not given.
        default: its value when it is not given; None when it has none.
    """

    about: str
    required: bool = False
    made: bool = False
    default: str | int | float | bool | None = None


class Rates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How fast a network lets us send; 0 means that it names no limit.

    Args:
        bot_per_second: messages a second of one bot, everywhere together.
        conversation_per_second: messages a second in one conversation, in the long run.
        conversation_burst: messages that may come at once after a rest.
    """

    bot_per_second: float = 0
    conversation_per_second: float = 0
    conversation_burst: int = 1


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a kind's `manifest.toml` says.

    Args:
        kind: the kind's word in the API, such as telegram.
        name: what people call the network.
        about: one sentence for the operator.
        documentation: the provider's own documentation.
        settings: open settings by name.
        secrets: secrets by name.
        limits: the network's limits by name, for showing.
        rates: how fast it lets us send.
        actions: which actions it can carry out.
        streams: whether people can see a text while it grows; where they cannot, they get the whole of it.
    """

    kind: str
    name: str
    about: str
    documentation: str = ""
    settings: Mapping[str, Field] = {}
    secrets: Mapping[str, Field] = {}
    limits: Mapping[str, float] = {}
    rates: Rates = Rates()
    actions: Mapping[str, bool] = {}
    streams: bool = False


_KINDS: Final[tuple[ChannelKind, ...]] = (telegram.KIND, webchat.KIND, webhook.KIND, loopback.KIND)


def kinds() -> dict[str, ChannelKind]:
    """Return every kind by its word."""
    return {kind.kind: kind for kind in _KINDS}


@cache
def manifests() -> Mapping[str, Manifest]:
    """Return every kind's manifest by its word. They are read once."""
    return {kind.kind: manifest_of(kind) for kind in _KINDS}


def manifest_of(kind: ChannelKind) -> Manifest:
    """Return the manifest that stands in the folder of a kind's code.

    Args:
        kind: a chat network, or a payment provider.
    """
    above = type(kind).__module__.partition(f".{kind.kind}")[0]
    return _read(f"{above}.{kind.kind}")


@cache
def _read(package: str) -> Manifest:
    return msgspec.toml.decode(files(package).joinpath("manifest.toml").read_bytes(), type=Manifest)


def quality(kind: str) -> Mapping[str, Any]:
    """Return what a kind's `quality.toml` claims: rule to `done`, or to a table with `status` and `why`.

    Args:
        kind: its word.
    """
    claims: Mapping[str, Any] = msgspec.toml.decode(_text(kind, "quality.toml"))
    return claims


def _text(kind: str, name: str) -> bytes:
    return files("botstead.channels").joinpath(kind, name).read_bytes()
