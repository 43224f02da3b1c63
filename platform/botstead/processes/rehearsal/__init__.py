"""The test kit: `chat_with`, and the doubles of outside services that come with it.

It stands in `processes`, since only here bots and integrations may meet. A test of a bot needs nothing else: a handler that asks
for a service which the test says nothing about gets its double.
"""

from __future__ import annotations

from botstead.processes.rehearsal.stage import Stage, chat_with

__all__ = ["Stage", "chat_with"]
