"""Which handler is running on the loop right now, readable from another thread while the loop is blocked."""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Blamed = tuple[int, int, str]
"""Message id, partition, bot."""


class Blame:
    """Remembers whose step the loop is executing."""

    __slots__ = ("current",)

    def __init__(self) -> None:
        """Blame nobody."""
        self.current: Blamed | None = None


class Accountable(Generic[T]):
    """Awaits something step by step, with its message named during each step."""

    __slots__ = ("_awaitable", "_blame", "_whom")

    def __init__(self, awaitable: Awaitable[T], blame: Blame, whom: Blamed) -> None:
        """Wrap an awaitable.

        Args:
            awaitable: what runs.
            blame: where to name it.
            whom: its message.
        """
        self._awaitable = awaitable
        self._blame = blame
        self._whom = whom

    def __await__(self) -> Generator[Any, Any, T]:
        """Drive the awaitable; exceptions thrown in (cancellation) pass through."""
        steps = self._awaitable.__await__()
        send: Any = None
        throw: BaseException | None = None
        while True:
            self._blame.current = self._whom
            try:
                yielded = steps.send(send) if throw is None else steps.throw(throw)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]  # the generator's own type
            finally:
                self._blame.current = None
            try:
                send, throw = (yield yielded), None
            except BaseException as error:  # noqa: BLE001  # handed on to the awaitable unchanged
                send, throw = None, error
