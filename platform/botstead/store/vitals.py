"""How Postgres, Valkey and the queues are, on connections of their own: a look never waits behind the work it measures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import msgspec
import valkey.asyncio as client
from valkey.exceptions import ValkeyError

from botstead.core.errors import Unavailable
from botstead.store import queries
from botstead.store.postgres import Held

CHECKPOINTER = 170_000
"""The version since which Postgres counts checkpoints in `pg_stat_checkpointer`."""
FEW_DEAD = 1_000
"""Dead rows below which a table is not mentioned: small tables are half dead all the time."""
TABLES = 20
COUNTED = 100_000
"""Rows of a queue that are counted at most: a look must stay cheap when most is wrong."""
SENDS_COUNTED = 20_000
"""The same where each row is looked up in history."""
VALKEY_SECONDS = 1.0
_SQL = queries.load("vitals")


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """What Postgres says of itself.

    Args:
        skew: our clock minus the server's, halfway through the question, in seconds.
        connections: share of the connections that users may have.
        longest: age of the oldest open transaction, in seconds.
        size: of our database, in bytes.
        deadlocks: since its statistics were reset.
        checkpoints: those that were asked for, likewise.
        tables: name to the share of dead rows, of the tables that have many.
    """

    skew: float
    connections: float
    longest: float
    size: int
    deadlocks: int
    checkpoints: int
    tables: Mapping[str, float]


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """A queue: rows that wait, and the Unix seconds of the oldest one that could be worked on now, if there is any."""

    depth: int
    oldest: float | None = None


class Queues(msgspec.Struct, frozen=True, kw_only=True):
    """What waits.

    Args:
        inbox: to be handled.
        outbox: to be sent, by kind of channel.
        unhandled: messages that were given up before they were handled.
        unsent: messages that were given up before they were sent.
    """

    inbox: Queue
    outbox: Mapping[str, Queue]
    unhandled: int
    unsent: int


class PostgresVitals:
    """Asks Postgres. One connection."""

    def __init__(self, dsn: str, *, application: str) -> None:
        """Prepare; the first call connects.

        Args:
            dsn: where.
            application: shown in `pg_stat_activity`.
        """
        self._held = Held(dsn, application=f"{application} vitals")

    async def server(self) -> Server:
        """Ask how the server is.

        Raises:
            Unavailable: it does not answer.
        """
        before = time.time()
        row = (await self._held.fetch(_SQL["server"]))[0]
        middle = (before + time.time()) / 2
        view = "pg_stat_checkpointer" if row["version"] >= CHECKPOINTER else "pg_stat_bgwriter"
        checkpoints = (await self._held.fetch(_SQL["checkpoints"].replace("{view}", view)))[0]["requested"]
        tables = await self._held.fetch(_SQL["tables"], FEW_DEAD, TABLES)
        return Server(
            skew=middle - row["clock"],
            connections=row["connections"],
            longest=row["longest"],
            size=row["size"],
            deadlocks=row["deadlocks"],
            checkpoints=checkpoints,
            tables={table["name"]: table["ratio"] for table in tables},
        )

    async def queues(self, *, without: int) -> Queues:
        """Ask what waits.

        Args:
            without: number of the bot that does not count, or 0.

        Raises:
            Unavailable: Postgres does not answer.
        """
        inbox = (await self._held.fetch(_SQL["inbox"], without, COUNTED))[0]
        outbox = await self._held.fetch(_SQL["outbox"], without, SENDS_COUNTED)
        letters = (await self._held.fetch(_SQL["letters"], without, COUNTED))[0]
        return Queues(
            inbox=Queue(depth=inbox["depth"], oldest=inbox["oldest"]),
            outbox={row["kind"]: Queue(depth=row["depth"], oldest=row["oldest"]) for row in outbox},
            unhandled=letters["unhandled"],
            unsent=letters["unsent"],
        )

    async def close(self) -> None:
        """Close the connection."""
        await self._held.close()


class ValkeyServer(msgspec.Struct, frozen=True, kw_only=True):
    """What Valkey says of itself.

    Args:
        memory: share of `maxmemory` in use, None without a limit.
        evicted: keys given up since its start.
        rejected: connections refused since its start.
        saved: whether the last save went well.
        clients: connected now.
    """

    memory: float | None
    evicted: int
    rejected: int
    saved: bool
    clients: int


class ValkeyVitals:
    """Asks Valkey. A connection of its own, and no rest after a failure: whether it is back is the question."""

    def __init__(self, url: str) -> None:
        """Prepare; the first call connects.

        Args:
            url: where.
        """
        address = url.replace("redis://", "valkey://", 1)
        self._client: client.Valkey = client.Valkey.from_url(
            address, socket_timeout=VALKEY_SECONDS, socket_connect_timeout=VALKEY_SECONDS, single_connection_client=False
        )

    async def server(self) -> ValkeyServer:
        """Ask how it is.

        Raises:
            Unavailable: it does not answer.
        """
        try:
            async with asyncio.timeout(2 * VALKEY_SECONDS):
                return _read(await self._client.info())
        except (ValkeyError, OSError, TimeoutError) as error:
            raise Unavailable("Valkey does not answer.", after=1.0) from error

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()


def _read(info: Mapping[str, Any]) -> ValkeyServer:
    """Pick out of `INFO` (https://valkey.io/commands/info/)."""
    limit = int(info.get("maxmemory", 0))
    return ValkeyServer(
        memory=int(info["used_memory"]) / limit if limit else None,
        evicted=int(info["evicted_keys"]),
        rejected=int(info["rejected_connections"]),
        saved=info.get("rdb_last_bgsave_status", "ok") == "ok" and info.get("aof_last_write_status", "ok") == "ok",
        clients=int(info["connected_clients"]),
    )
