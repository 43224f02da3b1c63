"""What a bot is writing, shown while it grows: hints of the topic `draft`, best effort, kept and logged nowhere.

A draft is the whole text so far, so that a lost hint costs nothing, and a handler that is tried again begins its draft anew.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from typing import Final

import msgspec

from botstead.core.drafting import Growing
from botstead.core.ports import Incoming, Wake

TOPIC: Final = "draft"
EVERY: Final = 0.1
"""Seconds between two hints of one draft at least."""
TOGETHER: Final = 100
"""Hints a second of one process: with more than ten drafts at once, each is shown less often."""
MOST: Final = 500
"""Drafts at once in one process; of more, the newest are not shown."""
LONGEST: Final = 8_000
"""Characters of a draft that are shown."""


class Drafted(msgspec.Struct, frozen=True, array_like=True):
    """One hint.

    Args:
        conversation: its key; nobody but those who are in it are shown the text.
        message: the id of the message that is being answered.
        text: Markdown, so far.
    """

    conversation: str
    message: int
    text: str


_decoder = msgspec.json.Decoder(Drafted)


def read(hint: str) -> Drafted | None:
    """Read a hint; None when it is none of ours.

    Args:
        hint: from `Wake`.
    """
    try:
        return _decoder.decode(hint)
    except (msgspec.MsgspecError, UnicodeError):
        return None


class Throttled:
    """One draft: passes on the newest text, at once when it is the first, and then every so often (implements `Growing`)."""

    def __init__(self, send: Callable[[str], None], *, every: Callable[[], float], ended: Callable[[], None]) -> None:
        """Begin a draft.

        Args:
            send: takes the text so far.
            every: seconds between two calls of `send`.
            ended: called once, at the end.
        """
        self._send = send
        self._every = every
        self._ended = ended
        self._text = ""
        self._last = float("-inf")
        self._timer: asyncio.TimerHandle | None = None
        self._over = False

    def show(self, text: str) -> None:
        """Show the text so far, soon.

        Args:
            text: all of it.
        """
        shown = text[:LONGEST]
        if self._over or shown == self._text:
            return
        self._text = shown
        if self._timer is None:
            left = self._last + self._every() - time.monotonic()
            if left <= 0:
                self._pass_on()
            else:
                self._timer = asyncio.get_running_loop().call_later(left, self._pass_on)

    def end(self) -> None:
        """Show nothing any more: the text has its final form, or there will be none."""
        if not self._over:
            self._over = True
            self._ended()
        if self._timer is not None:
            self._timer.cancel()

    def _pass_on(self) -> None:
        self._timer = None
        self._last = time.monotonic()
        self._send(self._text)


class Drafts:
    """All drafts of a process (implements `core.drafting.Drafts`)."""

    def __init__(self, wake: Wake, kinds: Collection[str]) -> None:
        """Start with none.

        Args:
            wake: takes the hints.
            kinds: of channels that can show drafts.
        """
        self._wake = wake
        self._kinds = frozenset(kinds)
        self._open = 0

    def begin(self, incoming: Incoming) -> Growing | None:
        """Begin a draft; None where none can be shown.

        Args:
            incoming: what is being answered.
        """
        if incoming.channel not in self._kinds or self._open >= MOST:
            return None
        self._open += 1

        def send(text: str) -> None:
            hint = Drafted(incoming.conversation, incoming.id, text)
            self._wake.publish(TOPIC, msgspec.json.encode(hint).decode())

        return Throttled(send, every=lambda: max(EVERY, self._open / TOGETHER), ended=self._ended)

    def _ended(self) -> None:
        self._open -= 1


class ToldDrafts:
    """Drafts of a bot in a process of its own: its worker shows them, or not (implements `core.drafting.Drafts`)."""

    def __init__(self, tell: Callable[[], Callable[[bytes], None] | None]) -> None:
        """Prepare.

        Args:
            tell: returns what sends something to whoever waits for the running call, or None.
        """
        self._tell = tell

    def begin(self, incoming: Incoming) -> Growing | None:
        """Begin a draft; None when nobody waits.

        Args:
            incoming: what is being answered.
        """
        del incoming
        tell = self._tell()
        if tell is None:
            return None
        return Throttled(lambda text: tell(text.encode(errors="replace")), every=lambda: EVERY, ended=lambda: None)
