"""The worker process: runs bots and sends what they say."""

from __future__ import annotations

import asyncio
import logging

from botstead.channels.registry import manifests
from botstead.core.errors import Unavailable
from botstead.core.ports import Account
from botstead.pipeline.governor import Rate
from botstead.pipeline.worker import Worker
from botstead.processes.bots import Bots
from botstead.processes.foundation import Foundation
from botstead.processes.payments import Payments
from botstead.processes.traces import Tracing
from botstead.runtime.tasks import within
from botstead.telemetry.logs import event

REMOTE_EVERY = 5.0
"""Seconds between two looks at the registry of HTTP bots, besides hints."""
START_TIMEOUT = 20.0

logger = logging.getLogger(__name__)


def rate_of(account: Account) -> Rate:
    """Return how fast a channel may send: its network's limits, at the network's own address only.

    A server of the operator's own (`api_base`) has no limits of the public one.
    """
    manifest = manifests().get(account.kind)
    if manifest is None:  # a payment account: nothing is written to it
        return Rate()
    public = manifest.settings.get("api_base")
    own = account.settings.get("api_base")
    if own and public and own != public.default:
        return Rate()
    rates = manifest.rates
    return Rate(rates.bot_per_second, rates.conversation_per_second, rates.conversation_burst)


class BotWorker:
    """Handles and sends."""

    def __init__(self, foundation: Foundation) -> None:
        """Build every object; `start` loads bots and joins.

        Args:
            foundation: what it stands on.
        """
        self._foundation = foundation
        foundation.workers = lambda: self.worker.workers
        self._bots = Bots(foundation)
        settings = foundation.settings
        self._tracing = Tracing(settings, foundation.postgres)
        payments = Payments(foundation)
        self.worker = Worker(
            settings.postgres,
            name=settings.instance,
            lease=settings.lease_seconds,
            directory=foundation.directory,
            handlers=self._bots.handlers,
            quarantine=self._bots.quarantine,
            kinds=payments.paying(),
            egress=foundation.egress,
            wake=foundation.wake,
            rate_of=rate_of,
            buckets=foundation.buckets.reserve if foundation.buckets else None,
            traces=self._tracing.traces,
            aside=payments.aside(),
        )
        self._changed = asyncio.Event()

    async def start(self) -> None:
        """Load the bots, then take partitions."""
        await self._bots.load()
        self._tracing.start(self._foundation.tasks)
        self._foundation.tasks.start("worker", self.worker.run())
        self._foundation.tasks.start("http-bots", self._watch())
        async with asyncio.timeout(START_TIMEOUT):
            while not self.worker.ready:  # noqa: ASYNC110  # once, at start
                await asyncio.sleep(0.01)

    @property
    def ready(self) -> bool:
        """Whether it is a member and its lease runs."""
        return self.worker.ready

    async def drain(self) -> None:
        """End handlers and sends, hand partitions back, end bot processes."""
        await self.worker.drain(self._foundation.settings.stop_seconds)
        await self._tracing.drain()
        await self._bots.stop()

    async def _watch(self) -> None:
        self._foundation.wake.subscribe("directory", lambda _: self._changed.set())
        while True:
            await within(REMOTE_EVERY, self._changed)
            self._changed.clear()
            try:
                await self._bots.refresh_secrets()
                await self._bots.refresh_remote()
            except Unavailable as error:
                event(logger, "http_bots_not_refreshed", level=logging.WARNING, error=error.message)
