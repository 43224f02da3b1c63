"""What becomes of payments, as metrics."""

from __future__ import annotations

from botstead.store.payment_records import AttemptKind, PaymentRow
from botstead.telemetry.catalog import PAYMENT_ATTEMPTS, PAYMENTS


def moved(row: PaymentRow) -> None:
    """Count that a payment has come to a state.

    Args:
        row: the payment now.
    """
    PAYMENTS.at(row.provider, row.state).inc()


def tried(kind: AttemptKind, outcome: str) -> None:
    """Count how a try ended.

    Args:
        kind: open, capture or refund.
        outcome: done, failed or unknown.
    """
    PAYMENT_ATTEMPTS.at(kind, outcome).inc()
