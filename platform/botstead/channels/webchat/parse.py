"""From what the page posts to an event."""

from __future__ import annotations

import uuid

import msgspec

from botstead.core.errors import Invalid, Unreadable
from botstead.core.messages import Event, Kind, Person

TEXT_LIMIT = 8_000
"""Characters of one message."""
BUTTON_LIMIT = 256
"""Characters of a button's value."""
LARGEST_ID = 2**63 - 1


class Posted(msgspec.Struct, frozen=True):
    """The body of `POST /chat/{bot}/messages`.

    Args:
        text: what was typed; with a button, what its label reads.
        button: the value of a pressed button.
        message: the id of the message that the button belongs to.
        id: names this message, so that sending it again is safe.
    """

    text: str | None = None
    button: str | None = None
    message: int | None = None
    id: uuid.UUID | None = None


def parse_posted(body: bytes, *, visitor: str, fresh: uuid.UUID) -> Event:
    """Read one posted message.

    Args:
        body: JSON, see `Posted`.
        visitor: who posted it; also the conversation.
        fresh: the message's id if the body names none.

    Raises:
        Unreadable: the body is not JSON.
        Invalid: a field is missing, of another type, or too long.
    """
    posted = _decoded(body)
    text, button = _clean(posted.text), _clean(posted.button)
    if not text.strip() and not button.strip():
        raise Invalid("Send a «text» or a «button».")
    if len(text) > TEXT_LIMIT:
        raise Invalid(f"The text has {len(text)} characters; at most {TEXT_LIMIT} are taken. Send it in parts.")
    if len(button) > BUTTON_LIMIT:
        raise Invalid(f"A button's value has at most {BUTTON_LIMIT} characters.")
    if posted.message is not None and not 0 < posted.message <= LARGEST_ID:
        raise Invalid("«message» is not the id of a message.")
    own = str(posted.id or fresh)
    said = Event(kind=Kind.MESSAGE, conversation=visitor, key=f"{visitor}.{own}", text=text, author=Person(id=visitor))
    if not button:
        return msgspec.structs.replace(said, message_id=own)
    return msgspec.structs.replace(
        said, kind=Kind.BUTTON, text=text or button, button=button, press=own, message_id=str(posted.message or "")
    )


def _decoded(body: bytes) -> Posted:
    try:
        return msgspec.json.decode(body, type=Posted)
    except msgspec.ValidationError as error:
        raise Invalid(f"{error}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable from error


def _clean(text: str | None) -> str:
    """Drop what Postgres cannot store, and spell line ends one way."""
    return (text or "").replace("\0", "").replace("\r\n", "\n")
