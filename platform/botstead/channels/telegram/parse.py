"""Updates to events: pure, from bytes.

A forum topic is a conversation of its own, `<chat>/<thread>`. An update that tells nothing we know keeps its raw JSON and is
`Kind.UNKNOWN`. The dedup key is the update id, except for joins and leaves: Telegram tells those twice, as a service message
and as a change of membership, so both get the same key and count once.

Source: https://core.telegram.org/bots/api#update
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from botstead.channels.telegram.updates import CallbackQuery, Chat, File, MemberChange, Message, Update, User
from botstead.core.bodies import decode
from botstead.core.errors import Unreadable
from botstead.core.messages import Attachment, Delivery, Event, Kind, Parsed, Person

_FILES: Final = {
    "animation": "video",
    "audio": "audio",
    "document": "file",
    "sticker": "sticker",
    "video": "video",
    "video_note": "video",
    "voice": "voice",
}


def parse(delivery: Delivery) -> Parsed:
    """Find the events in a delivery: Telegram sends one update each.

    Raises:
        Unreadable: the body is not an update.
    """
    return Parsed(events=parse_update(delivery.body))


def parse_update(body: bytes) -> tuple[Event, ...]:
    """Read one update: one event, or one for each person when several join at once.

    Args:
        body: the update's JSON.

    Raises:
        Unreadable: it is not JSON of an update, whatever the bytes.
    """
    # All of it is decoded, not only what we read: the raw JSON is kept, and must be readable for whoever reads it later.
    tree = decode(body)
    try:
        update = msgspec.convert(tree, Update)
    except msgspec.ValidationError as error:
        raise Unreadable("This is not a Telegram update.") from error
    raw = msgspec.Raw(body)
    return tuple(msgspec.structs.replace(event, raw=raw) for event in _events(update))


def unknown(update_id: int, raw: bytes) -> Event:
    """An update that we cannot read, kept as it is."""
    return Event(Kind.UNKNOWN, "", str(update_id), raw=msgspec.Raw(raw))


def _events(update: Update) -> Iterator[Event]:
    """What an update says."""
    key = str(update.update_id)
    if new := update.message or update.channel_post:
        yield from _message(new, key)
    elif edited := update.edited_message or update.edited_channel_post:
        yield _content(edited, key, Kind.EDITED)
    elif (press := update.callback_query) and press.message and press.data:
        yield _press(press, press.message, key)
    elif change := update.my_chat_member or update.chat_member:
        yield _membership(change, key)
    else:
        yield Event(Kind.UNKNOWN, "", key)


def _message(message: Message, key: str) -> Iterator[Event]:
    """A message, or a service message about the chat."""
    if message.migrate_to_chat_id:
        yield _moved(str(message.chat.id), str(message.migrate_to_chat_id), message, key)
    elif message.migrate_from_chat_id:
        yield _moved(str(message.migrate_from_chat_id), str(message.chat.id), message, key)
    elif message.new_chat_members:
        for user in message.new_chat_members:
            yield _went(Kind.JOINED, message.chat, user, by=message.sender, at=message.date)
    elif message.left_chat_member:
        yield _went(Kind.LEFT, message.chat, message.left_chat_member, by=message.sender, at=message.date)
    else:
        event = _content(message, key, Kind.MESSAGE)
        yield event if event.text or event.attachments else msgspec.structs.replace(event, kind=Kind.UNKNOWN)


def _content(message: Message, key: str, kind: Kind) -> Event:
    """Text and files."""
    return Event(
        kind,
        _conversation(message),
        key,
        text=_clean(message.text or message.caption),
        author=_author(message),
        message_id=str(message.message_id),
        reply_to=_reply_to(message),
        attachments=tuple(_attachments(message)),
        group=message.chat.type != "private",
        at=float(message.edit_date or message.date),
    )


def _press(press: CallbackQuery, message: Message, key: str) -> Event:
    """A pressed button: its label is the text, its value the button."""
    rows = message.reply_markup.inline_keyboard if message.reply_markup else ()
    labels = [button.text for row in rows for button in row if button.callback_data == press.data]
    return Event(
        Kind.BUTTON,
        _conversation(message),
        key,
        text=_clean(labels[0] if labels else press.data),
        author=_person(press.sender),
        message_id=str(message.message_id),
        button=_clean(press.data),
        press=_clean(press.id),
        group=message.chat.type != "private",
    )


def _membership(change: MemberChange, key: str) -> Event:
    """Somebody came or went; a change of rights is neither."""
    before, after = change.old_chat_member.inside, change.new_chat_member.inside
    if before == after:
        return Event(Kind.UNKNOWN, str(change.chat.id), key, author=_person(change.sender), at=float(change.date))
    kind = Kind.JOINED if after else Kind.LEFT
    return _went(kind, change.chat, change.new_chat_member.user, by=change.sender, at=change.date)


def _went(kind: Kind, chat: Chat, user: User, *, by: User | None, at: int) -> Event:
    """A join or leave, with the key that both ways of telling it share."""
    return Event(
        kind,
        str(chat.id),
        f"{kind}.{chat.id}.{user.id}.{at}",
        author=_person(by) if by else None,
        members=(_person(user),),
        group=chat.type != "private",
        at=float(at),
    )


def _moved(old: str, new: str, message: Message, key: str) -> Event:
    """A group became a supergroup and got a new id; both chats tell it."""
    return Event(Kind.MOVED, old, key, author=_author(message), moved_to=new, group=True, at=float(message.date))


def _conversation(message: Message) -> str:
    """The chat, or the topic in it. Threads of replies in ordinary groups have a thread id too, but are no topics."""
    if message.is_topic_message and message.message_thread_id > 0:
        return f"{message.chat.id}/{message.message_thread_id}"
    return str(message.chat.id)


def _reply_to(message: Message) -> str:
    """The message that this one answers. In a topic every message «answers» the one that opened it."""
    if not message.reply_to_message:
        return ""
    replied = message.reply_to_message.message_id
    return "" if message.is_topic_message and replied == message.message_thread_id else str(replied)


def _author(message: Message) -> Person | None:
    """Who wrote: a chat when it speaks as such (channels, anonymous administrators), else the person."""
    if chat := message.sender_chat:
        return Person(str(chat.id), name=_clean(chat.title), username=_clean(chat.username))
    return _person(message.sender) if message.sender else None


def _person(user: User) -> Person:
    return Person(
        str(user.id),
        name=_clean(f"{user.first_name} {user.last_name}".strip()),
        username=_clean(user.username),
        locale=_clean(user.language_code),
        is_bot=user.is_bot,
    )


def _attachments(message: Message) -> Iterator[Attachment]:
    """Files by reference, places and contacts. Telegram repeats an animation as a document; it counts once."""
    if message.photo:
        yield _file("image", max(message.photo, key=lambda size: (size.width * size.height, size.file_size)))
    for field, kind in _FILES.items():
        file: File | None = getattr(message, field)
        if file and not (field == "document" and message.animation):
            yield _file(kind, file)
    if place := message.location:
        yield Attachment("location", f"{place.latitude},{place.longitude}")
    if contact := message.contact:
        name = _clean(f"{contact.first_name} {contact.last_name}".strip())
        yield Attachment("contact", _clean(contact.phone_number), name=name)


def _file(kind: str, file: File) -> Attachment:
    return Attachment(
        kind, _clean(file.file_id), name=_clean(file.file_name), mime=_clean(file.mime_type), size=max(0, file.file_size)
    )


def _clean(text: str) -> str:
    """Text without NUL, which the database cannot hold."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}") if "\0" in text else text
