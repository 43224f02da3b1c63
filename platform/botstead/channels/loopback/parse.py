"""From a signed body to one event: pure, from bytes."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from botstead.core import bodies
from botstead.core.errors import Unreadable
from botstead.core.messages import Delivery, Event, Kind, Parsed

Word = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-z0-9-]+\Z")]


class Chirp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the canary posts.

    Args:
        conversation: which of its conversations; each belongs to another partition.
        key: the dedup key.
        text: what it says.
    """

    conversation: Word
    key: Word
    text: Word


def parse(delivery: Delivery) -> Parsed:
    """Find the event in a verified delivery.

    Args:
        delivery: raw request.

    Raises:
        Unreadable: the body is not what the canary posts.
    """
    bodies.decode(delivery.body)
    try:
        chirp = msgspec.json.decode(delivery.body, type=Chirp)
    except msgspec.ValidationError as error:
        raise Unreadable from error
    event = Event(Kind.MESSAGE, chirp.conversation, chirp.key, text=chirp.text, raw=msgspec.Raw(delivery.body))
    return Parsed(events=(event,))
