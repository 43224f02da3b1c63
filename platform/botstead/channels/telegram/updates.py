"""The parts of Telegram's updates that we read. Everything else stays in `Event.raw`.

Source: https://core.telegram.org/bots/api#update
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

LARGEST: Final = 2**63 - 1

Number = Annotated[int, msgspec.Meta(ge=-LARGEST, le=LARGEST)]
"""Telegram's ids have at most 52 significant bits; a larger integer than 64 bits is none of theirs."""


UpdateId = Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]


class User(msgspec.Struct, frozen=True):
    """A person or a bot."""

    id: Number
    is_bot: bool = False
    first_name: str = ""
    last_name: str = ""
    username: str = ""
    language_code: str = ""


class Chat(msgspec.Struct, frozen=True):
    """A conversation: private, group, supergroup or channel."""

    id: Number
    type: str = "private"
    title: str = ""
    username: str = ""


class File(msgspec.Struct, frozen=True):
    """Any kind of file; sizes of pictures tell which one is the largest."""

    file_id: str
    file_size: Number = 0
    file_name: str = ""
    mime_type: str = ""
    width: Number = 0
    height: Number = 0


class Location(msgspec.Struct, frozen=True):
    """A point on the map, in degrees."""

    latitude: float
    longitude: float


class Contact(msgspec.Struct, frozen=True):
    """A person's phone number."""

    phone_number: str
    first_name: str = ""
    last_name: str = ""


class Pointer(msgspec.Struct, frozen=True):
    """Another message, of which only the id matters here."""

    message_id: Number


class InlineButton(msgspec.Struct, frozen=True):
    """A button under a message."""

    text: str = ""
    callback_data: str = ""


class Keyboard(msgspec.Struct, frozen=True):
    """The buttons under a message, in rows."""

    inline_keyboard: tuple[tuple[InlineButton, ...], ...] = ()


class Message(msgspec.Struct, frozen=True, rename={"sender": "from"}):
    """A message, an edited one, a post in a channel, or a service message such as «Ann joined»."""

    message_id: Number
    chat: Chat
    date: Number = 0
    edit_date: Number = 0
    sender: User | None = None
    sender_chat: Chat | None = None
    message_thread_id: Number = 0
    is_topic_message: bool = False
    reply_to_message: Pointer | None = None
    reply_markup: Keyboard | None = None
    text: str = ""
    caption: str = ""
    photo: tuple[File, ...] = ()
    animation: File | None = None
    audio: File | None = None
    document: File | None = None
    sticker: File | None = None
    video: File | None = None
    video_note: File | None = None
    voice: File | None = None
    location: Location | None = None
    contact: Contact | None = None
    new_chat_members: tuple[User, ...] = ()
    left_chat_member: User | None = None
    migrate_to_chat_id: Number = 0
    migrate_from_chat_id: Number = 0


class CallbackQuery(msgspec.Struct, frozen=True, rename={"sender": "from"}):
    """A press of an inline button. Presses of games and of inline messages have no `data` or no `message`."""

    id: str
    sender: User
    message: Message | None = None
    data: str = ""


class Member(msgspec.Struct, frozen=True):
    """Somebody's standing in a chat."""

    status: str
    user: User
    is_member: bool = False

    @property
    def inside(self) -> bool:
        """Whether this is somebody who takes part."""
        return self.status in ("creator", "administrator", "member") or (self.status == "restricted" and self.is_member)


class MemberChange(msgspec.Struct, frozen=True, rename={"sender": "from"}):
    """A change of somebody's standing."""

    chat: Chat
    sender: User
    old_chat_member: Member
    new_chat_member: Member
    date: Number = 0


class Update(msgspec.Struct, frozen=True):
    """One update; at most one field besides the id is there."""

    update_id: UpdateId
    message: Message | None = None
    edited_message: Message | None = None
    channel_post: Message | None = None
    edited_channel_post: Message | None = None
    callback_query: CallbackQuery | None = None
    my_chat_member: MemberChange | None = None
    chat_member: MemberChange | None = None


ALLOWED: Final = (
    "message",
    "edited_message",
    "channel_post",
    "edited_channel_post",
    "callback_query",
    "my_chat_member",
    "chat_member",
    "message_reaction",
    "message_reaction_count",
    "chat_join_request",
    "poll_answer",
)
"""What we ask for: the kinds we read, and some that are kept raw. `chat_member` and reactions come only when named."""
