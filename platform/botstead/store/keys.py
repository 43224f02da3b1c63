"""API keys: `bsk_<id>_<secret><crc>`.

The shape lets secret scanners and our log filter recognise a key without asking anybody: a fixed prefix, 30 base62
digits of secret, and a CRC32 in 6 more (the token format that https://github.blog/2021-04-05-behind-githubs-new-authentication-token-formats/
describes). Only an HMAC-SHA256 of the secret under the key ring's pepper is stored.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import re
import secrets
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from botstead.core.clock import Clock, SystemClock
from botstead.core.errors import Conflict, Forbidden, Invalid, NotFound, Rejected
from botstead.store import queries
from botstead.store.postgres import Postgres
from botstead.store.tables import ApiKey

ADMIN = "admin"
"""The scope that includes every other."""
SCOPES: dict[str, str] = {
    ADMIN: "everything",
    "bots:read": "see bots, channels and their health",
    "bots:write": "create, change and delete bots and channels",
    "messages:read": "read conversations and search messages",
    "messages:send": "send into a conversation",
    "dead-letters:read": "see what failed, with its error",
    "dead-letters:replay": "run failed messages again",
    "payments:read": "see payments, and what their providers said",
    "payments:write": "ask for money in a conversation, and give it back",
    "objectives:read": "see how promises stand, and how bots do",
    "keys:read": "see API keys, never their secrets",
    "keys:write": "create and revoke API keys with at most one's own scopes",
}
"""Every scope and what it allows."""

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ID_LENGTH, SECRET_LENGTH, CRC_LENGTH = 12, 30, 6
_SHAPE = re.compile(rf"bsk_([0-9A-Za-z]{{{ID_LENGTH}}})_([0-9A-Za-z]{{{SECRET_LENGTH}}})([0-9A-Za-z]{{{CRC_LENGTH}}})", re.ASCII)
_SQL = queries.load("keys")


class Key(msgspec.Struct, frozen=True):
    """A key in its parts. `str()` of one never shows the secret; `text()` does."""

    id: str
    secret: str

    def text(self) -> str:
        """Return the whole key. Write it only where its owner reads it."""
        head = f"bsk_{self.id}_{self.secret}"
        return head + checksum(head)

    def __repr__(self) -> str:
        """Never the secret."""
        return f"Key({self.id})"


class Principal(msgspec.Struct, frozen=True):
    """Who asks: the key's id and what it may do."""

    key: str
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        """Tell whether the key covers a scope."""
        return scope in self.scopes or ADMIN in self.scopes


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A key as lists show it."""

    id: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


def base62(number: int, length: int) -> str:
    """Write a number in base62, filled up with zeros.

    Args:
        number: not negative and below 62 ** length.
        length: digits.
    """
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(DIGITS[digit])
    return "".join(reversed(digits))


def checksum(head: str) -> str:
    """Return the CRC32 of everything before it, in base62."""
    return base62(zlib.crc32(head.encode()), CRC_LENGTH)


def random_digits(length: int) -> str:
    """Return base62 digits from the operating system's randomness."""
    return "".join(secrets.choice(DIGITS) for _ in range(length))


def mint() -> Key:
    """Make a new key; nothing knows it yet."""
    return Key(random_digits(ID_LENGTH), random_digits(SECRET_LENGTH))


def read(text: str) -> Key | None:
    """Take a key apart.

    Args:
        text: what somebody sent.

    Returns:
        The key, or None when the text cannot be one of ours.
    """
    found = _SHAPE.fullmatch(text)
    if found is None:
        return None
    identifier, secret, crc = found.groups()
    key = Key(identifier, secret)
    return key if hmac.compare_digest(checksum(f"bsk_{identifier}_{secret}"), crc) else None


