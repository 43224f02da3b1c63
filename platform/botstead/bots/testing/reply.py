"""What a bot did in answer to one event."""

from __future__ import annotations

import msgspec

from botstead.bots.chat import said
from botstead.core.messages import Action, AnswerButton, Attachment, Button, Edit, Send


class Reply(msgspec.Struct, frozen=True):
    """What a bot did in answer to one event, in the order in which it arrived."""

    actions: tuple[Action, ...] = ()

    @property
    def text(self) -> str:
        """The texts that were sent or edited, one below the other."""
        return said(self.actions)

    @property
    def texts(self) -> list[str]:
        """The same, one by one."""
        return [action.text for action in self.actions if isinstance(action, Send | Edit)]

    @property
    def buttons(self) -> list[str]:
        """The labels of the buttons under these messages."""
        return [button.label for action in self.actions if isinstance(action, Send | Edit) for button in flat(action)]

    @property
    def attachments(self) -> list[Attachment]:
        """The files that were sent."""
        return [attachment for action in self.actions if isinstance(action, Send) for attachment in action.attachments]

    @property
    def notice(self) -> str:
        """The notice shown to who pressed a button."""
        return "".join(action.text for action in self.actions if isinstance(action, AnswerButton))

    def __bool__(self) -> bool:
        """Whether anything was said."""
        return any(isinstance(action, Send | Edit) for action in self.actions)

    def __str__(self) -> str:
        return self.text


def flat(action: Send | Edit) -> list[Button]:
    """Return the buttons under a message, row by row.

    Args:
        action: the message.
    """
    return [button for row in action.buttons for button in row]
