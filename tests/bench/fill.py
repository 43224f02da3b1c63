"""History made by SQL: millions of messages in a minute, in the tables and the order that the road would have left."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from botstead.store.search import PART_ROWS
from tests.bench.server import Server
from tests.bench.targets import DATABASE

WORDS = 20_000
LENGTH = 12
"""Words of a text. Word r is drawn with a chance that falls like r^(-3/4): w0 is in half of all texts, w19999 in one of 7,000."""
NEEDLE_EVERY = 100_003
FIRST_CHAT = 70_000_000
"""As the load generator numbers them."""

_WORD = f"'w' || floor({WORDS} * power(random(), 4))::int"
_TEXT = " || ' ' || ".join([_WORD] * LENGTH)
_MESSAGES = f"""
INSERT INTO message (id, direction, bot, channel, conversation, reply_to, body, payload, at)
SELECT i, i % 2, {{bot}}, {{channel}}, '{{channel}}.' || ({FIRST_CHAT} + floor(random() * {{chats}})::int), CASE WHEN i % 2 = 1 THEN i - 1 END,
    {_TEXT} || CASE WHEN i % {NEEDLE_EVERY} = 0 THEN ' needle' ELSE '' END, '{{{{"type":"send"}}}}', now() - (2 * {{last}} - i) * interval '1 ms'
FROM generate_series({{first}}::bigint, {{last}}::bigint) AS i"""
_SEEN = """
INSERT INTO seen (channel, key, id) SELECT {channel}, 'filled' || i, i FROM generate_series({first}::bigint, {last}::bigint) AS i WHERE i % 2 = 0"""
_DELIVERY = """
INSERT INTO delivery (id, outcome, external_id) SELECT i, 'sent', i FROM generate_series({first}::bigint, {last}::bigint) AS i WHERE i % 2 = 1"""


def fill(server: Server, *, first: int, rows: int, chats: int, seed: int = 1) -> None:
    """Add history up to a number of rows.

    Args:
        server: holds the database, migrated, with a channel that belongs to `echo`.
        first: rows that are there.
        rows: rows there shall be; the next message gets the id after it.
        chats: among so many conversations.
        seed: chooses the words.
    """
    bot, channel = server.run("SELECT bot, id FROM channel ORDER BY id DESC LIMIT 1", database=DATABASE).split("|")
    for part in range(rows // PART_ROWS + 1):
        server.run(f"SELECT setval('message_id', greatest(1, {part * PART_ROWS}))", "SELECT extend_message()", database=DATABASE)
    # Until the end the parts look open, so that the scheduler does not index what is still being vacuumed.
    server.run(f"SELECT setval('message_id', {max(1, first)})", database=DATABASE)

    def add(start: int) -> None:
        last = min(start + PART_ROWS, rows + 1) - 1
        where = {"bot": bot, "channel": channel, "chats": chats, "first": max(start, first + 1), "last": last}
        setup = ("SET synchronous_commit = off", f"SELECT setseed({(seed * 7919 + start // PART_ROWS) % 1000 / 1000})")
        server.run(*setup, *(text.format(**where) for text in (_MESSAGES, _SEEN, _DELIVERY)), database=DATABASE)
        if last == start + PART_ROWS - 1:  # a young part has no statistics in real life either
            server.run(f"VACUUM (ANALYZE) message_{start // PART_ROWS}", database=DATABASE)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(add, range(first - first % PART_ROWS, rows + 1, PART_ROWS)))
    server.run("VACUUM (ANALYZE) seen", "VACUUM (ANALYZE) delivery", database=DATABASE)
    server.run(f"SELECT setval('message_id', {rows})", "CHECKPOINT", database=DATABASE)


def know(server: Server, chats: int) -> None:
    """Give each of so many conversations a state, as if it had been talked to before."""
    bot, channel = server.run("SELECT bot, id FROM channel ORDER BY id DESC LIMIT 1", database=DATABASE).split("|")
    server.run(
        f"INSERT INTO conversation SELECT {bot}, '{channel}.' || ({FIRST_CHAT} + i), 1, '{{\"count\":1}}' "
        f"FROM generate_series(0, {chats - 1}) AS i ON CONFLICT DO NOTHING",
        "VACUUM (ANALYZE) conversation",
        database=DATABASE,
    )
