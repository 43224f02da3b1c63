"""Signed webhooks in both directions: any program that can sign a POST is a chat network."""

from botstead.channels.webhook.api import KIND

__all__ = ["KIND"]
