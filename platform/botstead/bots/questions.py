"""A question that waits for its answer, kept in the conversation's state, so that it outlives restarts and deploys.

`await chat.ask(…)` ends the run: what was said so far and the question are sent, and the state keeps the event that
started the handler. The answer runs the handler again on that first event; each `ask` that has its answer returns it at
once, and what the handler said before the last of them is not said again.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

import msgspec

from botstead.core.messages import Event, Kind

RESERVED = "$ask"
"""The key of the state that holds the pending question."""
CANCEL = "/cancel"


class Given(msgspec.Struct, omit_defaults=True):
    """One answer.

    Args:
        text: what was answered.
        state: the state as it was when the answer came, where running the handler again does not lead to it by itself
            (another handler changed it meanwhile).
    """

    text: str
    state: dict[str, Any] | None = None


class Step(Enum):
    """What an event means for the pending question."""

    ANSWER = auto()
    CANCEL = auto()
    OVERDUE = auto()
    OTHER = auto()
    """It has nothing to do with it; the question goes on waiting."""


class Pending(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A question that was asked.

    Args:
        handler: the name of the handler that asked.
        event: what started the handler, without the provider's raw JSON.
        before: the state as it was when the handler began.
        until: Unix seconds after which nobody expects an answer any more.
        answers: those given so far.
        buttons: the values of the question's buttons: pressing one is an answer.
    """

    handler: str
    event: Event
    before: dict[str, Any]
    until: float
    answers: list[Given] = []
    buttons: tuple[str, ...] = ()

    @staticmethod
    def read(stored: msgspec.Raw | None) -> Pending | None:
        """Decode a stored question; None when there is none, or when it is from a version that wrote them otherwise."""
        if stored is None:
            return None
        try:
            return _decoder.decode(stored)
        except msgspec.DecodeError:
            return None

    def write(self) -> bytes:
        """Encode it for the state."""
        return msgspec.json.encode(self)

    def judge(self, event: Event, now: float) -> Step:
        """Say what an event means for this question. Pure.

        In a group only the person who was asked can answer; anybody may press a button of the question in a direct
        conversation, and there is only one person there.

        Args:
            event: what happened.
            now: Unix seconds.
        """
        if now > self.until:
            return Step.OVERDUE
        if event.group and not _same_person(event, self.event):
            return Step.OTHER
        if event.kind is Kind.BUTTON:
            return Step.ANSWER if event.button in self.buttons else Step.OTHER
        if event.kind is not Kind.MESSAGE or not event.text.strip():
            return Step.OTHER
        first = event.text.split(None, 1)[0].casefold()
        return Step.CANCEL if first.partition("@")[0] == CANCEL else Step.ANSWER


_decoder = msgspec.json.Decoder(Pending)


def without_raw(event: Event) -> Event:
    """Return the event without the provider's own JSON, which may be large.

    Args:
        event: what started a handler.
    """
    return msgspec.structs.replace(event, raw=msgspec.Raw(b"null"))


def answer_text(event: Event) -> str:
    """Return what an event answers: the button's value or the text.

    Args:
        event: a message or a press.
    """
    return event.button if event.kind is Kind.BUTTON else event.text.strip()


def _same_person(one: Event, other: Event) -> bool:
    return one.author is not None and other.author is not None and one.author.id == other.author.id
