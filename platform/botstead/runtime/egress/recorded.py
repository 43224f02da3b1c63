"""The way out for what runs on behalf of a message: each call is noted with service, outcome and time, and nothing else of it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from botstead.core.errors import EgressError, EgressRefused
from botstead.core.messages import Call, Response
from botstead.core.ports import Egress, Streamed
from botstead.core.secret import Secret
from botstead.runtime.egress.client import NO_SECRETS
from botstead.runtime.egress.outcomes import kind_of
from botstead.runtime.egress.request import target_of
from botstead.telemetry import tracing
from botstead.telemetry.tracing import CallMade, Run

MOST: Final = 100
"""Calls that are noted of one run."""


class RecordedEgress:
    """Notes calls of handlers (implements `core.ports.Egress`). What a channel sends does not pass here."""

    def __init__(self, egress: Egress) -> None:
        """Wrap a way out.

        Args:
            egress: what makes the calls.
        """
        self._egress = egress

    async def call(self, call: Call, secrets: Mapping[str, Secret] = NO_SECRETS) -> Response:
        """Make one HTTP request, and note it when a message is being worked for.

        Args:
            call: see `core.ports.Egress`.
            secrets: see `core.ports.Egress`.

        Raises:
            EgressError: see `core.ports.Egress`.
        """
        run = tracing.current.get()
        if run is None or run.made >= MOST:
            return await self._egress.call(call, secrets)
        noting = _Noting(run, call)
        try:
            response = await self._egress.call(call, secrets)
            noting.answered(response.status)
        except Exception as error:
            noting.failed(error)
            raise
        else:
            return response
        finally:
            noting.end()

    @asynccontextmanager
    async def stream(
        self, call: Call, secrets: Mapping[str, Secret] = NO_SECRETS, *, first: float, idle: float
    ) -> AsyncIterator[Streamed]:
        """Make one HTTP request whose answer is read while it comes; noted when it is left.

        Args:
            call: see `core.ports.Egress`.
            secrets: see `core.ports.Egress`.
            first: see `core.ports.Egress`.
            idle: see `core.ports.Egress`.

        Raises:
            EgressError: see `core.ports.Egress`.
        """
        run = tracing.current.get()
        noting = None if run is None or run.made >= MOST else _Noting(run, call)
        try:
            async with self._egress.stream(call, secrets, first=first, idle=idle) as streamed:
                if noting is not None:
                    noting.answered(streamed.status)
                yield streamed
        except EgressError as error:
            if noting is not None:
                noting.failed(error)
            raise
        finally:
            if noting is not None:
                noting.end()


def note_unmade(call: Call) -> None:
    """Note a call that was not made, because the service rests or a limit is used up.

    Args:
        call: the request.
    """
    run = tracing.current.get()
    if run is not None and run.made < MOST:
        noting = _Noting(run, call)
        noting.limited()
        noting.end()


class _Noting:
    """One call under way, as its span will tell it."""

    def __init__(self, run: Run, call: Call) -> None:
        self._run, self._call = run, call
        self._number, self._began = run.begin_call(), time.time()
        self._outcome, self._status = "cancelled", 0

    def answered(self, status: int) -> None:
        self._status, self._outcome = status, "ok" if status < 400 else "error"

    def failed(self, error: BaseException) -> None:
        self._outcome = kind_of(error)

    def limited(self) -> None:
        self._outcome = "limited"

    def end(self) -> None:
        call = self._call
        try:
            host = target_of(call.url).origin.host
        except EgressRefused:  # it was no URL, so there is no host to tell
            host = ""
        made = CallMade(
            call.service or host, host, call.method, self._began, time.time(), self._outcome, self._status, self._number
        )
        self._run.end_call(made)
