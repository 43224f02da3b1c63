"""Lets messages be found by their trace. As with words, nothing is indexed while it is being kept, but parts that are closed."""

from __future__ import annotations

from botstead.store.postgres import Postgres
from botstead.store.queries import load
from botstead.store.search import CLOSED_AFTER, INDEX_SECONDS, PART_ROWS, patiently

SQL = load("hops")
SEARCH = load("search")


async def index_traces(postgres: Postgres) -> list[str]:
    """Build the indexes on traces that closed parts of history lack. Messages are kept on meanwhile; safe to repeat.

    Args:
        postgres: where the messages are.

    Returns:
        The names of the indexes that were built now.

    Raises:
        Unavailable: an index took too long, for somebody's transaction stayed open; the next call goes on.
    """
    async with postgres.connection() as connection:
        newest = int(await connection.fetchval(SEARCH["newest"]))
        parts = [row["part"] for row in await connection.fetch(SEARCH["parts"])]
        present = {row["name"]: row["valid"] for row in await connection.fetch(SQL["trace_indexes"])}
        closed = sorted(part for part in parts if (part + 1) * PART_ROWS <= newest - CLOSED_AFTER)
        lacking = [(part, f"message_{part}_trace") for part in closed if not present.get(f"message_{part}_trace")]
        async with patiently(connection):
            for part, name in lacking:
                if name in present:  # it was not built to its end
                    await connection.execute(SEARCH["drop"].format(name=name), timeout=INDEX_SECONDS)
                await connection.execute(SQL["index_trace"].format(name=name, part=part), timeout=INDEX_SECONDS)
    return [name for _, name in lacking]
