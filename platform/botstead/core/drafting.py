"""Texts that people see while they grow: where `bots` and `pipeline` meet."""

from __future__ import annotations

from typing import Protocol

from botstead.core.ports import Incoming


class Growing(Protocol):
    """A text that people see while it grows, where the channel can show that."""

    def show(self, text: str) -> None:
        """Show what there is so far. Best effort: never waits, never raises.

        Args:
            text: all of it, Markdown.
        """
        ...

    def end(self) -> None:
        """Show nothing any more. Safe to repeat."""
        ...


class Drafts(Protocol):
    """Shows what bots are writing."""

    def begin(self, incoming: Incoming) -> Growing | None:
        """Begin a text that answers a message; None where nothing can be shown before it is whole.

        Args:
            incoming: the message.
        """
        ...
