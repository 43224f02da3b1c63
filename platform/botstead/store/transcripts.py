"""Conversations and messages as lists show them, and pages of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

DIRECTIONS = ("in", "out", "internal")
"""By the number that the table keeps."""
Direction = Literal["in", "out", "internal"]


class ConversationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation with its newest message."""

    id: str
    bot: str
    channel: str
    kind: str
    last_message: int
    last_direction: Direction
    last_text: str
    last_at: datetime


class MessageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A message as lists show it. `status`: received; or waiting, sent, failed, unknown; empty in search results."""

    id: int
    direction: Direction
    bot: str
    channel: str
    conversation: str
    text: str
    at: datetime
    reply_to: int | None = None
    status: str = ""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A page of messages; `next` is the `before` of the next page, None at the end."""

    items: tuple[MessageRecord, ...]
    next: int | None = None


class Talks(msgspec.Struct, frozen=True, kw_only=True):
    """A page of conversations; `next` as in `Found`."""

    items: tuple[ConversationRecord, ...]
    next: int | None = None


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Which messages a list is about: of one bot, of one channel, or all. Both are internal numbers."""

    bot: int | None = None
    channel: int | None = None


EVERYTHING = Scope()


def conversation_from(row: Mapping[str, Any]) -> ConversationRecord:
    """Build one from a row of `sql/history.sql`."""
    return ConversationRecord(
        id=row["conversation"],
        bot=row["bot"],
        channel=row["channel"],
        kind=row["kind"],
        last_message=row["id"],
        last_direction=DIRECTIONS[row["direction"]],  # type: ignore[arg-type]  # the column holds 0, 1 or 2
        last_text=row["body"] or "",
        last_at=row["at"],
    )


def message_from(row: Mapping[str, Any]) -> MessageRecord:
    """Build one from a row of `sql/history.sql`."""
    return MessageRecord(
        id=row["id"],
        direction=DIRECTIONS[row["direction"]],  # type: ignore[arg-type]  # the column holds 0, 1 or 2
        bot=row["bot"],
        channel=row["channel"],
        conversation=row["conversation"],
        text=row["body"] or "",
        at=row["at"],
        reply_to=row["reply_to"],
        status=row["status"],
    )
