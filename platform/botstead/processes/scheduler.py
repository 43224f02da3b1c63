"""The scheduler process: upkeep of the database, long polling for channels without a public address, and signs of life.

Any number may run; a lock in the database elects the one that works.
"""

from __future__ import annotations

import asyncio
import logging

from botstead.channels.telegram import poll
from botstead.core.errors import Unavailable
from botstead.core.ports import Account
from botstead.operate.payments.reconcile import Reconcile
from botstead.pipeline.inbox import Inbox
from botstead.processes import objectives
from botstead.processes.foundation import Foundation
from botstead.processes.payments import Payments
from botstead.processes.watching import Watching
from botstead.runtime.tasks import Tasks
from botstead.store.history import History
from botstead.store.road import Ingest
from botstead.store.trace_index import index_traces
from botstead.store.upkeep import Upkeep
from botstead.telemetry.catalog import VITALS
from botstead.telemetry.logs import event

LEAD_EVERY = 1.0
"""Seconds between two looks at the lock and at the channels."""
UPKEEP_EVERY = 30.0
KEEP_KEYS = 8
"""Days that dedup keys are kept: one more than the longest provider retries."""
KEEP_HOPS = 7
"""Days that the details of slow, failed and chosen messages are kept; when they came and were answered is kept for good."""
FORGET_BATCH = 20_000

logger = logging.getLogger(__name__)


class Scheduler:
    """Does what only one process may do."""

    def __init__(self, foundation: Foundation) -> None:
        """Build every object.

        Args:
            foundation: what it stands on.
        """
        self._foundation = foundation
        settings = foundation.settings
        self._upkeep = Upkeep(settings.postgres, application=settings.instance)
        self._ingest = Ingest(settings.postgres, application=settings.instance)
        self._inbox = Inbox(
            self._ingest, foundation.wake, resolve=foundation.directory.resolve, backlog_limit=settings.backlog_limit
        )
        self._history = History(foundation.postgres)
        self._objectives = objectives.upkeep(foundation)
        self._polls: dict[str, tuple[Account, asyncio.Event, Tasks]] = {}
        self._alive = False
        self._leads = False
        payments = Payments(foundation)
        self._reconcile = Reconcile(payments.cashier, accept=self._inbox.accept, leads=lambda: self._leads)
        self._watching = Watching(foundation, payments)

    async def start(self) -> None:
        """Begin."""
        await self._upkeep.extend()
        self._alive = True
        self._foundation.tasks.start("inbox", self._inbox.run())
        self._foundation.tasks.start("lead", self._lead())
        self._foundation.tasks.start("index", self._index())
        self._foundation.tasks.start("payments", self._reconcile.run())
        self._watching.start()

    @property
    def ready(self) -> bool:
        """Whether it was started and may lead."""
        return self._alive

    async def drain(self) -> None:
        """Finish the batches that are being accepted."""
        self._alive = False
        for public_id in list(self._polls):
            await self._stop_poll(public_id)
        self._lead_is(leads=False)
        await self._watching.close()
        await self._upkeep.close()
        await self._ingest.close()

    async def _lead(self) -> None:
        due = 0.0
        while self._alive:
            try:
                self._lead_is(leads=await self._upkeep.lead())
                self._watching.on = self._leads
                if self._leads:
                    await self._follow_channels()
                    if asyncio.get_running_loop().time() >= due:
                        await self._keep_order()
                        due = asyncio.get_running_loop().time() + UPKEEP_EVERY
                else:
                    await self._stop_all()
            except Unavailable as error:
                # Nobody leads without the database; whoever did goes on watching, or its absence would go unseen.
                self._lead_is(leads=False)
                event(logger, "upkeep_waits", level=logging.WARNING, error=error.message)
                await self._stop_all()
            await asyncio.sleep(LEAD_EVERY)

    def _lead_is(self, *, leads: bool) -> None:
        self._leads = leads
        VITALS.leader.show(leads)
        if not leads:
            self._objectives.rest()

    async def _keep_order(self) -> None:
        await self._upkeep.extend()
        await self._upkeep.forget(days=KEEP_KEYS, batch=FORGET_BATCH)
        await self._upkeep.forget_hops(days=KEEP_HOPS, batch=FORGET_BATCH)
        await self._objectives.keep()

    async def _index(self) -> None:
        """Index closed parts of history for search; one index may take minutes, so this has a loop of its own."""
        while self._alive:
            try:
                if self._leads:
                    await self._history.index_closed_parts()
                    await index_traces(self._foundation.postgres)
            except Unavailable as error:
                event(logger, "indexing_waits", level=logging.WARNING, error=error.message)
            await asyncio.sleep(UPKEEP_EVERY)

    async def _follow_channels(self) -> None:
        wanted = {
            account.public_id: account
            for account in self._foundation.directory.accounts()
            if account.enabled and account.kind == "telegram" and account.settings.get("mode") == "poll"
        }
        for public_id, (account, _, tasks) in list(self._polls.items()):
            if public_id not in wanted or _changed(account, wanted[public_id]) or not len(tasks):
                await self._stop_poll(public_id)
        for public_id, account in wanted.items():
            if public_id not in self._polls:
                await self._start_poll(account)

    async def _start_poll(self, account: Account) -> None:
        registry, stopping = self._foundation.registry, asyncio.Event()
        offset = await registry.poll_offset(account.id) or 0
        tasks = Tasks(lambda name, error: event(logger, "poll_failed", level=logging.ERROR, exception=error, task=name))

        async def save(following: int) -> None:
            await registry.save_poll_offset(account.id, following)

        polling = poll.poll(
            account, self._foundation.egress, offset=offset, accept=self._inbox.accept, save_offset=save, stopping=stopping
        )
        tasks.start(f"poll-{account.public_id}", polling)
        self._polls[account.public_id] = (account, stopping, tasks)

    async def _stop_poll(self, public_id: str) -> None:
        _, stopping, tasks = self._polls.pop(public_id)
        stopping.set()
        await tasks.stop(2.0)

    async def _stop_all(self) -> None:
        for public_id in list(self._polls):
            await self._stop_poll(public_id)


def _changed(old: Account, new: Account) -> bool:
    secrets = {name: secret.reveal() for name, secret in old.secrets.items()} != {
        name: secret.reveal() for name, secret in new.secrets.items()
    }
    return secrets or dict(old.settings) != dict(new.settings)
