"""Whose trace a slow figure should lead to, where the code that measures does not know the message."""

from __future__ import annotations

import uuid
from contextvars import ContextVar
from typing import Final

kept: Final[ContextVar[uuid.UUID | None]] = ContextVar("kept", default=None)
"""The trace of the message that the running request has put into the inbox last; as it is, since most are never looked at."""
