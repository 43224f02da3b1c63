"""What the database says, asked on a connection of our own: who holds what, who leads, what was refused."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    from botstead.processes.prove.installation import Installation

SECONDS = 5.0
SHARES = """
SELECT w.name, count(*) AS partitions FROM worker w JOIN partition p ON p.worker = w.id
WHERE w.lease_until > clock_timestamp() GROUP BY w.name
"""


async def ask(running: Installation, query: str, *values: Any) -> list[asyncpg.Record]:
    """Run one query.

    Args:
        running: whose database.
        query: with $1, $2, …
        values: for them.

    Raises:
        OSError: it cannot be reached.
        asyncpg.PostgresError: it refuses.
    """
    connection = await asyncpg.connect(running.postgres.dsn, timeout=SECONDS, command_timeout=SECONDS)
    try:
        return list(await connection.fetch(query, *values))
    finally:
        with suppress(OSError, TimeoutError):
            await connection.close(timeout=SECONDS)


async def shares(running: Installation) -> dict[str, int]:
    """Return how many partitions each living worker holds, by its name.

    Args:
        running: whose workers.
    """
    return {row["name"]: row["partitions"] for row in await ask(running, SHARES)}


async def deadlocks(running: Installation) -> int:
    """Return how many deadlocks the database has broken since it was made.

    Args:
        running: whose database.
    """
    return int((await ask(running, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"))[0][0])
