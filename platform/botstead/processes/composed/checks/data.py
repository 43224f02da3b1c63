"""Postgres and what is stored."""

from __future__ import annotations

from botstead.processes.checking import MISSING, OK, WARNING, WRONG
from botstead.processes.composed.facts import Facts

BUILTIN = "b"
"""The provider of locales whose order never changes (https://www.postgresql.org/docs/current/locale.html)."""
HELD_BACK = 900_000_000
"""Bytes of write-ahead log that a dead receiver may hold back; at 1 GB the slot is given up."""
BACKUP = "backup"


def volumes(facts: Facts) -> tuple[str, str]:
    """No data lies in a volume without a name, which the next `down -v` or prune takes."""
    nameless = [f"{each.service} {path}" for each in facts.containers for path in each.anonymous]
    if nameless:
        return WRONG, f"Data in volumes without a name: {', '.join(nameless)}. Give each a named volume."
    return OK, "all have names"


def database(facts: Facts) -> tuple[str, str]:
    """It answers, loses nothing at a crash, and its pages are whole."""
    found = facts.database
    if found is None:
        return MISSING, "It was not asked: none runs here, or it is an outside one."
    if found.unsafe:
        return WRONG, f"A crash may lose messages: {', '.join(found.unsafe)} is off. Switch it on."
    if found.failures:
        return WRONG, f"{found.failures} pages have wrong checksums: the disk fails. Restore a backup on another disk."
    return OK, f"Postgres {found.version}, {found.size / 1e6:.0f} MB"


def collation(facts: Facts) -> tuple[str, str]:
    """Indexes on text keep their order whatever image runs."""
    found = facts.database
    return (MISSING, "Not known here.") if found is None else judge_collation(found.provider, found.recorded, found.actual)


def judge_collation(provider: str, recorded: str | None, actual: str | None) -> tuple[str, str]:
    """Judge how the database sorts.

    Args:
        provider: `datlocprovider`.
        recorded: version of the collation that its indexes were made with.
        actual: version that the system has now.
    """
    if recorded and actual and recorded != actual:
        return WRONG, f"Indexes were sorted by {recorded}, now {actual} is here. REINDEX DATABASE, then refresh the version."
    if provider != BUILTIN:
        return WARNING, "It sorts as the system's libc does, so pin the image. A new one has --locale-provider=builtin."
    return OK, "builtin"


def passwords(facts: Facts) -> tuple[str, str]:
    """Nobody is refused for a password: changing the file does not change the one in the database."""
    if facts.refusals:
        return WRONG, (
            f"Postgres refused a password {facts.refusals} times within 10 minutes. Put the old file back into secrets/, or set "
            "the new one with ALTER ROLE."
        )
    return OK, "none was refused"


def slots(facts: Facts) -> tuple[str, str]:
    """No receiver that died holds back the log until the disk is full."""
    if facts.database is None:
        return MISSING, "Not known here."
    if facts.database.slots > HELD_BACK:
        return WARNING, f"{facts.database.slots / 1e6:.0f} MB are held back for a receiver. Start it again, or drop its slot."
    return OK, f"{facts.database.slots / 1e6:.0f} MB are held back"


def backup(facts: Facts) -> tuple[str, str]:
    """Somebody makes backups."""
    if any(each.service == BACKUP and each.status == "running" for each in facts.containers):
        return OK, "the service runs"
    return MISSING, "There is none yet. Until then take pg_dump and secrets/ off this machine, both: neither helps alone."
