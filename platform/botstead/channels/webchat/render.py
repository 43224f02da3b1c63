"""From a row of the history table to what a browser is shown."""

from __future__ import annotations

from typing import Protocol, TypeVar

import msgspec

from botstead.core.messages import Action, AnswerButton, Attachment, Button, Delete, Edit, Kind, Send, Typing

IN, OUT = 0, 1
ASKS = '{"type":"pay"'
"""How the payload of what asks for money begins, until the provider has made its page: then it is a message with a button."""
SHOWN_KINDS = (Kind.MESSAGE, Kind.BUTTON)
LARGEST_ID = 2**63 - 1


class Row(Protocol):
    """One row of the history table, as far as a visitor is concerned."""

    id: int
    direction: int
    body: str
    payload: str | None
    at: float


class Press(msgspec.Struct, frozen=True):
    """A button: pressing it posts `value`, or opens `url`."""

    label: str
    value: str
    url: str


class Shown(msgspec.Struct, frozen=True, omit_defaults=True):
    """The data of one server-sent event. The first five are always there.

    Args:
        id: the message's id; null for what is no message.
        direction: in, out, draft, or system.
        text: Markdown, or plain text where `plain` is set.
        buttons: rows of buttons.
        at: Unix seconds.
        plain: take the text literally.
        key: the id that the page gave its own message.
        button: the value of the button that was pressed.
        target: the message that an edit or deletion changes, or whose button was pressed.
        attachments: files by address.
    """

    id: int | None
    direction: str
    text: str
    buttons: tuple[tuple[Press, ...], ...]
    at: float
    plain: bool = False
    key: str = ""
    button: str = ""
    target: int | None = None
    attachments: tuple[Attachment, ...] = ()


class Frame(msgspec.Struct, frozen=True):
    """One server-sent event: its type ("message" is the default one) and data."""

    event: str
    data: Shown


class _Heard(msgspec.Struct):
    """The fields of a stored event that are shown."""

    kind: str = Kind.MESSAGE
    press: str = ""
    button: str = ""
    message_id: str = ""


T = TypeVar("T")
_heard = msgspec.json.Decoder(_Heard)
_said: msgspec.json.Decoder[Action] = msgspec.json.Decoder(Action)


def render(row: Row) -> Frame | None:
    """Turn a row into an event for the page.

    Args:
        row: a row of the visitor's conversation.

    Returns:
        The event, or None when a visitor has nothing to see of it.
    """
    if row.direction == IN:
        return _render_in(row)
    return _render_out(row) if row.direction == OUT else None


def unready(row: Row) -> bool:
    """Whether a row will be something to see later: money was asked for, and the provider has not made its page yet."""
    return row.direction == OUT and row.payload is not None and row.payload.startswith(ASKS)


def system(event: str, *, at: float, text: str = "") -> Frame:
    """Build an event that is no message: typing, ready, notice.

    Args:
        event: its type.
        at: Unix seconds.
        text: a notice's words.
    """
    return Frame(event, Shown(None, "system", text, (), at))


def draft(text: str, *, at: float) -> Frame:
    """Build an event that shows what the bot is writing: no message yet.

    Args:
        text: Markdown, so far.
        at: Unix seconds.
    """
    return Frame("draft", Shown(None, "draft", text, (), at))


def _render_in(row: Row) -> Frame | None:
    heard = _decoded(_heard, row.payload) if row.payload else _Heard()
    if heard is None or heard.kind not in SHOWN_KINDS:
        return None
    shown = Shown(
        row.id,
        "in",
        row.body,
        (),
        row.at,
        plain=True,
        key=heard.press or heard.message_id,
        button=heard.button,
        target=_number(heard.message_id) if heard.button else None,
    )
    return Frame("message", shown)


def _render_out(row: Row) -> Frame | None:
    action = _decoded(_said, row.payload) if row.payload else Send()
    match action:
        case Send():
            files = action.attachments
            shown = Shown(row.id, "out", row.body, _rows(action.buttons), row.at, plain=action.plain, attachments=files)
            return Frame("message", shown)
        case Edit() | Delete():
            return _render_change(row, action)
        case Typing():
            return system("typing", at=row.at)
        case AnswerButton() if row.body:
            return system("notice", at=row.at, text=row.body)
        case _:
            return None


def _render_change(row: Row, action: Edit | Delete) -> Frame | None:
    target = _number(action.target)
    if target is None:
        return None
    if isinstance(action, Delete):
        return Frame("delete", Shown(row.id, "out", "", (), row.at, target=target))
    shown = Shown(row.id, "out", row.body, _rows(action.buttons), row.at, plain=action.plain, target=target)
    return Frame("edit", shown)


def _rows(rows: tuple[tuple[Button, ...], ...]) -> tuple[tuple[Press, ...], ...]:
    return tuple(
        tuple(Press(button.label, "" if button.url else button.token, button.url) for button in row) for row in rows if row
    )


def _number(text: str) -> int | None:
    """Read a message id; what a bot names that is none of ours changes nothing."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(LARGEST_ID))):
        return None
    return int(text) if int(text) <= LARGEST_ID else None


def _decoded(decoder: msgspec.json.Decoder[T], payload: str) -> T | None:
    try:
        return decoder.decode(payload)
    except msgspec.DecodeError:
        return None
