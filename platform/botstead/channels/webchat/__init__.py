"""The web chat: a page of our own, no provider in between. What is said is already in the history table."""

from botstead.channels.webchat.api import KIND

__all__ = ["KIND"]
