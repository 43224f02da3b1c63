"""Actions to Bot API calls: pure, so that what goes out can be read off what comes in.

The calls of one action are its parts: they are sent in order, and a retry goes on with the first one not sent.
Source: https://core.telegram.org/bots/api#available-methods and #formatting-options (HTML style)
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from botstead.channels.markdown import Mark, Run, Style, literal, read, split, utf16_length, write
from botstead.core.errors import Invalid
from botstead.core.messages import Action, AnswerButton, Attachment, Button, Call, Delete, Edit, Send, Typing

API_BASE: Final = "https://api.telegram.org"
TEXT_LIMIT: Final = 4096
"""UTF-16 units of a message's text, counted without its formatting."""
CAPTION_LIMIT: Final = 1024
NOTICE_LIMIT: Final = 200
"""Characters of the notice that answers a button press."""
BUTTON_LIMIT: Final = 64
"""Bytes of a button's value."""
TIMEOUT: Final = 8.0
"""Seconds; below the 10 s lease of a worker, so that an attempt ends before its worker can be taken for dead."""

ANSWER_LIMIT: Final = 262_144
"""Bytes of an answer. A message comes back with the one it replies to, 70 kB at most; 64 at once have to fit in memory."""

_FILES: Final = {
    "image": ("sendPhoto", "photo"),
    "audio": ("sendAudio", "audio"),
    "voice": ("sendVoice", "voice"),
    "video": ("sendVideo", "video"),
    "file": ("sendDocument", "document"),
    "sticker": ("sendSticker", "sticker"),
}
_UNCAPTIONED: Final = frozenset({"sticker", "location", "contact"})
_CHAT: Final = re.compile(r"(?P<chat>-?[0-9]{1,19}|@[A-Za-z0-9_]{1,64})(?:/(?P<thread>[0-9]{1,19}))?")
_NO_POSITION: Final = "A location's reference is «latitude,longitude» in degrees, such as 59.91,10.75."
_NUMBER: Final = re.compile(r"[0-9]{1,19}")
_JSON: Final = msgspec.json.Encoder()

Fields = dict[str, Any]


def call(method: str, fields: Mapping[str, Any], *, base: str = API_BASE, timeout: float = TIMEOUT) -> Call:
    """Build one Bot API request.

    Args:
        method: the API method's name.
        fields: its parameters.
        base: address of the API server; a self-hosted one has its own.
        timeout: total deadline in seconds.

    Raises:
        Invalid: a text cannot be written as UTF-8.
    """
    try:
        body = _JSON.encode(fields)
    except UnicodeEncodeError as error:
        raise Invalid("The text holds half of a surrogate pair, which cannot be sent. Check where it was cut.") from error
    return Call(
        method="POST",
        url=f"{base}/bot{{secret:token}}/{method}",
        headers={"content-type": "application/json"},
        body=body,
        timeout=timeout,
        limit=ANSWER_LIMIT,
        service="telegram",
    )


def render(action: Action, conversation: str, *, base: str = API_BASE) -> tuple[Call, ...]:
    """Write an action as Bot API calls, at least one.

    Args:
        action: what to do.
        conversation: a chat's id or @name, or `chat/thread` for a forum topic.
        base: address of the API server.

    Raises:
        Invalid: it cannot be said on Telegram; the message says why.
    """
    return tuple(call(method, fields, base=base) for method, fields in _requests(action, conversation))


def as_plain_text(request: Call) -> Call:
    """The same call without formatting, for when Telegram cannot parse it; links keep their address."""
    fields: Fields = msgspec.json.decode(request.body or b"{}")
    fields.pop("parse_mode", None)
    for name in ("text", "caption"):
        if name in fields:
            linked = re.sub(r'<a href="([^"]*)">(.*?)</a>', r"\2 (\1)", fields[name], flags=re.DOTALL)
            fields[name] = html.unescape(re.sub(r"<[^>]*>", "", linked))
    return msgspec.structs.replace(request, body=_JSON.encode(fields))


def _requests(action: Action, conversation: str) -> Iterator[tuple[str, Fields]]:
    """The methods of an action and their parameters, in order."""
    if isinstance(action, AnswerButton):
        answer = {"text": action.text[:NOTICE_LIMIT]} if action.text else {}
        return iter([("answerCallbackQuery", {"callback_query_id": action.press} | answer)])
    chat, topic = _address(conversation)
    match action:
        case Send():
            return _send(action, chat | topic)
        case Edit():
            return _edit(action, chat, topic)
        case Delete():
            return iter([("deleteMessage", chat | {"message_id": _message(action.target)})])
        case Typing():
            return iter([("sendChatAction", chat | topic | {"action": "typing"})])
        case _:
            raise Invalid("This bot has no payment account that could ask for money.")


def _send(action: Send, place: Fields) -> Iterator[tuple[str, Fields]]:
    """A new message: its text parts and files, buttons under the last, the reference to another message on the first."""
    requests = list(_contents(action))
    if not requests:
        raise Invalid("There is nothing to send: give a text that is not blank, or an attachment.")
    if action.buttons:
        requests[-1][1]["reply_markup"] = _keyboard(action.buttons)
    if action.reply_to:
        quoted = {"message_id": _message(action.reply_to), "allow_sending_without_reply": True}
        requests[0][1]["reply_parameters"] = quoted
    for method, fields in requests:
        yield method, place | fields


