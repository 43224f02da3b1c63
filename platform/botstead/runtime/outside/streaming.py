"""Answers that are read while they come, counted and judged as other calls are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import msgspec

from botstead.core.errors import EgressError, EgressRefused, EgressResting
from botstead.core.messages import Call, Response
from botstead.core.ports import Streamed
from botstead.core.secret import Secret
from botstead.runtime.egress.outcomes import outcome_of_status
from botstead.runtime.egress.recorded import note_unmade
from botstead.runtime.outside import measures
from botstead.runtime.outside.asking import Way
from botstead.runtime.outside.breaker import Ticket
from botstead.runtime.outside.dealings import Dealings
from botstead.runtime.outside.retries import asked_pause


class Reading:
    """An answer that remembers what went wrong in it (implements `core.ports.Streamed`)."""

    def __init__(self, answer: Streamed) -> None:
        """Build it; `streamed` does.

        Args:
            answer: of the way out.
        """
        self.status = answer.status
        self.headers = answer.headers
        self.problem: EgressError | None = None
        self._pieces = aiter(answer)

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the pieces."""
        return self

    async def __anext__(self) -> bytes:
        """Wait for the next piece.

        Raises:
            EgressError: see `core.ports.Streamed`.
        """
        try:
            return await anext(self._pieces)
        except EgressError as error:
            self.problem = error
            raise


@asynccontextmanager
async def streamed(  # noqa: PLR0913  a call and three deadlines
    way: Way, dealings: Dealings, call: Call, secrets: Mapping[str, Secret], *, over: float, first: float, idle: float
) -> AsyncIterator[Streamed]:
    """Make a call whose answer is read while it comes; see `Service.stream`.

    Args:
        way: what calls are made with.
        dealings: of bot and service.
        call: the request.
        secrets: values for its placeholders.
        over: monotonic seconds at which all of it ends.
        first: seconds until the first byte of the body.
        idle: seconds between two pieces.

    Raises:
        EgressError: see `Service.stream`.
    """
    entered: list[Ticket] = []
    reading: Reading | None = None
    try:
        await dealings.enter(over, way.clock.monotonic())
        async with dealings.place(min(over - way.clock.monotonic(), first)):
            began = way.clock.monotonic()
            entered.append(dealings.admit(began))
            timed = msgspec.structs.replace(call, timeout=max(over - began, 0.0))
            async with way.egress.stream(timed, secrets, first=first, idle=idle) as answer:
                measures.observe(call.service, way.clock.monotonic() - began)
                reading = Reading(answer)
                yield reading
    except EgressError as error:
        if reading is None:
            _failed(error, call, dealings, entered, way)
        raise
    finally:
        if reading is not None:
            _ended(reading, call, dealings, entered[0], way)
        elif entered:
            dealings.given_up(entered[0])  # no news when it has failed; it was cancelled otherwise


def _failed(error: EgressError, call: Call, dealings: Dealings, entered: list[Ticket], way: Way) -> None:
    measures.count_failure(call.service, error)
    if isinstance(error, EgressResting) and not entered:
        note_unmade(call)
    elif entered and not isinstance(error, EgressRefused):
        dealings.failed(entered[0], way.clock.monotonic())


def _ended(reading: Reading, call: Call, dealings: Dealings, ticket: Ticket, way: Way) -> None:
    now = way.clock.monotonic()
    if reading.problem is not None:
        measures.count_failure(call.service, reading.problem)
    else:
        measures.count(call.service, outcome_of_status(reading.status))
    if pause := asked_pause(Response(status=reading.status, headers=reading.headers), now=way.clock.now()):
        dealings.pause(pause, now)
    if reading.problem is not None or reading.status >= 500:
        dealings.failed(ticket, now)
    else:
        dealings.went_well(ticket, now)
