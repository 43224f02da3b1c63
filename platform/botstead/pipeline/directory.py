"""Who is installed where: a snapshot of bots and channels in memory, read again on a hint, on a miss, and regularly."""

from __future__ import annotations

import asyncio
import logging
import time

from botstead.core.errors import Unavailable
from botstead.core.ports import Account, Wake
from botstead.pipeline.partitions import external_id
from botstead.runtime.tasks import within
from botstead.store.registry import Registry
from botstead.telemetry.logs import event

REFRESH_EVERY = 10.0
"""Seconds after which the snapshot is read again without a hint."""
MISS_EVERY = 0.5
"""Seconds between two reads caused by unknown ids: strangers must not be able to load the database."""

logger = logging.getLogger(__name__)


class Directory:
    """Looks up channels without I/O. One for each process."""

    def __init__(self, registry: Registry, wake: Wake) -> None:
        """Start empty.

        Args:
            registry: where the truth is.
            wake: hints on the topic `directory` cause a refresh.
        """
        self._registry = registry
        self._wake = wake
        self._by_id: dict[int, Account] = {}
        self.bots: frozenset[int] = frozenset()
        """Numbers of the bots that have a channel, as of the snapshot."""
        self._by_public_id: dict[str, Account] = {}
        self._moved: dict[tuple[int, str], str] = {}
        self._address: dict[str, str] = {}
        self._tried_at = self._read_at = float("-inf")
        self._stale = asyncio.Event()
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        """Keep the snapshot fresh until cancelled."""
        unsubscribe = self._wake.subscribe("directory", lambda _: self._stale.set())
        try:
            while True:
                await within(REFRESH_EVERY, self._stale)
                try:
                    await self.refresh()
                except Unavailable as error:
                    event(logger, "directory_not_refreshed", level=logging.WARNING, error=error.message)
                    await asyncio.sleep(1)
        finally:
            unsubscribe()

    async def refresh(self) -> None:
        """Read everything again.

        Raises:
            Unavailable: the database is away; the old snapshot stays.
        """
        async with self._turn:
            await self._read()

    async def _read(self) -> None:
        self._stale.clear()
        self._tried_at = began = time.monotonic()
        accounts = await self._registry.accounts()
        addresses = await self._registry.addresses()
        self._by_id = {account.id: account for account in accounts}
        self.bots = frozenset(account.bot for account in accounts)
        self._by_public_id = {account.public_id: account for account in accounts}
        self._moved = {(row.channel, row.external): row.conversation for row in addresses}
        self._address = {row.conversation: row.external for row in addresses}
        self._read_at = began

    async def _look_again(self) -> None:
        """Wait for a read that began after this call, but not often: many who ask at once share one.

        Nobody is told «unknown» by a snapshot that is older than the question: the channel may be a moment old.
        """
        asked = time.monotonic()
        async with self._turn:
            if self._tried_at < asked:
                await asyncio.sleep(max(0.0, self._tried_at + MISS_EVERY - time.monotonic()))
                await self._read()
            elif self._read_at < self._tried_at:
                raise Unavailable("The database cannot answer now.", after=1.0)

    def account(self, number: int) -> Account | None:
        """Return a channel by its number, as of the snapshot."""
        return self._by_id.get(number)

    def accounts(self) -> list[Account]:
        """Return all channels, as of the snapshot."""
        return list(self._by_id.values())

    async def find(self, public_id: str) -> Account | None:
        """Return a channel by its public id; an unknown one may be new, so look again, but not often."""
        found = self._by_public_id.get(public_id)
        if found is None:
            await self._look_again()
            found = self._by_public_id.get(public_id)
        return found

    async def number(self, number: int) -> Account | None:
        """Return a channel by its number; look again when it is unknown."""
        if number not in self._by_id:
            await self._look_again()
        return self._by_id.get(number)

    async def webchat(self, bot: str) -> Account | None:
        """Return the web chat of a bot."""
        for fresh in (False, True):
            if fresh:
                await self._look_again()
            for account in self._by_id.values():
                if account.bot_name == bot and account.kind == "webchat":
                    return account
        return None

    def resolve(self, channel: int, external: str) -> str | None:
        """Return the conversation that has moved to an external id, or None."""
        return self._moved.get((channel, external))

    def address(self, conversation: str) -> str:
        """Return the external id where a conversation is reached now."""
        return self._address.get(conversation) or external_id(conversation)

    async def move(self, channel: int, external: str, conversation: str) -> None:
        """Note a conversation's new external id, here and for everybody."""
        if self._moved.get((channel, external)) == conversation:
            return
        await self._registry.move(channel, external, conversation)
        self._moved[channel, external] = conversation
        self._address[conversation] = external
        self._wake.publish("directory")
