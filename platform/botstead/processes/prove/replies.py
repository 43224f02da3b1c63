"""The provider as the experiments see it: its log, read as it grows, and the faults that it is told to make."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from botstead.processes.prove.client import Client
from botstead.processes.prove.fault import Fault
from botstead.processes.prove.logfile import LogFile
from botstead.processes.prove.provider import CONTROL, Entry, Order
from botstead.processes.prove.rawhttp import request

Sent = Entry
"""One request that reached the provider."""


class Provider:
    """What reached the provider, and what it does next."""

    def __init__(self, port: int, log: Path) -> None:
        """Look at a provider that runs or will.

        Args:
            port: where it listens.
            log: its log.
        """
        self.port, self.log = port, log
        self._file = LogFile(log, Entry)
        self._attempts: list[Entry] = []
        self._sent: list[Entry] = []

    @property
    def base_url(self) -> str:
        """Where bots are told that the API is."""
        return f"http://127.0.0.1:{self.port}"

    def sent(self) -> list[Sent]:
        """Return the messages that reached it and took effect, in order."""
        self._catch_up()
        return self._sent

    def attempts(self) -> list[Sent]:
        """Return each request, also those that a fault struck, in order."""
        self._catch_up()
        return self._attempts

    @property
    def count(self) -> int:
        """How many messages took effect by now."""
        return len(self.sent())

    def _catch_up(self) -> None:
        for entry in self._file.new():
            self._attempts.append(entry)
            if entry.applied and entry.method.startswith("send") and entry.method != "sendChatAction":
                self._sent.append(entry)

    async def faults(self, token: str, faults: Sequence[Fault]) -> None:
        """Make faults from now on, in place of those before.

        Args:
            token: of the bot; "" for every bot.
            faults: the first that fits strikes.

        Raises:
            OSError: the provider does not run.
        """
        client = Client()
        try:
            await client.ask(self.port, request("POST", CONTROL, body=msgspec.json.encode(Order(token, list(faults)))))
        finally:
            client.close()
