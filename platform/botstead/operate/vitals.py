"""Keeps the readings of the whole installation fresh: one scheduler looks, every ten seconds, at everything that others stand on.

What cannot be read is not shown: `postgres_up` is 0 and nothing else is said of Postgres until it answers again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from botstead.core.errors import Unavailable
from botstead.operate import host
from botstead.store.postgres import RowRefused
from botstead.store.vitals import PostgresVitals, Queue, Queues, Server, ValkeyServer, ValkeyVitals
from botstead.telemetry.catalog import VITALS
from botstead.telemetry.logs import event
from botstead.telemetry.readings import Reading

EVERY = 10.0
"""Seconds between two looks."""
TURN = 1.0
"""Seconds after which a process that does not look asks again whether it should."""
PATIENCE = 5.0
"""Seconds that one source may take."""

POSTGRES = (
    VITALS.connections,
    VITALS.longest,
    VITALS.size,
    VITALS.deadlocks,
    VITALS.checkpoints,
    VITALS.dead_tuples,
    VITALS.clock_skew,
)
QUEUES = (VITALS.depth, VITALS.oldest, VITALS.dead_letters, VITALS.outbox, VITALS.outbox_oldest)
VALKEY = (VITALS.valkey_memory, VITALS.valkey_evicted, VITALS.valkey_rejected, VITALS.valkey_saved, VITALS.valkey_clients)
HOST = (
    VITALS.pressure,
    VITALS.cpu,
    VITALS.memory_available,
    VITALS.memory_total,
    VITALS.oom_kills,
    VITALS.disk_free,
    VITALS.disk_size,
)

logger = logging.getLogger(__name__)


class Watch:
    """Looks, as long as this process is the one to look."""

    def __init__(  # noqa: PLR0913  # each by name
        self,
        postgres: PostgresVitals,
        valkey: ValkeyVitals | None,
        *,
        data: Path,
        every: float = EVERY,
        looks: Callable[[], bool],
        without: Callable[[], int],
    ) -> None:
        """Prepare; `run` looks.

        Args:
            postgres: asks Postgres.
            valkey: asks Valkey; None where there is none.
            data: folder whose disk counts.
            every: seconds between two looks.
            looks: whether this process is the one to look.
            without: number of the bot whose messages are not users' (the canary), or 0.
        """
        self._postgres = postgres
        self._valkey = valkey
        self._data = data
        self._every = every
        self._looks = looks
        self._without = without

    async def run(self) -> None:
        """Look until cancelled."""
        try:
            while True:
                await self.look()
                await asyncio.sleep(self._every if self._looks() else TURN)
        finally:
            clear()

    async def look(self) -> None:
        """Look once, at everything at once; or show nothing, when others look."""
        if not self._looks():
            clear()
            return
        jobs: list[Awaitable[object]] = [
            self._at_postgres(),
            asyncio.to_thread(self._at_host),
        ]
        if self._valkey is not None:
            jobs.append(_asked("valkey", self._at_valkey, VITALS.valkey_up, VALKEY))
        await asyncio.gather(*jobs)

    async def _at_postgres(self) -> None:
        """Ask how the server is, and then what waits: a lock on a table of ours is no sign that the server is away."""
        if await _asked("postgres", self._at_server, VITALS.postgres_up, (*POSTGRES, *QUEUES)):
            await _asked("queues", self._at_queues, None, QUEUES)

    async def _at_server(self) -> None:
        show_server(await self._postgres.server())

    async def _at_queues(self) -> None:
        show_queues(await self._postgres.queues(without=self._without()))

    async def _at_valkey(self) -> None:
        assert self._valkey is not None
        show_valkey(await self._valkey.server())

    def _at_host(self) -> None:
        show_host(host.look(self._data))

    async def close(self) -> None:
        """Close the connections."""
        await self._postgres.close()
        if self._valkey is not None:
            await self._valkey.close()


def clear() -> None:
    """Show nothing: somebody else looks."""
    for reading in (VITALS.postgres_up, *POSTGRES, *QUEUES, VITALS.valkey_up, *VALKEY, *HOST):
        reading.clear()


async def _asked(source: str, ask: Callable[[], Awaitable[None]], up: Reading | None, others: tuple[Reading, ...]) -> bool:
    """Ask one source; when it does not answer, say so, show nothing of it, and return False."""
    try:
        async with asyncio.timeout(PATIENCE):
            await ask()
    except (Unavailable, RowRefused, TimeoutError) as error:
        if up is None or up.shown.get(()) != 0:
            event(logger, "source_away", level=logging.WARNING, source=source, error=type(error).__name__)
        for reading in others:
            reading.clear()
        if up is not None:
            up.show(0)
        return False
    if up is not None:
        up.show(1)
    return True


def show_server(found: Server) -> None:
    """Show what Postgres said.

    Args:
        found: what it said.
    """
    VITALS.connections.show(found.connections)
    VITALS.longest.show(found.longest)
    VITALS.size.show(found.size)
    VITALS.deadlocks.show(found.deadlocks)
    VITALS.checkpoints.show(found.checkpoints)
    VITALS.dead_tuples.replace({(name,): ratio for name, ratio in found.tables.items()})
    VITALS.clock_skew.show(found.skew)


def show_queues(found: Queues) -> None:
    """Show what waits.

    Args:
        found: what waits.
    """
    sends = Queue(
        depth=sum(queue.depth for queue in found.outbox.values()),
        oldest=min((queue.oldest for queue in found.outbox.values() if queue.oldest is not None), default=None),
    )
    queues = {("inbox",): found.inbox, ("outbox",): sends}
    VITALS.depth.replace({name: queue.depth for name, queue in queues.items()})
    VITALS.oldest.replace({name: queue.oldest for name, queue in queues.items() if queue.oldest is not None})
    VITALS.dead_letters.replace({("inbox",): found.unhandled, ("outbox",): found.unsent})
    VITALS.outbox.replace({(kind,): queue.depth for kind, queue in found.outbox.items()})
    VITALS.outbox_oldest.replace({(kind,): queue.oldest for kind, queue in found.outbox.items() if queue.oldest is not None})


def show_valkey(found: ValkeyServer) -> None:
    """Show what Valkey said.

    Args:
        found: what it said.
    """
    VITALS.valkey_memory.replace({} if found.memory is None else {(): found.memory})
    VITALS.valkey_evicted.show(found.evicted)
    VITALS.valkey_rejected.show(found.rejected)
    VITALS.valkey_saved.show(found.saved)
    VITALS.valkey_clients.show(found.clients)


def show_host(found: host.Host) -> None:
    """Show how the machine is.

    Args:
        found: what could be read.
    """
    VITALS.pressure.replace({(resource,): seconds for resource, seconds in found.pressure.items()})
    VITALS.cpu.replace({(mode,): seconds for mode, seconds in found.cpu.items()})
    single = {
        VITALS.memory_available: found.memory_available,
        VITALS.memory_total: found.memory_total,
        VITALS.oom_kills: found.oom_kills,
        VITALS.disk_free: found.disk_free,
        VITALS.disk_size: found.disk_size,
    }
    for reading, value in single.items():
        reading.replace({} if value is None else {(): value})
