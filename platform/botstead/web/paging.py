"""What many addresses take in: pages by keyset, ids, and texts that a database can keep."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar

import msgspec
from litestar.params import PathParameter, QueryParameter

from botstead.core.errors import Invalid, NotFound

LARGEST = 2**63 - 1
"""The largest id that Postgres keeps."""
MOST = 200
USUAL = 50

Limit = Annotated[int, QueryParameter(ge=1, le=MOST, description="How many, at most.")]
Before = Annotated[int | None, QueryParameter(ge=1, le=LARGEST, description="Go on below this; the `next` of the page before.")]
Internal = Annotated[bool, QueryParameter(description="Also what is the platform's own, such as the canary.")]
Number = Annotated[int, PathParameter(ge=1, le=LARGEST)]

NO_NUL = r"^[^\x00]*\Z"
Line = Annotated[str, msgspec.Meta(max_length=200, pattern=r"^[^\x00-\x1f]*\Z", description="One line of text.")]
BotName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]{0,62}\Z", description="Small letters, digits and hyphens.")]

_PATTERNS = {
    "bot": re.compile(r"[a-z][a-z0-9-]{0,62}"),
    "channel": re.compile(r"ch_[0-9A-Za-z]{16,40}", re.ASCII),
    "conversation": re.compile(r"[0-9]{1,9}\.[A-Za-z0-9%_.~-]{0,600}", re.ASCII),
    "key": re.compile(r"[0-9A-Za-z]{1,40}", re.ASCII),
}

Item = TypeVar("Item")


class Page(msgspec.Struct, Generic[Item], frozen=True, kw_only=True):
    """A page of a list.

    Args:
        items: what there is, newest first.
        next: give this as `before` to go on; null at the end. A page may be short, even empty, and still have a next one.
    """

    items: Sequence[Item]
    next: int | None = None


def page(found: Sequence[Item], *, limit: int, key: Callable[[Item], int]) -> Page[Item]:
    """Cut a list that was read with one item more than asked for.

    Args:
        found: up to `limit + 1` items.
        limit: items on the page.
        key: what `before` compares with.
    """
    return Page(items=found[:limit], next=key(found[limit - 1]) if len(found) > limit else None)


def checked(what: str, text: str) -> str:
    """Return a name from an address, or say that there is no such thing when it cannot be one.

    Args:
        what: bot, channel, conversation or key.
        text: from the address, percent-decoded.

    Raises:
        NotFound: it does not have the shape of one.
    """
    if _PATTERNS[what].fullmatch(text) is None:
        raise NotFound(f"There is no such {what}.")
    return text


def words(text: str) -> str:
    """Return a search text.

    Raises:
        Invalid: it is longer than 500 characters or holds a NUL character.
    """
    if len(text) > 500 or "\x00" in text:
        raise Invalid("The search text is longer than 500 characters or holds a NUL character.")
    return text
