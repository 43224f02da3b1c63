"""What becomes of mails: counted, timed, and noted of the run that sent them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Final

from botstead.core.errors import EgressBroken, EgressRefused, EgressTimeout, EgressUnsent
from botstead.integrations.mail.errors import MailDelayed
from botstead.telemetry import tracing
from botstead.telemetry.catalog import INTEGRATION_DURATION, INTEGRATION_REQUESTS, register
from botstead.telemetry.tracing import CallMade

NAME: Final = "mail"
_METHOD: Final = "SMTP"
_OUTCOMES: Final = (
    (EgressTimeout, "timeout", "timeout"),
    (EgressRefused, "refused", "refused"),
    (EgressUnsent, "error", "unsent"),
    (EgressBroken, "error", "broken"),
    (MailDelayed, "limited", "error"),
)
"""Kind of failure to the outcome that is counted, and the one in a trace."""


def start() -> None:
    """Show every figure at 0, so that the first failure is a rise."""
    register("integration", NAME)
    INTEGRATION_REQUESTS.at(NAME, "ok")
    INTEGRATION_DURATION.at(NAME)


@contextlib.contextmanager
def measured(host: str) -> Iterator[None]:
    """Count and time what happens inside.

    Args:
        host: of the mail server, for the trace.
    """
    run = tracing.current.get()
    number = run.begin_call() if run is not None else 0
    began, outcomes = time.time(), ("error", "cancelled")
    try:
        yield
        outcomes = ("ok", "ok")
    except Exception as error:
        outcomes = next(((count, trace) for kind, count, trace in _OUTCOMES if isinstance(error, kind)), ("error", "error"))
        raise
    finally:
        ended = time.time()
        INTEGRATION_REQUESTS.at(NAME, outcomes[0]).inc()
        INTEGRATION_DURATION.at(NAME).observe(ended - began)
        if run is not None:
            run.end_call(CallMade(NAME, host, _METHOD, began, ended, outcomes[1], 0, number))