def _contents(action: Send) -> Iterator[tuple[str, Fields]]:
    """The text and the files; a short text becomes the caption of the first file."""
    files = list(action.attachments)
    runs = _runs(action.text, plain=action.plain)
    captions = split(runs, CAPTION_LIMIT, length=utf16_length) if files and _takes_caption(files[0]) else ()
    if len(captions) == 1:
        yield _file(files.pop(0), captions[0])
        runs = ()
    for part in split(runs, TEXT_LIMIT, length=utf16_length):
        yield "sendMessage", _formatted("text", part)
    for attachment in files:
        caption, *rest = split(read(attachment.caption), TEXT_LIMIT, length=utf16_length, first=CAPTION_LIMIT) or ((),)
        yield _file(attachment, caption)
        for part in rest:
            yield "sendMessage", _formatted("text", part)


def _edit(action: Edit, chat: Fields, topic: Fields) -> Iterator[tuple[str, Fields]]:
    """A message's new text and buttons; what does not fit into it follows as new messages."""
    target = chat | {"message_id": _message(action.target)}
    keyboard = {"reply_markup": _keyboard(action.buttons)} if action.buttons else {}
    parts = split(_runs(action.text, plain=action.plain), TEXT_LIMIT, length=utf16_length)
    if not parts:
        yield "editMessageReplyMarkup", target | keyboard
    for number, part in enumerate(parts, start=1):
        place = target if number == 1 else chat | topic
        method = "editMessageText" if number == 1 else "sendMessage"
        yield method, place | _formatted("text", part) | (keyboard if number == len(parts) else {})


def _takes_caption(attachment: Attachment) -> bool:
    return attachment.kind not in _UNCAPTIONED and not attachment.caption


def _file(attachment: Attachment, caption: Sequence[Run]) -> tuple[str, Fields]:
    """One file, place or contact. Files go by Telegram's own id, or by an address that Telegram fetches."""
    if attachment.kind == "location":
        return "sendLocation", _position(attachment.reference)
    if attachment.kind == "contact":
        return "sendContact", {"phone_number": attachment.reference, "first_name": attachment.name or attachment.reference}
    if attachment.kind not in _FILES:
        raise Invalid(f"Telegram has no attachment of kind {attachment.kind!r}. Use one of: {', '.join(_FILES)}.")
    source = attachment.reference or attachment.url
    if not source:
        raise Invalid("The attachment has neither a reference nor a URL.")
    method, field = _FILES[attachment.kind]
    return method, {field: source} | (_formatted("caption", caption) if caption else {})


def _position(reference: str) -> Fields:
    """A place, written «latitude,longitude» in degrees."""
    try:
        latitude, longitude = (float(part) for part in reference.split(","))
    except ValueError as error:
        raise Invalid(_NO_POSITION) from error
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        raise Invalid(_NO_POSITION)
    return {"latitude": latitude, "longitude": longitude}


def _keyboard(rows: Sequence[Sequence[Button]]) -> Fields:
    return {"inline_keyboard": [[_button(button) for button in row] for row in rows if row]}


def _button(button: Button) -> Fields:
    if not button.label:
        raise Invalid("A button needs a label.")
    if button.url:
        return {"text": button.label, "url": button.url}
    if len(button.token.encode(errors="replace")) > BUTTON_LIMIT:
        raise Invalid(f"The value of button {button.label!r} is over {BUTTON_LIMIT} bytes. Keep the data, send a short key.")
    return {"text": button.label, "callback_data": button.token}


def _address(conversation: str) -> tuple[Fields, Fields]:
    """Where to send: the chat, and the topic in it."""
    found = _CHAT.fullmatch(conversation)
    if not found:
        raise Invalid(f"{conversation[:80]!r} is no Telegram chat: give its number, its @name, or chat/thread.")
    chat, thread = found["chat"], found["thread"]
    return {"chat_id": chat if chat.startswith("@") else int(chat)}, {"message_thread_id": int(thread)} if thread else {}


def _message(identifier: str) -> int:
    if not _NUMBER.fullmatch(identifier):
        raise Invalid(f"{identifier[:80]!r} is no Telegram message id.")
    return int(identifier)


def _runs(text: str, *, plain: bool) -> tuple[Run, ...]:
    return literal(text) if plain else read(text)


def _formatted(field: str, runs: Sequence[Run]) -> Fields:
    """A text field; formatting is announced only where there is some."""
    if not any(run.styles for run in runs):
        return {field: "".join(run.text for run in runs)}
    kept = [run._replace(styles=_allowed(run.styles)) for run in runs]
    return {field: write(kept, _HTML), "parse_mode": "HTML"}


def _allowed(styles: tuple[Style, ...]) -> tuple[Style, ...]:
    """What Telegram nests: each kind once, and nothing but a quotation around code."""
    code = [style for style in styles if style.mark in (Mark.CODE, Mark.PRE)]
    if code:
        return (*(style for style in styles[:1] if style.mark is Mark.QUOTE), code[-1])
    marks = [style.mark for style in styles]
    return tuple(style for place, style in enumerate(styles) if style.mark not in marks[:place])


class _Html:
    """Telegram's HTML: a few tags, and three characters to escape (four in an attribute)."""

    _TAGS: Final = {Mark.BOLD: "b", Mark.ITALIC: "i", Mark.STRIKE: "s", Mark.CODE: "code", Mark.QUOTE: "blockquote"}

    def escape(self, text: str, _styles: tuple[Style, ...]) -> str:
        return html.escape(text, quote=False)

    def opening(self, style: Style) -> str:
        if style.mark is Mark.LINK:
            return f'<a href="{html.escape(style.argument)}">'
        if style.mark is Mark.PRE:
            return f'<pre><code class="language-{html.escape(style.argument)}">' if style.argument else "<pre>"
        return f"<{self._TAGS[style.mark]}>"

    def closing(self, style: Style) -> str:
        if style.mark is Mark.LINK:
            return "</a>"
        if style.mark is Mark.PRE:
            return "</code></pre>" if style.argument else "</pre>"
        return f"</{self._TAGS[style.mark]}>"


_HTML: Final = _Html()
