"""Payments by PayPal: orders that people approve, captures, refunds, signed events. See README.md here."""

from botstead.integrations.paypal.client import PayPal

__all__ = ["PayPal"]
