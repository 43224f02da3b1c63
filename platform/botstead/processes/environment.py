"""Where the settings of a process come from: `botstead.toml`, then `BOTSTEAD_*`, then options."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from botstead.core import settings
from botstead.core.errors import ConfigurationError
from botstead.core.settings import Settings

FILE = "botstead.toml"


def variables() -> dict[str, str]:
    """Return this process's environment."""
    return dict(os.environ)  # noqa: TID251  # this is the place where it is read


def effective(values: Mapping[str, str], **options: Any) -> Settings:
    """Return the effective settings.

    Args:
        values: environment variables.
        options: what was given on the command line; None was not given.

    Raises:
        ConfigurationError: a setting is unknown or unreadable.
    """
    found = settings.load(values, file=_file(values), read=lambda path: Path(path).read_text())
    given = {name: value for name, value in options.items() if value is not None}
    chosen = msgspec.structs.replace(found, **given)
    return msgspec.structs.replace(chosen, data=chosen.data.absolute(), bots=tuple(folder.absolute() for folder in chosen.bots))


def given(chosen: Settings) -> dict[str, str]:
    """Return the settings that differ from their defaults, as texts that `settings.load` reads.

    Args:
        chosen: the effective settings.
    """
    defaults = msgspec.structs.asdict(Settings())
    return {name: _text(value) for name, value in msgspec.structs.asdict(chosen).items() if value != defaults[name]}


def _text(value: object) -> str:
    return settings.LIST_SEPARATOR.join(str(item) for item in value) if isinstance(value, tuple) else str(value)


def _file(values: Mapping[str, str]) -> dict[str, Any] | None:
    named = values.get("BOTSTEAD_CONFIG")
    path = Path(named or FILE)
    if not named and not path.exists():
        return None
    try:
        return tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}.") from error
