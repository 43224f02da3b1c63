"""Names to addresses, by the system."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Turns a host name and port into all of its addresses; raises `OSError` when it cannot."""


class SystemResolver:
    """Asks the system, one question a name at a time.

    A question cannot be cancelled, it holds a thread until the system gives up. Calls that ask the same share one, so that a
    name whose servers are away takes one thread and not all of them.
    """

    def __init__(self) -> None:
        """Build a resolver."""
        self._asking: dict[tuple[str, int], asyncio.Task[list[str]]] = {}

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Return all addresses of a name.

        Args:
            host: the name.
            port: the port, which some systems want to know.

        Raises:
            OSError: there are none, or nobody could be asked.
        """
        question = (host, port)
        task = self._asking.get(question)
        if task is None:
            task = self._asking[question] = asyncio.get_running_loop().create_task(_ask(host, port))
            task.add_done_callback(lambda done: self._ended(question, done))
        return await asyncio.shield(task)

    def _ended(self, question: tuple[str, int], task: asyncio.Task[list[str]]) -> None:
        self._asking.pop(question, None)
        if not task.cancelled():
            task.exception()  # whoever asked may have gone; then nobody else takes note of it


async def _ask(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for _, _, _, _, address in found]
