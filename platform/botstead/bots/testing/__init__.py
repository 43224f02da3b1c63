"""A conversation with a bot in memory. `processes.rehearsal` adds the doubles of outside services, and `chat_with`."""

from __future__ import annotations

from botstead.bots.testing.clock import KitClock
from botstead.bots.testing.rehearsal import Rehearsal
from botstead.bots.testing.reply import Reply

__all__ = ["KitClock", "Rehearsal", "Reply"]
