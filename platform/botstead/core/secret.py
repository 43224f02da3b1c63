"""A value that must not be seen: no `str`, `repr`, format, pickle or comparison by `==` gives it away."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable
from typing import NoReturn
from urllib.parse import quote


class Secret:
    """Holds a secret. Only `reveal` returns it, and only the transport and the verifiers call that."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        """Wrap a secret.

        Args:
            value: the secret itself.
        """
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself. Call this only where the bytes leave the process or are compared."""
        return self._value

    def matches(self, candidate: bytes) -> bool:
        """Compare in constant time.

        Args:
            candidate: bytes from outside.
        """
        return hmac.compare_digest(self._value.encode(), candidate)

    def __repr__(self) -> str:
        """Never the value."""
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        """Never the value."""
        return repr(self)

    def __eq__(self, _other: object) -> bool:
        """Secrets are not compared by `==`; use `matches`."""
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]  # an unhashable value cannot become a dictionary key or label

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled."""
        raise TypeError("a Secret cannot be pickled")


def repeats(content: bytes, secrets: Iterable[Secret]) -> bool:
    """Whether somebody else's bytes hold one of our secrets, as it is, or as URLs and JSON write it.

    Args:
        content: whole.
        secrets: those that it was asked with.
    """
    values = [secret.reveal() for secret in secrets]
    escaped = [json.dumps(value)[1:-1] for value in values]
    forms = {*values, *escaped, *(text.replace("/", "\\/") for text in escaped), *(quote(value, safe="") for value in values)}
    return any(form.encode() in content for form in forms if form)


def hidden(text: str, secrets: Iterable[Secret]) -> str:
    """Return somebody else's words without our secrets: a service may repeat the address and the headers that it was asked with.

    Args:
        text: the words, whole; a secret that was cut off before is not known again.
        secrets: those that it was asked with.
    """
    for secret in secrets:
        value = secret.reveal()
        for form in (value, quote(value, safe="")):
            text = text.replace(form, "…") if form else text
    return text
