"""Sealed values: AES-256-GCM, bound to the row they belong to."""

from __future__ import annotations

from botstead.runtime.keyring import KeyRing


class Sealer:
    """Seals and opens values with the keys of a ring."""

    def __init__(self, ring: KeyRing) -> None:
        """Build a sealer.

        Args:
            ring: the keys.
        """
        self._ring = ring

    def seal(self, value: bytes, *, bound_to: str) -> bytes:
        """Encrypt a value with the current key.

        Args:
            value: the plain bytes.
            bound_to: where it will be kept ("channel|7|secrets"); it opens only there.
        """
        raise NotImplementedError

    def open(self, sealed: bytes, *, bound_to: str) -> bytes:
        """Decrypt a value.

        Raises:
            SealBroken: it was altered, moved from another row, or sealed with a key that is not in the ring.
        """
        raise NotImplementedError

    def is_stale(self, sealed: bytes) -> bool:
        """Tell whether a value was sealed with another key than the current one, so that it should be sealed again."""
        raise NotImplementedError
