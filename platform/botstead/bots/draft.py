"""What one run of a handler wants to happen, collected until the handler has returned."""

from __future__ import annotations

from collections.abc import Generator

from botstead.core.messages import Action
from botstead.core.ports import Forward


class Queued:
    """What `send` and its kin return. Nothing has to be waited for; `await` is allowed and does nothing."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


QUEUED = Queued()


class Draft:
    """What one run wants to happen. Nothing of it happens before the handler has returned."""

    __slots__ = ("_sealed", "actions", "forwards", "notice", "own")

    def __init__(self, own: str) -> None:
        """Begin an empty draft.

        Args:
            own: the key of the conversation that the handler runs in.
        """
        self.own = own
        self.actions: list[Action] = []
        self.forwards: dict[str, list[Action]] = {}
        self.notice = ""
        self._sealed = False

    def add(self, action: Action, to: str = "") -> Queued:
        """Add what is to be said.

        Args:
            action: what to do.
            to: the key of another conversation; by default the handler's own.
        """
        if self._sealed:
            return QUEUED
        if to in {"", self.own}:
            self.actions.append(action)
        else:
            self.forwards.setdefault(to, []).append(action)
        return QUEUED

    def seal(self) -> None:
        """Take nothing more: the run ended at a question, and what its `finally` blocks say will be said at the real end."""
        self._sealed = True

    def clear(self) -> None:
        """Forget everything: it was already said in an earlier run."""
        self.actions.clear()
        self.forwards.clear()
        self.notice = ""

    def forwarded(self) -> tuple[Forward, ...]:
        """What goes to other conversations."""
        return tuple(Forward(key, tuple(actions)) for key, actions in self.forwards.items())
