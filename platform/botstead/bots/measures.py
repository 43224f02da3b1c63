"""What becomes of the calls that handlers make through `Http`, all bots' together; and payments that no handler takes."""

from __future__ import annotations

import logging
from typing import Final

from botstead.core.errors import EgressError, EgressRefused, EgressTimeout
from botstead.core.messages import Response
from botstead.core.money import Payment
from botstead.telemetry.catalog import INTEGRATION_DURATION, INTEGRATION_REQUESTS, register
from botstead.telemetry.logs import event

NAME: Final = "http"
"""`integration` of these calls; each service of its own would be a name that an author chooses."""
TOO_MANY = 429
register("integration", NAME)

logger = logging.getLogger(__name__)


def answered(response: Response, seconds: float) -> None:
    """Count a call that was answered; that the service did not like the question is no fault of the service.

    Args:
        response: the answer.
        seconds: from the call to the end of the answer.
    """
    outcome = "limited" if response.status == TOO_MANY else "error" if response.status >= 500 else "ok"
    INTEGRATION_REQUESTS.at(NAME, outcome).inc()
    INTEGRATION_DURATION.at(NAME).observe(seconds)


def failed(error: EgressError, seconds: float) -> None:
    """Count a call without an answer.

    Args:
        error: why.
        seconds: until it was known.
    """
    outcome = "timeout" if isinstance(error, EgressTimeout) else "refused" if isinstance(error, EgressRefused) else "error"
    INTEGRATION_REQUESTS.at(NAME, outcome).inc()
    INTEGRATION_DURATION.at(NAME).observe(seconds)


def untaken(bot: str, payment: Payment) -> None:
    """Log that somebody has paid, and the bot has no handler that does its part.

    Args:
        bot: the bot's name.
        payment: what was paid.
    """
    event(logger, "payment_untaken", level=logging.ERROR, bot=bot, payment=payment.id, advice='write @bot.on.payment("paid")')
