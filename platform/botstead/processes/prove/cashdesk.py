"""The till as the experiments see it: its process, its log, what it is told, and the persons who stand at it."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec

from botstead.processes.embedded.child import Program
from botstead.processes.embedded.folder import free_ports
from botstead.processes.prove.client import Client
from botstead.processes.prove.logfile import LogFile
from botstead.processes.prove.rawhttp import request
from botstead.processes.prove.slot import Slot
from botstead.processes.prove.till.api import CONTROL
from botstead.processes.prove.till.books import Line
from botstead.processes.prove.till.troubles import Orders

if TYPE_CHECKING:
    from botstead.processes.prove.replies import Provider

KEY: Final = "sk_test_prove0000000000"
"""Any key of this form is taken."""
HABITS: Final = (
    *((("pay",), 72), (("decline", "pay"), 8), (("decline", "expire"), 6), (("expire",), 5)),
    *((("later", "arrive"), 6), (("later", "bounce"), 3)),
)
"""What persons do one after the other, and how many of a hundred."""
LOOK: Final = 0.05


class CashDesk:
    """A till that runs or will."""

    def __init__(self, port: int, log: Path) -> None:
        """Look at it.

        Args:
            port: where it listens.
            log: its log.
        """
        self.port = port
        self._file = LogFile(log, Line)
        self._lines: list[Line] = []
        self._client = Client()

    @property
    def base_url(self) -> str:
        """Where shops are told that the API is."""
        return f"http://127.0.0.1:{self.port}"

    def lines(self) -> list[Line]:
        """Return what it has written so far, in order."""
        self._lines += self._file.new()
        return self._lines

    def troubles(self) -> Counter[str]:
        """Return how often each thing went wrong: with requests, and with webhooks."""
        found = self.lines()
        requests = Counter(line.kind for line in found if line.what == "fault")
        return requests + Counter(f"webhook {line.kind}" for line in found if line.what == "event" and line.kind != "sent")

    async def order(self, orders: Orders) -> None:
        """Tell it what is to go wrong, and where its webhooks go to.

        Args:
            orders: what.

        Raises:
            OSError: it does not run.
        """
        await self._client.ask(self.port, request("POST", CONTROL, body=msgspec.json.encode(orders)))

    async def choose(self, page: str, choice: str) -> int:
        """Do something on a page, as a person.

        Args:
            page: its address.
            choice: one of `till.books.CHOICES`.

        Returns:
            The status: 200, or 400 when the page is not open any more.
        """
        status, _ = await self._client.ask(self.port, request("POST", f"{urlsplit(page).path}?choice={choice}"), seconds=20.0)
        return status

    def close(self) -> None:
        """Hang up."""
        self._client.close()


@asynccontextmanager
async def cash_desk(folder: Path) -> AsyncIterator[CashDesk]:
    """Run a till; it is gone afterwards.

    Args:
        folder: for its log and its output.

    Raises:
        TimeoutError: it did not come up.
    """
    port = free_ports(1)[0]
    log = folder / "till.jsonl"
    command = (sys.executable, "-m", "botstead.processes.prove.till", str(port), str(log))
    program = Program(role="till", instance="till", command=command, environment={"PATH": os.defpath}, folder=folder)
    slot = Slot(program, log=folder / "till.log", said="till_ready", port=port)
    desk = CashDesk(port, log)
    slot.start()
    try:
        await slot.becomes_ready()
        yield desk
    finally:
        desk.close()
        slot.wanted = False
        slot.kill()


class Persons:
    """Everybody who is asked for money in a chat: each page that they see they pay, or not."""

    def __init__(self, provider: Provider, desk: CashDesk, *, seed: int, slowest: float) -> None:
        """Watch a chat network.

        Args:
            provider: of chats, where the pages are shown.
            desk: the till.
            seed: of what they do; the same order meets the same habit.
            slowest: seconds that they think before each step, at most.
        """
        self.did: Counter[str] = Counter()
        self.done: set[str] = set()
        """Pages on which nobody will do anything any more."""
        self._provider, self._desk, self._seed, self._slowest = provider, desk, seed, slowest
        self._looked = 0
        self._seen: set[str] = set()

    async def run(self) -> None:
        """Do so until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                sent = self._provider.sent()
                for entry in sent[self._looked :]:
                    if entry.url and entry.url not in self._seen:
                        self._seen.add(entry.url)
                        group.create_task(self._stand(entry.url, entry.text))
                self._looked = len(sent)
                await asyncio.sleep(LOOK)

    async def _stand(self, page: str, text: str) -> None:
        chance = random.Random(f"{self._seed} {text}")  # noqa: S311  # who pays is no secret
        (habit,) = chance.choices([steps for steps, _ in HABITS], [share for _, share in HABITS])
        for step in habit:
            await asyncio.sleep(self._slowest * chance.random())
            await self._desk.choose(page, step)
        self.did[" then ".join(habit)] += 1
        self.done.add(page)
