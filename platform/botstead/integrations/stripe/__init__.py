"""Payments by Stripe: Checkout pages, refunds, signed events. See README.md here."""

from botstead.integrations.stripe.client import Stripe

__all__ = ["Stripe"]
