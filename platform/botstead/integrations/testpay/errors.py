"""What the double says no to."""

from __future__ import annotations

from botstead.core.errors import PaymentRefused


class NothingPaid(PaymentRefused):
    """Nothing was paid on the test page, so nothing can go back."""
