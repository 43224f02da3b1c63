"""What a handler is given to read: the message, and the conversation it is in."""

from __future__ import annotations

from typing import Any

import msgspec

from botstead.bots.memory import Memory
from botstead.core.messages import Attachment, Event, Person
from botstead.core.ports import Incoming

NOBODY = Person("")


class Message:
    """What somebody wrote, pressed or edited."""

    __slots__ = ("event",)

    def __init__(self, event: Event) -> None:
        """Wrap an event.

        Args:
            event: as the channel parsed it.
        """
        self.event = event

    @property
    def text(self) -> str:
        """What was written; empty when it is a file without a caption."""
        return self.event.text

    @property
    def author(self) -> Person:
        """Who wrote it; a `Person` with an empty id when the channel does not say."""
        return self.event.author or NOBODY

    @property
    def id(self) -> str:
        """The provider's id of the message: what `chat.edit`, `chat.delete` and `reply_to` take."""
        return self.event.message_id

    @property
    def reply_to(self) -> str:
        """The provider's id of the message that this one answers, or empty."""
        return self.event.reply_to

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """Files by reference."""
        return self.event.attachments

    @property
    def button(self) -> str:
        """The value of the pressed button, or empty."""
        return self.event.button

    @property
    def group(self) -> bool:
        """Whether more than two take part."""
        return self.event.group

    @property
    def at(self) -> float:
        """The provider's time, Unix seconds; 0 when it gave none."""
        return self.event.at

    @property
    def raw(self) -> Any:
        """The provider's own JSON. None after `chat.ask`, which does not keep it."""
        return msgspec.json.decode(self.event.raw)


class Conversation:
    """Where the handler runs: one chat, group or thread on one channel."""

    __slots__ = ("_incoming", "_memory")

    def __init__(self, incoming: Incoming, memory: Memory) -> None:
        """Build it; the runner does."""
        self._incoming = incoming
        self._memory = memory

    @property
    def key(self) -> str:
        """The conversation's key: keep it to speak here later, with `outbox.send(key, …)`."""
        return self._incoming.conversation

    @property
    def channel(self) -> str:
        """The kind of channel, such as telegram or webchat."""
        return self._incoming.channel

    @property
    def group(self) -> bool:
        """Whether more than two take part."""
        return self._incoming.event.group

    @property
    def state(self) -> dict[str, Any]:
        """What the bot remembers of this conversation: JSON values, at most 64 KB, kept when the handler succeeds.

        Two handlers never run at once in one conversation, so reading and writing needs no lock. Keys that begin with
        `$` are botstead's own.
        """
        return self._memory.data
