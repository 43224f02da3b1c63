"""What an operator gave for a new channel: checked word by word, with the next step in every complaint."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from botstead.core.errors import Invalid

LONGEST: Final = 2_000
"""Characters of a setting or secret."""
PREVIOUS: Final = "_previous"
"""The end of the name of a secret that was replaced and is still accepted."""


def known(given: Iterable[str], names: Iterable[str], *, what: str) -> None:
    """Refuse a word that is not among those there are.

    Args:
        given: what was given.
        names: what there is; a secret's former value counts as the secret.
        what: how to call it: `setting of a Stripe account`.

    Raises:
        Invalid: one is unknown; the message says what was probably meant.
    """
    there_is = tuple(names)
    for name in given:
        if name.removesuffix(PREVIOUS) not in there_is:
            near = difflib.get_close_matches(name, there_is, n=1)
            advice = f"Did you mean {near[0]}?" if near else f"There is {', '.join(there_is)}."
            raise Invalid(f"{name} is no {what}. {advice}")


def text(given: Mapping[str, Any], name: str, *, what: str, advice: str, required: bool = False) -> str:
    """Return a text without the blanks around it, which copying brings along; "" when it was not given.

    Args:
        given: settings or secrets.
        name: of the one wanted.
        what: setting or secret.
        advice: where the operator finds it.
        required: whether it must be there.

    Raises:
        Invalid: it is missing, no text, too long, or has characters that no header may have.
    """
    value = given.get(name, "")
    if not isinstance(value, str) or len(value) > LONGEST:
        raise Invalid(f"The {what} {name} is a text of at most {LONGEST} characters. {advice}")
    found = value.strip()
    if not found and required:
        raise Invalid(f"The {what} {name} is needed. {advice}")
    if not found.isascii() or not (found.isprintable() or not found):
        raise Invalid(f"The {what} {name} holds characters that cannot be in it. {advice}")
    return found


def address(given: Mapping[str, Any], name: str) -> str:
    """Return the address of a server without a slash at its end; "" when it was not given.

    Args:
        given: settings.
        name: of the setting.

    Raises:
        Invalid: it is no http or https address, names a user, or has a query.
    """
    url = text(given, name, what="setting", advice="It is an address like https://example.org.").rstrip("/")
    try:
        parts = urlsplit(url)
        plain = not (parts.query or parts.fragment or "@" in parts.netloc)
        usable = plain and parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if url and not usable:
        raise Invalid(f"The setting {name} must be an address like https://example.org, without user and query.")
    return url
