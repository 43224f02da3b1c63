"""The API process: hooks, chat, REST, health, behind the edge."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from importlib.metadata import version

import uvicorn

from botstead.core.messages import Event, Health
from botstead.core.ports import Account
from botstead.pipeline.inbox import Inbox
from botstead.pipeline.partitions import conversation_key, partition_of
from botstead.processes import objectives
from botstead.processes.foundation import ADMIN_KEY, Foundation
from botstead.processes.payments import Payments
from botstead.processes.watching import note_rejects
from botstead.store.history import History
from botstead.store.letters import Letters
from botstead.store.rhythm import Rejects
from botstead.store.road import Ingest
from botstead.store.valkey import ValkeyCache
from botstead.web.app import create_app
from botstead.web.chat.deps import ChatDeps
from botstead.web.chat.routes import chat_routes
from botstead.web.deps import AppDeps
from botstead.web.health import Probes
from botstead.web.hooks import HookDeps, Hooks
from botstead.web.pay.routes import PayDeps, pay_routes
from botstead.web.traffic import Traffic

KEEP_ALIVE = 75
"""Seconds that an idle connection of the edge is kept; longer than the edge keeps it, so that the edge closes first."""
START_TIMEOUT = 15.0


class _Server(uvicorn.Server):
    """Uvicorn without its own signal handling: the drain is ours."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Api:
    """Serves HTTP on `api_port`."""

    def __init__(self, foundation: Foundation) -> None:
        """Build every object; `start` binds the port.

        Args:
            foundation: what it stands on.
        """
        self._foundation = foundation
        settings = foundation.settings
        self._draining = asyncio.Event()
        self._ingest = Ingest(settings.postgres, application=settings.instance)
        self.inbox = Inbox(
            self._ingest, foundation.wake, resolve=foundation.directory.resolve, backlog_limit=settings.backlog_limit
        )
        self._rejects = Rejects()
        self._probes = Probes(
            {"database": self._database},
            helpful={"valkey": self._valkey},
            version=version("botstead"),
            instance=settings.instance,
        )
        config = uvicorn.Config(
            self._app(),
            host=settings.metrics_host,
            port=settings.api_port,
            loop="none",
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=settings.public_url.startswith("https:"),  # the edge says so; without TLS nothing needs it
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=int(settings.stop_seconds),
            backlog=1024,
        )
        self._server = _Server(config)
        self._serving: asyncio.Task[object] | None = None

    def _app(self) -> Hooks:
        foundation, settings = self._foundation, self._foundation.settings
        payments = Payments(foundation)
        hooks = HookDeps(
            find=foundation.directory.find,
            kinds=payments.kinds(),
            accept=self.inbox.accept,
            moved=self._moved,
            body_limit=settings.body_limit,
            rejected=self._rejects.add,
        )
        chat = ChatDeps(
            find_account=foundation.directory.webchat,
            accept_one=self.inbox.accept_one,
            postgres=foundation.postgres,
            wake=foundation.wake,
            draining=self._draining,
        )
        pay = PayDeps(cashier=payments.cashier, desk=payments.desk, accept=self.inbox.accept, find=foundation.directory.number)
        standings = objectives.standings(foundation.postgres)
        app = create_app(
            AppDeps(
                registry=foundation.registry,
                secrets=foundation.secrets,
                keys=foundation.keys,
                history=History(foundation.postgres),
                letters=Letters(foundation.postgres, partition_of),
                ledger=payments.cashier.ledger,
                standings=standings,
                reports=objectives.reports(foundation.postgres, standings),
                kinds=payments.kinds(),
                egress=foundation.egress,
                probes=self._probes,
                wake=foundation.wake,
                accept_one=self.inbox.accept_one,
                public_url=settings.public_url.rstrip("/"),
                body_limit=settings.body_limit,
                public=[*chat_routes(chat), *pay_routes(pay)],
            )
        )
        return Hooks(hooks, otherwise=Traffic(app))

    async def start(self) -> None:
        """Make the operator's key at first start, then serve."""
        foundation = self._foundation
        await foundation.keys.ensure_admin_key(foundation.settings.data / ADMIN_KEY)
        foundation.tasks.start("inbox", self.inbox.run())
        foundation.tasks.start("rejects", note_rejects(foundation, self._rejects))
        self._serving = foundation.tasks.start("http", self._server.serve())
        async with asyncio.timeout(START_TIMEOUT):
            while not self._server.started and not self._serving.done():  # noqa: ASYNC110  # uvicorn has no event for it
                await asyncio.sleep(0.01)
        self._probes.start_done()

    @property
    def ready(self) -> bool:
        """Whether the port is bound and nobody has asked to stop."""
        return self._server.started and not self._draining.is_set()

    async def drain(self) -> None:
        """Say «not ready», serve on for a while, then let requests end."""
        self._probes.drain()
        await asyncio.sleep(self._foundation.settings.drain_seconds)
        self._draining.set()
        self._server.should_exit = True
        if self._serving is not None:
            await asyncio.wait([self._serving], timeout=self._foundation.settings.stop_seconds)
        await self._ingest.close()

    async def _moved(self, account: Account, found: Event) -> None:
        directory = self._foundation.directory
        conversation = directory.resolve(account.id, found.conversation) or conversation_key(account.id, found.conversation)
        await directory.move(account.id, found.moved_to, conversation)

    async def _database(self) -> Health | None:
        await self._foundation.postgres.ping()
        return None

    async def _valkey(self) -> Health | None:
        cache = self._foundation.cache
        if isinstance(cache, ValkeyCache) and not await cache.ping():
            return Health(status="degraded", detail="Valkey does not answer: slower, nothing lost.")
        return None