class Keys:
    """The keys that open the API."""

    def __init__(self, postgres: Postgres, pepper: bytes, *, clock: Clock | None = None) -> None:
        """Prepare; nothing is read yet.

        Args:
            postgres: where the digests are.
            pepper: the key ring's, at least 32 bytes.
            clock: for expiry.
        """
        self._postgres = postgres
        self._pepper = pepper
        self._clock = clock or SystemClock()

    def _digest(self, key: Key) -> bytes:
        return hmac.digest(self._pepper, f"{key.id}.{key.secret}".encode(), hashlib.sha256)

    async def authenticate(self, text: str) -> Principal:
        """Find out whose key this is. The same work is done for an unknown key as for a wrong one.

        Args:
            text: the key as it was sent.

        Raises:
            Rejected: not a key, unknown, wrong, revoked, or expired; the message does not say which.
            Unavailable: the database is away.
        """
        key = read(text)
        if key is None:
            raise Rejected("This is not a valid API key.", reason="malformed")
        async with self._postgres.connection() as connection:
            row = await connection.fetchrow(_SQL["find"], key.id)
            known = hmac.compare_digest(self._digest(key), row["digest"] if row else bytes(32))
            if row is None or not known or not self._valid(row["expires_at"], row["revoked_at"]):
                raise Rejected("This is not a valid API key.", reason="unknown")
            if row["stale"]:
                await connection.execute(_SQL["touch"], key.id)
        return Principal(key.id, frozenset(row["scopes"]))

    def _valid(self, expires_at: datetime | None, revoked_at: datetime | None) -> bool:
        return revoked_at is None and (expires_at is None or expires_at.timestamp() > self._clock.now())

    async def create(
        self, name: str, scopes: Sequence[str], *, by: Principal | None = None, lifetime: timedelta | None = None
    ) -> tuple[KeyRecord, Key]:
        """Make a key.

        Args:
            name: what people call it.
            scopes: names from `SCOPES`.
            by: who asks; nobody gives away more than they have. None is the appliance itself.
            lifetime: until it expires; None means never.

        Returns:
            What is stored, and the key, which cannot be read again.

        Raises:
            Invalid: an unknown scope, or none at all.
            Forbidden: a scope that the asking key lacks.
        """
        _check(scopes, by)
        key = mint()
        expires = None if lifetime is None else datetime.fromtimestamp(self._clock.now(), UTC) + lifetime
        await self._insert(key, name=name, scopes=scopes, expires=expires)
        return await self.get(key.id), key

    async def _insert(self, key: Key, *, name: str, scopes: Sequence[str], expires: datetime | None) -> None:
        async with self._postgres.unit() as connection:
            await connection.fetchval(_SQL["insert"], key.id, name, self._digest(key), sorted(set(scopes)), expires)

    async def get(self, identifier: str) -> KeyRecord:
        """Return one key, never its secret.

        Raises:
            NotFound: there is none by that id.
        """
        async with self._postgres.unit():
            rows = await _listed().where(ApiKey.id == identifier)
        if not rows:
            raise NotFound("There is no such key. `botstead keys list` shows them.")
        return msgspec.convert(rows[0], KeyRecord)

    async def list(self, *, limit: int, before: str | None = None) -> tuple[KeyRecord, ...]:
        """Return keys by falling id, revoked ones too.

        Args:
            limit: at most so many.
            before: only ids below this one.
        """
        query = _listed().order_by(ApiKey.id, ascending=False).limit(limit)
        async with self._postgres.unit():
            rows = await (query if before is None else query.where(ApiKey.id < before))
        return tuple(msgspec.convert(row, KeyRecord) for row in rows)

    async def revoke(self, identifier: str, *, by: Principal | None = None) -> None:
        """End a key now.

        Args:
            identifier: the key's public part.
            by: who asks; a key cannot end one that may do more than itself.

        Raises:
            NotFound: there is none by that id.
            Forbidden: see `by`.
            Conflict: it is revoked already.
        """
        record = await self.get(identifier)
        _within(record.scopes, by)
        async with self._postgres.unit() as connection:
            if await connection.fetchval(_SQL["revoke"], identifier) is None:
                raise Conflict("This key is revoked already.")

    async def ensure_admin_key(self, path: Path) -> bool:
        """Make sure that the operator has a key at first start. It is written to a file and never shown.

        A key file that exists is made known to a database that does not know it yet (a fresh database under old
        files); a revoked one stays revoked. Any number of processes may do this at once: one file wins.

        Args:
            path: the key file, readable by its owner only.

        Returns:
            Whether a key was written now.

        Raises:
            Invalid: the file exists and holds no key.
        """
        async with self._postgres.connection() as connection:
            known = await connection.fetchval(_SQL["any_admin"])
        made = False if known else await asyncio.to_thread(_write_once, path, mint())
        text = await asyncio.to_thread(_contents, path)
        if text is None:
            return False
        key = read(text)
        if key is None:
            raise Invalid(f"{path} holds no API key. Move it away; a new one is written if no admin key is left.")
        await self._insert(key, name="admin", scopes=[ADMIN], expires=None)
        return made


def _listed() -> Any:
    return ApiKey.select(*ApiKey.all_columns(exclude=[ApiKey.digest]))


def _check(scopes: Sequence[str], by: Principal | None) -> None:
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        raise Invalid(f"{'Unknown scope ' + unknown[0] if unknown else 'No scope given'}. Known: {', '.join(SCOPES)}.")
    _within(scopes, by)


def _within(scopes: Sequence[str], by: Principal | None) -> None:
    beyond = [] if by is None else [scope for scope in scopes if not by.may(scope)]
    if beyond:
        raise Forbidden(f"Your key lacks the scope {beyond[0]}, so it cannot rule over one that has it.")


def _write_once(path: Path, key: Key) -> bool:
    """Write a key unless the file is there: a link either appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{random_digits(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(key.text() + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


def _contents(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        return None
