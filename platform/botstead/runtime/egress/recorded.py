"""The way out for what runs on behalf of a message: each call is noted with service, outcome and time, and nothing else of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from botstead.core.errors import EgressRefused, EgressTimeout, EgressUnsent
from botstead.core.messages import Call, Response
from botstead.core.ports import Egress
from botstead.core.secret import Secret
from botstead.runtime.egress.client import NO_SECRETS
from botstead.runtime.egress.request import target_of
from botstead.telemetry import tracing
from botstead.telemetry.tracing import CallMade, Run

MOST: Final = 100
"""Calls that are noted of one run."""
_KINDS: Final = ((EgressTimeout, "timeout"), (EgressRefused, "refused"), (EgressUnsent, "unsent"))


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
        number, began, outcome, status = run.begin_call(), time.time(), "cancelled", 0
        try:
            response = await self._egress.call(call, secrets)
            status, outcome = response.status, "ok" if response.status < 400 else "error"
        except Exception as error:
            outcome = next((word for kind, word in _KINDS if isinstance(error, kind)), "broken")
            raise
        else:
            return response
        finally:
            _note(run, call, CallMade(call.service, "", call.method, began, time.time(), outcome, status, number))


def _note(run: Run, call: Call, made: CallMade) -> None:
    try:
        host = target_of(call.url).origin.host
    except EgressRefused:  # it was no URL, so there is no host to tell
        host = ""
    run.end_call(made._replace(host=host, service=call.service or host))
