"""Sealed values: AES-256-GCM, bound to the row they belong to and to the key they were sealed with.

A sealed value is `version (1 byte), length of the key's id (1 byte), the key's id, nonce (12 bytes), ciphertext with tag`.
Source: NIST SP 800-38D; random 96-bit nonces are safe for 2^32 values a key, far more than an appliance ever seals.
"""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from botstead.core.errors import SealBroken
from botstead.runtime.keyring import KeyRing

_VERSION = 1
_NONCE_BYTES = 12
_ID_AT = 2


class Sealer:
    """Seals and opens values with the keys of a ring."""

    def __init__(self, ring: KeyRing) -> None:
        """Build a sealer.

        Args:
            ring: the keys.
        """
        self._current = ring.current.encode()
        self._keys = {name.encode(): AESGCM(key) for name, key in ring.keys.items()}

    def seal(self, value: bytes, *, bound_to: str) -> bytes:
        """Encrypt a value with the current key.

        Args:
            value: the plain bytes.
            bound_to: where it will be kept ("channel|7|secrets"); it opens only there.
        """
        nonce = secrets.token_bytes(_NONCE_BYTES)
        head = bytes((_VERSION, len(self._current))) + self._current
        return head + nonce + self._keys[self._current].encrypt(nonce, value, _bond(head, bound_to))

    def open(self, sealed: bytes, *, bound_to: str) -> bytes:
        """Decrypt a value.

        Args:
            sealed: what `seal` returned.
            bound_to: where it was found.

        Raises:
            SealBroken: it was altered, moved from another row, or sealed with a key that is not in the ring.
        """
        key_id = _key_id(sealed)
        key = self._keys.get(key_id)
        if key is None:
            raise SealBroken(
                f"The secret of {bound_to} was sealed with the key {key_id.decode('ascii', 'replace')}, which is not in the key "
                "ring. Bring back the ring that has it, or enter the secret again."
            )
        start = _ID_AT + len(key_id)
        nonce, encrypted = sealed[start : start + _NONCE_BYTES], sealed[start + _NONCE_BYTES :]
        try:
            return key.decrypt(nonce, encrypted, _bond(sealed[:start], bound_to))
        except (InvalidTag, ValueError):  # ValueError: the nonce is cut short
            pass
        raise SealBroken(f"The secret of {bound_to} was altered, or belongs to another row. Enter it again.")

    def is_stale(self, sealed: bytes) -> bool:
        """Tell whether a value was sealed with another key than the current one, so that it should be sealed again.

        Args:
            sealed: what `seal` returned.
        """
        return _key_id(sealed) != self._current


def _key_id(sealed: bytes) -> bytes:
    if len(sealed) < _ID_AT or sealed[0] != _VERSION:
        raise SealBroken
    return sealed[_ID_AT : _ID_AT + sealed[1]]


def _bond(head: bytes, bound_to: str) -> bytes:
    """What the tag covers besides the value: version, key and place."""
    return head + bound_to.encode()
