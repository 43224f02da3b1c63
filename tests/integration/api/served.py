"""The API on a real Postgres, called in process over ASGI; and rows that tests need in the history."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx

from botstead.channels.registry import kinds
from botstead.core.messages import Event, Kind
from botstead.core.ports import Account
from botstead.pipeline.inbox import Inbox
from botstead.pipeline.partitions import partition_of
from botstead.processes import objectives
from botstead.runtime.egress import EgressClient
from botstead.runtime.keyring import KeyRing
from botstead.runtime.sealing import Sealer
from botstead.store.bot_secrets import SecretRows
from botstead.store.history import History
from botstead.store.keys import ADMIN, Keys
from botstead.store.letters import Letters
from botstead.store.payments import Ledger
from botstead.store.postgres import Postgres
from botstead.store.registry import Registry
from botstead.store.road import Ingest
from botstead.store.valkey import MemoryWake
from botstead.web.app import AppDeps, Probes, create_app


@dataclass
class Api:
    """What a story works with: `client` holds the admin key, `stranger` none."""

    client: httpx.AsyncClient
    stranger: httpx.AsyncClient
    deps: AppDeps
    postgres: Postgres
    inbox: Inbox
    app: Any
    hints: list[str]

    async def as_key(self, *scopes: str, **more: Any) -> dict[str, str]:
        """Headers of a new key with these scopes."""
        _, key = await self.deps.keys.create("test", scopes, **more)
        return {"authorization": f"Bearer {key.text()}"}

    async def said(self, account: Account, conversation: str, *texts: str) -> list[int]:
        """Messages that came in, through the real inbox."""
        events = [
            Event(kind=Kind.MESSAGE, conversation=conversation, key=os.urandom(8).hex(), text=text, message_id="1")
            for text in texts
        ]
        return [await self.inbox.accept_one(account, event) for event in events]

    async def sql(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """Look or change behind everybody's back."""
        async with self.postgres.connection() as connection:
            return await connection.fetch(statement, *arguments)


@asynccontextmanager
async def served(dsn: str, *, started: bool = True, **changes: Any):
    """Build everything, and take it apart again."""
    ring = KeyRing(current="k1", keys={"k1": os.urandom(32)}, pepper=os.urandom(32))
    async with AsyncExitStack() as stack:
        postgres = await Postgres.open(dsn, most=4)
        stack.push_async_callback(postgres.close)
        ingest, egress = Ingest(dsn, application="test"), EgressClient(allow=["127.0.0.1"])
        stack.push_async_callback(ingest.close)
        stack.push_async_callback(egress.close)
        wake, hints = MemoryWake(), []
        for topic in ("directory", "inbox"):
            wake.subscribe(topic, lambda _message, topic=topic: hints.append(topic))
        inbox = Inbox(ingest, wake, resolve=lambda _channel, _external: None, backlog_limit=100_000)
        standings = objectives.standings(postgres)
        sealer = Sealer(ring)
        usual = {
            "registry": Registry(postgres, sealer),
            "secrets": SecretRows(postgres, sealer),
            "keys": Keys(postgres, ring.pepper),
            "history": History(postgres),
            "letters": Letters(postgres, partition_of),
            "ledger": Ledger(postgres, partition_of),
            "standings": standings,
            "reports": objectives.reports(postgres, standings),
            "kinds": kinds(),
            "egress": egress,
            "probes": Probes({"postgres": postgres.ping}, version="1"),
            "wake": wake,
            "accept_one": inbox.accept_one,
        }
        deps = AppDeps(**{**usual, **changes})
        if started:
            deps.probes.start_done()
        app = create_app(deps)
        running = asyncio.create_task(inbox.run())
        stack.push_async_callback(_end, running)
        _, key = await deps.keys.create("admin", [ADMIN])
        headers = {"authorization": f"Bearer {key.text()}"}
        transport = httpx.ASGITransport(app)
        stranger = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://test"))
        client = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers))
        yield Api(client, stranger, deps, postgres, inbox, app, hints)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def told(dsn: str, story, **changes: Any):
    """Run a story on the API."""

    async def main():
        async with served(dsn, **changes) as api:
            return await story(api)

    return asyncio.run(main())
