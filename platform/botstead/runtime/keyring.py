"""The key ring: one file with every encryption key and the pepper."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec


class KeyRing(msgspec.Struct, frozen=True, kw_only=True):
    """Keys to seal with.

    Args:
        current: id of the key that new values are sealed with.
        keys: key id to 32 bytes.
        pepper: 32 bytes that API keys are hashed with.
    """

    current: str
    keys: Mapping[str, bytes]
    pepper: bytes


def load(path: Path) -> KeyRing:
    """Read the key ring; raises `ConfigurationError` when it is missing, broken, or readable by others."""
    raise NotImplementedError


def load_or_create(path: Path, *, sealed_data_exists: bool = False) -> KeyRing:
    """Read the key ring, or make it at first start.

    Args:
        path: the file.
        sealed_data_exists: there are values sealed with some key; then a missing ring is an error, not a first start.

    Raises:
        ConfigurationError: see `load`, or the ring is missing although sealed data exists.
    """
    raise NotImplementedError


def add_key(path: Path) -> KeyRing:
    """Add a key to the ring, make it the current one, and return the ring; old keys still open what they sealed."""
    raise NotImplementedError


def retire_key(path: Path, key_id: str) -> KeyRing:
    """Remove a key that nothing is sealed with any more; refuses to remove the current one."""
    raise NotImplementedError
