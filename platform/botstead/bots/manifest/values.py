"""Single values of `bot.toml`: each function takes a key and what stands there, and returns what it means."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Collection, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

_UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_SIZE = re.compile(r"(\d{1,12})\s*(?:([KMG]?)B)?", re.IGNORECASE)
_HOST = re.compile(r"(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*(:\d+)?|\*", re.IGNORECASE)
_PLAIN_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")
_SECRET_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_PORTS: Final = {"http": 80, "https": 443, "smtp": 587, "smtps": 465}


class Wrong(ValueError):
    """A key or its value is wrong."""

    def __init__(self, key: str, message: str, *, table: str = "") -> None:
        """Build the error.

        Args:
            key: where, for the line.
            message: what, without a full stop.
            table: the table that the key stands in, such as `rest.crm`.
        """
        super().__init__(message)
        self.key = key
        self.table = table


def only(values: Mapping[str, Any], known: Collection[str]) -> None:
    """Refuse keys that are not known.

    Raises:
        Wrong: there is one; the message names the nearest that is known.
    """
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            raise Wrong(key, f"unknown key {key}. " + (f"Did you mean {near[0]}?" if near else f"There are {listed(known)}"))


def listed(names: Collection[str]) -> str:
    """Write names one after the other, sorted."""
    return ", ".join(sorted(names))


def text(key: str, value: object) -> str:
    """Any text."""
    if not isinstance(value, str):
        raise Wrong(key, f"{key} is a text in quotes, not {value!r}")
    return value


def line(key: str, value: object) -> str:
    """A text that is not empty and has no control characters."""
    given = text(key, value)
    if not given.strip() or not given.isprintable():
        raise Wrong(key, f"{key} is one line of text that is not empty, not {value!r}")
    return given


def seconds(key: str, value: object) -> float:
    """A time that passes, up to an hour."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not 0 < value <= 3600:
        raise Wrong(key, f"{key} is a number of seconds from 0 to 3600, not {value!r}")
    return float(value)


def kept(key: str, value: object) -> float:
    """A time to keep something, up to a month; 0 keeps nothing."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 2_678_400:
        raise Wrong(key, f"{key} is a number of seconds from 0 to 2678400, not {value!r}")
    return float(value)


def count(key: str, value: object) -> int:
    """How many."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 10_000:
        raise Wrong(key, f"{key} is a whole number from 1 to 10000, not {value!r}")
    return value


def tries(key: str, value: object) -> int:
    """How often something is tried."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 10:
        raise Wrong(key, f"{key} is a whole number from 1 to 10, not {value!r}")
    return value


def truth(key: str, value: object) -> bool:
    """Yes or no."""
    if not isinstance(value, bool):
        raise Wrong(key, f"{key} is true or false, not {value!r}")
    return value


def percent(key: str, value: object) -> float:
    """A share."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 100:
        raise Wrong(key, f"{key} is a number of percent between 0 and 100, not {value!r}")
    return float(value)


def size(key: str, value: object) -> int:
    """Bytes, also as "256MB"."""
    found = _SIZE.fullmatch(str(value).strip()) if isinstance(value, int | str) and not isinstance(value, bool) else None
    if found is None:
        raise Wrong(key, f'{key} is a size such as "256MB", not {value!r}')
    return int(found[1]) * _UNITS[(found[2] or "").upper()]


def hosts(key: str, value: object) -> tuple[str, ...]:
    """Hosts that may be called."""
    if not isinstance(value, list) or not all(isinstance(host, str) for host in value):
        raise Wrong(key, f'{key} is a list of hosts, such as ["api.example.org"]')
    for host in value:
        if _HOST.fullmatch(host) is None:
            raise Wrong(key, f"{key} lists hosts, without https:// and path; {host!r} is none")
    return tuple(host.lower() for host in value)


def url(key: str, value: object, schemes: tuple[str, ...] = ("https", "http")) -> str:
    """An address without user, query and fragment; a slash at its end is dropped."""
    given = text(key, value)
    advice = f"{key} is an address such as {schemes[0]}://example.org, without user, password, ? and #"
    try:
        parts = urlsplit(given)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise Wrong(key, advice) from error
    usable = parts.scheme in schemes and port > 0 and _PLAIN_HOST.fullmatch(parts.hostname or "") is not None
    if not usable or parts.username is not None or "?" in given or "#" in given or not given.isprintable() or " " in given:
        raise Wrong(key, advice)
    return given.rstrip("/")


def secret_name(key: str, value: object) -> str:
    """The name of a secret, which is never the secret itself."""
    if not isinstance(value, str) or _SECRET_NAME.fullmatch(value) is None:
        raise Wrong(
            key,
            f"{key} is the name of a secret, of small letters, digits and underscores. The secret itself does not belong here; "
            "set it with botstead bots secrets set",
        )
    return value


def header(key: str, value: object) -> str:
    """A header's name (RFC 9110, 5.1)."""
    if not isinstance(value, str) or _HEADER.fullmatch(value) is None:
        raise Wrong(key, f"{key} is the name of a header, not {value!r}")
    return value
