"""`Body`: an answer that is read while it comes, each wait for it with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

import httpx

from botstead.core.errors import EgressBroken, EgressError, EgressTimeout
from botstead.runtime.egress.general import FAULTS, broken
from botstead.runtime.egress.request import Target


class Body:
    """Status, headers, and the pieces of a body (implements `core.ports.Streamed`).

    Deadlines count while somebody waits for the next piece; whoever takes long over one is not interrupted.
    """

    def __init__(  # noqa: PLR0913  the deadlines are three
        self, response: httpx.Response, target: Target, *, limit: int, first: float, idle: float, over: float
    ) -> None:
        """Build it; `EgressClient.stream` does, and closes the response.

        Args:
            response: its body unread.
            target: who was asked.
            limit: the most bytes that are read.
            first: the loop's time by which the first piece must be here.
            idle: seconds between two pieces at most.
            over: the loop's time by which all of it must be here.
        """
        self.status = response.status_code
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
        self._pieces = response.aiter_raw()
        self._target = target
        self._left = limit
        self._limit = limit
        self._next = first
        self._idle = idle
        self._over = over
        self._ended: EgressError | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the pieces; a second loop goes on where the first stopped."""
        return self

    async def __anext__(self) -> bytes:
        """Wait for the next piece.

        Raises:
            EgressTimeout: it did not come in time.
            EgressBroken: the connection broke before the end, or the body exceeds the limit.
        """
        if self._ended is not None:
            raise self._ended
        problem: EgressError
        try:
            async with asyncio.timeout_at(min(self._next, self._over)):
                piece = await anext(self._pieces)
        except TimeoutError:
            problem = self._late()
        except FAULTS as error:
            problem = broken(self._target, type(error).__name__)
        else:
            self._next = asyncio.get_running_loop().time() + self._idle
            self._left -= len(piece)
            if self._left >= 0:
                return piece
            problem = EgressBroken(f"The answer is larger than {self._limit} bytes.")
        # Raised outside of the handler, because the library's exceptions hold the URL with its secrets.
        self._ended = problem
        raise problem

    def _late(self) -> EgressTimeout:
        what = "went on for too long" if self._over <= self._next else "fell silent in the middle of its answer"
        return EgressTimeout(f"{self._target.authority} {what}; the request has arrived.")
