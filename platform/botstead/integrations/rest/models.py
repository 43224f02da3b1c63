"""Where a call goes, and what is kept of an answer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias
from urllib.parse import quote, unquote, urlencode

import msgspec

from botstead.core.messages import Response
from botstead.integrations.rest.errors import RestInvalid

Path: TypeAlias = str | Sequence[str]
"""`orders/7`, or the segments one by one: `("orders", number)`, in which no slash can hide."""

_SAFE: Final = "!$&'()*+,;=:@~-._"
_BROKEN = re.compile(r"%(?![0-9A-Fa-f]{2})")
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\?#]|//|\A[A-Za-z][A-Za-z0-9+.-]*:/")
_ROUNDS: Final = 4
"""How often a path is decoded to look for dots: some services decode twice."""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """An answer in the cache.

    Args:
        etag: names this version of it, to ask whether there is a newer one.
        headers: lower case.
        body: all of it.
    """

    etag: str = ""
    headers: Mapping[str, str] = {}
    body: bytes = b""

    def response(self) -> Response:
        """Return it as it came."""
        return Response(status=200, headers=self.headers, body=self.body)


def address(base: str, path: Path, params: Mapping[str, Any] | None) -> str:
    """Join a path and a query to a service's base. What comes out is below the base, whatever the path holds.

    Args:
        base: without a slash at its end.
        path: from a handler; may hold what people wrote.
        params: the query; a list stands for several values.

    Raises:
        RestInvalid: the path leads elsewhere, or could be read in two ways.
    """
    joined = _of_text(path) if isinstance(path, str) else "/".join(map(_of_segment, path))
    try:
        query = urlencode(params, doseq=True) if params else ""
    except UnicodeEncodeError:
        raise RestInvalid("The query holds half of a surrogate pair.") from None
    return f"{base}/{joined}".rstrip("/" if not joined else "") + (f"?{query}" if query else "")


def _of_text(path: str) -> str:
    if _FORBIDDEN.search(path) or _BROKEN.search(path):
        raise RestInvalid("A path holds no scheme, ?, #, backslash, double slash or single %. Give the query as params.")
    _no_dots(path)
    return _quoted(path.removeprefix("/"), safe=_SAFE + "/%")


def _of_segment(segment: str) -> str:
    if not segment:
        raise RestInvalid("A segment of a path is empty.")
    _no_dots(segment)
    return _quoted(segment, safe=_SAFE)


def _quoted(text: str, *, safe: str) -> str:
    try:
        return quote(text, safe=safe)
    except UnicodeEncodeError:
        raise RestInvalid("The path holds half of a surrogate pair.") from None


def _no_dots(path: str) -> None:
    """Refuse segments of dots, which servers resolve, however often they are encoded."""
    for _ in range(_ROUNDS):
        if any(part in {".", ".."} for part in re.split(r"[/\\;]", path)):
            raise RestInvalid("A path has no segments of dots.")
        path = unquote(path)
    if "%" in path and unquote(path) != path:
        raise RestInvalid("A path is not encoded more than once.")
