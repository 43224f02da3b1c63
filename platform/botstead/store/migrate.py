"""Bring the database to the schema of this version: `botstead migrate`.

Migrations are SQL files in `migrations/`, named `<number>_<phase>_<what>.sql`. Phase `pre` runs before new code starts
and must leave the previous release working (expand); phase `post` runs once every process runs the new release
(contract). Each runs in one transaction together with its own record, under an advisory lock, so that any number of
replicas may start it at once. A changed migration is refused, and an unknown one, unless it is a `pre` step of a later
release: that left this release working, so one can go back to this one (`botstead rollback`).
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib import resources
from typing import Literal

import asyncpg
import msgspec

from botstead.core.errors import SchemaMismatch, Unavailable
from botstead.store import postgres
from botstead.store.queries import load

Phase = Literal["pre", "post"]
LOCK = 0x626F7473  # «bots»
LOCK_WAIT = 60.0
"""Seconds to wait for another replica that migrates."""
TABLE = """CREATE TABLE IF NOT EXISTS migration (
    number integer PRIMARY KEY, phase text NOT NULL, name text NOT NULL, digest text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp())"""


class Migration(msgspec.Struct, frozen=True):
    """One step of the schema."""

    number: int
    phase: Phase
    name: str
    sql: str

    @property
    def digest(self) -> str:
        """Recognises the text that was applied."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def shipped() -> tuple[Migration, ...]:
    """Read the migrations of this version, in order."""
    found = []
    for file in resources.files(__package__).joinpath("migrations").iterdir():
        if file.name.endswith(".sql"):
            number, phase, name = file.name.removesuffix(".sql").split("_", 2)
            found.append(Migration(int(number), msgspec.convert(phase, Phase), name, file.read_text(encoding="utf-8")))
    return tuple(sorted(found, key=lambda migration: migration.number))


async def migrate(dsn: str, *, phase: Phase = "pre") -> list[str]:
    """Apply what is missing.

    Args:
        dsn: where.
        phase: `pre` applies expanding steps, `post` also contracting ones.

    Returns:
        The names of the steps that were applied now.

    Raises:
        SchemaMismatch: the data is of a newer version, or a step that was applied has another text now.
        Unavailable: the server is away, or another replica held the lock too long.
        UnsafePostgres: see `postgres.check_safe`.
    """
    connection = await postgres.connect(dsn, application="migrate", overrides={"lock_timeout": "4000", "statement_timeout": "0"})
    try:
        await postgres.check_safe(connection)
        async with _locked(connection):
            return await _apply_missing(connection, shipped(), phase)
    finally:
        await connection.close()


async def check(connection: asyncpg.Connection) -> None:
    """Refuse to run on a schema that this version does not know or that lacks a step.

    Raises:
        SchemaMismatch: the message says which way.
    """
    if await connection.fetchval("SELECT to_regclass('migration')") is None:
        raise SchemaMismatch
    applied = await _applied(connection)
    _refuse_strangers(applied, shipped())
    missing = [step.name for step in shipped() if step.phase == "pre" and step.number not in applied]
    if missing:
        raise SchemaMismatch(f"The database lacks {', '.join(missing)}. Run `botstead migrate`.")


async def holds_sealed(dsn: str) -> bool:
    """Return whether a database holds sealed values, so that their key ring must not be replaced by a new one.

    Args:
        dsn: a migrated database.

    Raises:
        Unavailable: it cannot be reached.
    """
    connection = await postgres.connect(dsn, application="migrate")
    try:
        return bool(await connection.fetchval(load("registry")["holds_sealed"]))
    finally:
        await connection.close()


@asynccontextmanager
async def _locked(connection: asyncpg.Connection) -> AsyncIterator[None]:
    await connection.execute(f"SET lock_timeout = {int(LOCK_WAIT * 1000)}")
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK, timeout=LOCK_WAIT + 5)
    except asyncpg.LockNotAvailableError as error:
        raise Unavailable("Another process has been migrating for a minute. Wait for it, then retry.", after=30) from error
    await connection.execute("SET lock_timeout = 4000")
    try:
        yield
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", LOCK)


async def _apply_missing(connection: asyncpg.Connection, steps: Sequence[Migration], phase: Phase) -> list[str]:
    await connection.execute(TABLE)
    applied = await _applied(connection)
    _refuse_strangers(applied, steps)
    done = []
    for step in steps:
        if step.number in applied or (phase == "pre" and step.phase == "post"):
            continue
        async with connection.transaction():
            await connection.execute(step.sql, timeout=600)
            await connection.execute(
                "INSERT INTO migration (number, phase, name, digest) VALUES ($1, $2, $3, $4)",
                step.number,
                step.phase,
                step.name,
                step.digest,
            )
        done.append(f"{step.number:04}_{step.phase}_{step.name}")
    return done


async def _applied(connection: asyncpg.Connection) -> dict[int, tuple[str, str]]:
    """Return the number of each applied step, with its phase and digest."""
    rows = await connection.fetch("SELECT number, phase, digest FROM migration")
    return {row["number"]: (row["phase"], row["digest"]) for row in rows}


def _refuse_strangers(applied: dict[int, tuple[str, str]], steps: Sequence[Migration]) -> None:
    known = {step.number: step.digest for step in steps}
    newest = max(known, default=0)
    strangers = sorted(set(applied) - set(known))
    newer = [number for number in strangers if number < newest or applied[number][0] != "pre"]
    if newer:
        raise SchemaMismatch(
            f"The data is of a newer version (step {newer[-1]}). Start that version, or restore an older backup."
        )
    changed = [number for number, (_, digest) in applied.items() if number in known and known[number] != digest]
    if changed:
        raise SchemaMismatch(f"Step {changed[0]} was applied with another text. Use the release that wrote this data.")
