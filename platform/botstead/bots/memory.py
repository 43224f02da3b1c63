"""A conversation's state as the handler sees it: a dict, decoded when first used, encoded only when it changed."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from botstead.bots.questions import RESERVED, Pending
from botstead.core.errors import HandlerFailed

STATE_LIMIT = 65_536
"""The most bytes of JSON that a conversation's state may take."""
_DEPTH = 32
_INTEGERS = (-(2**63), 2**64 - 1)
_MARK = f'"{RESERVED}"'.encode()

_objects = msgspec.json.Decoder(dict[str, Any])
_split = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Memory:
    """What one run of a handler reads and writes of the state. The pending question lies in it, hidden from authors."""

    __slots__ = ("_began", "_data", "_sealed", "_stored", "_whole", "pending")

    def __init__(self, stored: bytes) -> None:
        """Read a stored state.

        Args:
            stored: a JSON object.
        """
        self._data: dict[str, Any] | None = None
        self._began: dict[str, Any] | None = None
        self._sealed: bytes | None = None
        self.pending: Pending | None = None
        self._whole = self._stored = stored
        if _MARK in stored:
            parts = _split.decode(stored)
            self.pending = Pending.read(parts.pop(RESERVED, None))
            self._stored = msgspec.json.encode(parts)

    @property
    def data(self) -> dict[str, Any]:
        """The state itself; changes are kept when the handler succeeds."""
        if self._data is None:
            self._data = _objects.decode(self._stored)
        return self._data

    @property
    def stored(self) -> dict[str, Any]:
        """A fresh copy of what was stored when this run began."""
        return _objects.decode(self._stored)

    @property
    def beginning(self) -> dict[str, Any]:
        """The state as it was when the handler began: what another run of it has to begin with."""
        return self.stored if self._began is None else self._began

    def begin_again(self, before: dict[str, Any]) -> None:
        """Start from an earlier state, to run a handler again.

        Args:
            before: the state as it was when the handler began.
        """
        self._began = before
        self._data = copied(before)

    def seal(self) -> None:
        """Keep what is there now: later changes of the dict do not count.

        Raises:
            HandlerFailed: see `encode`.
        """
        self._sealed = self._own()

    def _own(self) -> bytes:
        if self._sealed is not None:
            return self._sealed
        return self._stored if self._data is None else encode_state(self._data)

    def replace(self, data: dict[str, Any]) -> None:
        """Put other content into the very same dict, so that handlers keep their reference to it.

        Args:
            data: taken over, not copied.
        """
        mine = self.data
        mine.clear()
        mine.update(data)

    def encode(self) -> bytes | None:
        """Return the JSON to be stored, or None when nothing changed.

        Raises:
            HandlerFailed: a value is not JSON, or the whole is larger than `STATE_LIMIT`; the message names where.
        """
        own = self._own()
        if self.pending is not None:
            own = _joined(own, self.pending.write())
        if own == self._whole:
            return None
        if len(own) > STATE_LIMIT:
            raise HandlerFailed(f"conversation.state takes {len(own):,} bytes; it may take {STATE_LIMIT:,}. Keep less in it.")
        return own


def copied(data: dict[str, Any]) -> dict[str, Any]:
    """Copy a state, so that changes in one do not reach the other.

    Args:
        data: JSON values.
    """
    return _objects.decode(msgspec.json.encode(data))


def encode_state(data: dict[str, Any]) -> bytes:
    """Encode a state, refusing whatever would not come back as it is.

    Args:
        data: str keys; str, int, float, bool, None, list and dict values.

    Raises:
        HandlerFailed: something else is in it; the message names where.
    """
    for key in data:
        if str(key).startswith("$"):
            raise HandlerFailed(f"conversation.state[{key!r}]: keys that begin with $ are botstead's own. Choose another.")
    _check(data, "conversation.state", 0)
    try:
        return msgspec.json.encode(data)
    except (UnicodeEncodeError, TypeError, OverflowError) as error:
        raise HandlerFailed(f"conversation.state cannot be kept as JSON: {type(error).__name__}.") from error


def _check(value: object, path: str, depth: int) -> None:
    if depth > _DEPTH:
        raise HandlerFailed(f"{path} is nested more than {_DEPTH} deep, or contains itself. Keep it flatter.")
    kind = type(value)
    if kind is dict:
        for key, item in value.items():  # type: ignore[attr-defined]  # `type(...) is dict` does not narrow for mypy
            if type(key) is not str:
                raise HandlerFailed(f"{path} has the key {key!r}: keys are str in JSON.")
            _check(item, f"{path}[{key!r}]", depth + 1)
    elif kind is list:
        for index, item in enumerate(value):  # type: ignore[arg-type]  # as above
            _check(item, f"{path}[{index}]", depth + 1)
    elif not _is_scalar(value):
        raise HandlerFailed(f"{path} is {_shown(value)}; keep str, int, float, bool, None, list or dict there.")


def _is_scalar(value: object) -> bool:
    kind = type(value)
    if kind is int:
        low, high = _INTEGERS
        return low <= value <= high  # type: ignore[operator]  # `kind is int` does not narrow for mypy
    if kind is float:
        return math.isfinite(value)  # type: ignore[arg-type]  # as above
    return value is None or kind is str or kind is bool


def _shown(value: object) -> str:
    if isinstance(value, int):
        return "an integer beyond 64 bits"
    return f"the number {value}" if isinstance(value, float) else f"a {type(value).__name__}"


def _joined(own: bytes, pending: bytes) -> bytes:
    comma = b"" if own == b"{}" else b","
    return own[:-1] + comma + _MARK + b":" + pending + b"}"
