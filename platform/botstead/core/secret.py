"""A value that must not be seen: no `str`, `repr`, format, pickle or comparison by `==` gives it away."""

from __future__ import annotations

import hmac
from typing import NoReturn


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
