"""From a signed body to events: pure, from bytes.

A body is one event, or `{"events": [...]}`. JSON that is no event of ours (another service's webhook, say) is kept as it is,
as `Kind.UNKNOWN`, so that nothing that was signed and acknowledged is lost.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from botstead.channels.webhook.verify import ID_HEADER, MESSAGE_ID, TIMESTAMP_HEADER
from botstead.core import bodies
from botstead.core.errors import Unreadable
from botstead.core.messages import Attachment, Delivery, Event, Kind, Parsed, Person

MOST_EVENTS: Final = 100
"""Events of one delivery; they are kept in one transaction."""

Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200, pattern="^[^\\x00]*$")]
"""An id chosen by the sender. Its length keeps every index of ours below the limit of Postgres, percent-encoded too."""

Id: TypeAlias = Name | int


class Author(msgspec.Struct, frozen=True):
    """Who wrote: an opaque id, and what to call them."""

    id: Id
    name: str = ""


class Posted(msgspec.Struct, frozen=True):
    """One event as a sender writes it. `text`, `button` or `attachments` must say something.

    Args:
        conversation: the sender's id of the conversation; a number is taken as its digits.
        id: the sender's id of this event. In a list it is the dedup key.
        text: what was written.
        author: who wrote it.
        button: the value of the button that was pressed.
        attachments: see `core.messages.Attachment`.
    """

    conversation: Id
    id: Id = ""
    text: str = ""
    author: Author | None = None
    button: Annotated[str, Meta(max_length=256)] = ""
    attachments: tuple[Attachment, ...] = ()


class _Batch(msgspec.Struct, frozen=True):
    events: list[msgspec.Raw]


def parse(delivery: Delivery) -> Parsed:
    """Find the events in a verified delivery.

    Args:
        delivery: raw request; its `webhook-id` becomes the dedup key, its `webhook-timestamp` the events' time.

    Raises:
        Unreadable: the body is not UTF-8 JSON, is nested too deep or holds too many events, or the id is no id.
    """
    key = delivery.header(ID_HEADER) or b""
    if not MESSAGE_ID.fullmatch(key):
        raise Unreadable("The header webhook-id must be 1 to 256 visible ASCII characters.")
    at = _time(delivery.header(TIMESTAMP_HEADER))
    bodies.decode(delivery.body)
    name = key.decode("ascii")
    try:
        items = msgspec.json.decode(delivery.body, type=_Batch).events
    except msgspec.ValidationError:
        return Parsed(events=(_event(delivery.body, name, at),))
    if len(items) > MOST_EVENTS:
        raise Unreadable(f"{len(items)} events in one delivery, at most {MOST_EVENTS} are taken. Send them in parts.")
    return Parsed(events=tuple(_event(bytes(item), f"{name}/{index}", at, own_key=True) for index, item in enumerate(items)))


def _event(raw: bytes, key: str, at: float, *, own_key: bool = False) -> Event:
    kept = msgspec.Raw(raw)
    try:
        posted = msgspec.json.decode(raw, type=Posted)
    except msgspec.ValidationError:
        return Event(Kind.UNKNOWN, "", key, at=at, raw=kept)
    if not (posted.text or posted.button or posted.attachments):
        return Event(Kind.UNKNOWN, "", key, at=at, raw=kept)
    own = str(posted.id)
    return Event(
        kind=Kind.BUTTON if posted.button else Kind.MESSAGE,
        conversation=str(posted.conversation),
        key=own if own and own_key else key,
        text=_storable(posted.text or posted.button),
        author=Person(id=str(posted.author.id), name=_storable(posted.author.name)) if posted.author else None,
        message_id=own or key,
        button=_storable(posted.button),
        press=(own or key) if posted.button else "",
        attachments=posted.attachments,
        at=at,
        raw=kept,
    )


def _time(header: bytes | None) -> float:
    return float(header) if header and header.isdigit() and len(header) <= 12 else 0.0


def _storable(text: str) -> str:
    """Drop the one character that Postgres cannot keep."""
    return text.replace("\0", "")
