"""JSON bodies from strangers: decoded once, entirely, and never deeper than whoever reads them later can bear."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from botstead.core.errors import Unreadable

T = TypeVar("T")

DEEPEST: Final = 64
"""Levels of objects and lists in one another that are taken."""


def decode(body: bytes) -> Any:
    """Decode a body.

    Args:
        body: raw bytes.

    Raises:
        Unreadable: it is not UTF-8 JSON, or nested too deep.
    """
    try:
        tree = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable from error
    if body.count(b"[") + body.count(b"{") > DEEPEST and _deeper(tree):
        raise Unreadable
    return tree


def read(body: bytes | str | msgspec.Raw, kind: type[T]) -> T | None:
    """Read what a service answered, or what was kept of it; None when it is nothing of that kind.

    Args:
        body: JSON, or anything else.
        kind: what it should be.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _deeper(tree: Any) -> bool:
    """Whether something lies too deep; level by level, because recursion is what this protects."""
    level = [tree]
    for _ in range(DEEPEST + 1):
        nested = [node.values() if isinstance(node, dict) else node for node in level if isinstance(node, dict | list)]
        if not nested:
            return False
        level = [child for children in nested for child in children]
    return True
