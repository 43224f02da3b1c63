"""What the chat page reads from the history table."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import asyncpg
import msgspec

from botstead.store.queries import load

SQL = load("chat")


class Row(msgspec.Struct):
    """One row of a conversation, as far as a visitor is concerned. `at` is in Unix seconds; `reply_to` is what it answers."""

    id: int
    direction: int
    body: str
    payload: str | None
    at: float
    reply_to: int | None = None


async def read_above(
    connection: asyncpg.Connection, conversation: str, *, floor: int, read: Collection[int], most: int
) -> list[Row]:
    """Read what was not read yet, oldest first.

    Args:
        connection: where.
        conversation: its key.
        floor: rows up to this id are done with.
        read: ids above the floor that were read before.
        most: rows to return.
    """
    rows = await connection.fetch(SQL["read_above"], conversation, floor, list(read), most)
    return [Row(**row) for row in rows]


async def floor_below_newest(connection: asyncpg.Connection, conversation: str, *, most: int) -> int:
    """Return the floor above which the newest messages of a conversation lie, with all that changed them.

    Args:
        connection: where.
        conversation: its key.
        most: messages wanted. While there are fewer, the floor is 0: a first message may still be on its way.
    """
    row = await connection.fetchrow(SQL["opening"], conversation, most)
    return int(row["first"]) - 1 if row["found"] == most else 0


async def count_above(connection: asyncpg.Connection, floors: Sequence[tuple[str, int]]) -> list[int]:
    """Count the rows above the floor of each conversation, in one statement.

    Args:
        connection: where.
        floors: (conversation, floor) pairs.
    """
    conversations, ids = [pair[0] for pair in floors], [pair[1] for pair in floors]
    return [row["rows"] for row in await connection.fetch(SQL["count_above"], conversations, ids)]
