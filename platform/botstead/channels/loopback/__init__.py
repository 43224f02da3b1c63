"""The loopback: a network without people, on which the canary proves that the whole road is open."""

from botstead.channels.loopback.api import KIND

__all__ = ["KIND"]
