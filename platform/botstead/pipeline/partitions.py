"""Which conversation belongs where: keys, partitions, shares. Pure arithmetic."""

from __future__ import annotations

import zlib
from urllib.parse import quote, unquote

from botstead.core.errors import Unreadable

PARTITIONS = 64
"""Fixed for ever: it is in the data."""
EXTERNAL_LIMIT = 512
"""Longest external id of a conversation that we take, in characters after encoding."""


def conversation_key(account: int, external: str) -> str:
    """Name a conversation: the channel's number and the provider's id, safe in URLs.

    Args:
        account: the channel's number.
        external: the provider's id of the conversation, any text.

    Raises:
        Unreadable: the id is longer than any provider's, or no valid text.
    """
    try:
        encoded = quote(external, safe="")
    except UnicodeEncodeError as error:
        raise Unreadable("The id of the conversation is not valid UTF-8.") from error
    if len(encoded) > EXTERNAL_LIMIT:
        raise Unreadable("The id of the conversation is too long.")
    return f"{account}.{encoded}"


def external_id(conversation: str) -> str:
    """Return the provider's id from a conversation key."""
    return unquote(conversation.partition(".")[2])


def account_of(conversation: str) -> int:
    """Return the channel's number from a conversation key, or 0 when it is none."""
    head = conversation.partition(".")[0]
    return int(head) if head.isascii() and head.isdigit() else 0


def partition_of(conversation: str) -> int:
    """Return the partition that owns a conversation; CRC-32 is stable across versions and machines."""
    return zlib.crc32(conversation.encode()) % PARTITIONS


def share(rank: int, workers: int) -> int:
    """Return how many partitions the worker at a rank (0 is the oldest) should own."""
    base, extra = divmod(PARTITIONS, workers)
    return base + (rank < extra)
