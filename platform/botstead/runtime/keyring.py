"""The key ring: one file with every encryption key, and the pepper that API keys are hashed with.

It is made at first start and never leaves the machine by itself: a backup without it holds only sealed values. Whoever can
read it can read every secret, so it is refused when others than its owner can.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from botstead.core.errors import ConfigurationError

KEY_BYTES: Final = 32
_MODE = 0o600
_READABLE_BY_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_ID_BYTES = 4


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

    def __repr__(self) -> str:
        """Names the keys and never shows them."""
        return f"KeyRing(current={self.current!r}, keys={sorted(self.keys)})"


def load(path: Path) -> KeyRing:
    """Read the key ring.

    Args:
        path: the file.

    Raises:
        ConfigurationError: it is missing, broken, or can be read by others than its owner.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read()
    except FileNotFoundError:
        raise ConfigurationError(f"There is no key ring at {path}. Bring it back from where you keep it.") from None
    except OSError as error:
        raise ConfigurationError(f"The key ring {path} cannot be read: {error.strerror}.") from error
    if mode & _READABLE_BY_OTHERS:
        raise ConfigurationError(f"The key ring {path} can be read by others than its owner. Run: chmod 600 {path}")
    return _decoded(text, path)


def load_or_create(path: Path, *, sealed_data_exists: bool = False) -> KeyRing:
    """Read the key ring, or make it at first start. Safe when several processes start at once.

    Args:
        path: the file.
        sealed_data_exists: there are values sealed with some key; then a missing ring is an error, not a first start.

    Raises:
        ConfigurationError: see `load`; or the ring is missing although sealed data exists; or it cannot be written.
    """
    if path.exists():
        return load(path)
    if sealed_data_exists:
        raise ConfigurationError(
            f"The database holds sealed secrets, but there is no key ring at {path}. Bring the file back from your backup, or "
            "point BOTSTEAD_KEY_RING at it. A new one could not open them."
        )
    first = _new_id()
    ring = KeyRing(current=first, keys={first: secrets.token_bytes(KEY_BYTES)}, pepper=secrets.token_bytes(KEY_BYTES))
    try:
        _create(path, ring)
    except FileExistsError:  # another process was first
        return load(path)
    except OSError as error:
        raise ConfigurationError(f"The key ring {path} cannot be made: {error.strerror}.") from error
    return ring


def add_key(path: Path) -> KeyRing:
    """Add a key and make it the current one; old keys still open what they sealed. Returns the ring as it is now.

    Args:
        path: the file.

    Raises:
        ConfigurationError: see `load`.
    """
    ring = load(path)
    new = _new_id()
    changed = msgspec.structs.replace(ring, current=new, keys={**ring.keys, new: secrets.token_bytes(KEY_BYTES)})
    _replace(path, changed)
    return changed


def retire_key(path: Path, key_id: str) -> KeyRing:
    """Remove a key that nothing is sealed with any more. Returns the ring as it is now.

    Args:
        path: the file.
        key_id: the key; not the current one.

    Raises:
        ConfigurationError: see `load`; or there is no such key, or it is the current one.
    """
    ring = load(path)
    if key_id == ring.current or key_id not in ring.keys:
        raise ConfigurationError(f"The key {key_id} is the current one or not in the ring; add a key first, then seal again.")
    changed = msgspec.structs.replace(ring, keys={one: key for one, key in ring.keys.items() if one != key_id})
    _replace(path, changed)
    return changed


def _decoded(text: bytes, path: Path) -> KeyRing:
    try:
        ring = msgspec.json.decode(text, type=KeyRing)
    except (msgspec.DecodeError, UnicodeDecodeError):
        ring = None
    if ring is None or ring.current not in ring.keys or any(len(key) != KEY_BYTES for key in (*ring.keys.values(), ring.pepper)):
        raise ConfigurationError(f"The key ring {path} is broken. Bring it back from your backup; do not edit it.")
    return ring


def _create(path: Path, ring: KeyRing) -> None:
    """Write the whole file or nothing, and never over another one: link() is atomic and refuses an existing name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = _draft(path, ring)
    try:
        os.link(draft, path)
    finally:
        draft.unlink()
    _sync_folder(path.parent)


def _replace(path: Path, ring: KeyRing) -> None:
    try:
        _draft(path, ring).replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise ConfigurationError(f"The key ring {path} cannot be written: {error.strerror}.") from error


def _draft(path: Path, ring: KeyRing) -> Path:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(_ID_BYTES)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(ring), indent=1) + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise
    return draft


def _sync_folder(folder: Path) -> None:
    """A rename is only as durable as the folder that holds the name."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _new_id() -> str:
    return f"k{secrets.token_hex(_ID_BYTES)}"
