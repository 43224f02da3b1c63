"""Payments that no handler takes."""

from __future__ import annotations

import logging

from botstead.core.money import Payment
from botstead.telemetry.logs import event

logger = logging.getLogger(__name__)


def untaken(bot: str, payment: Payment) -> None:
    """Log that somebody has paid, and the bot has no handler that does its part.

    Args:
        bot: the bot's name.
        payment: what was paid.
    """
    event(logger, "payment_untaken", level=logging.ERROR, bot=bot, payment=payment.id, advice='write @bot.on.payment("paid")')
