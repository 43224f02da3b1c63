"""Signs of life, put together: the canary, the readings of what we stand on, and how each channel is."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit

from botstead.channels.loopback import KIND as LOOPBACK
from botstead.channels.loopback import health as loopback
from botstead.core.errors import Unavailable
from botstead.core.ports import Account
from botstead.operate import canary
from botstead.operate.canary import Canary
from botstead.operate.channels import Channels
from botstead.operate.payments.cashier import DOUBLE
from botstead.operate.vitals import Watch
from botstead.processes.foundation import NO_VALKEY, Foundation
from botstead.processes.payments import Payments
from botstead.runtime.egress import EgressClient
from botstead.store.canary import CanaryRows, ensure_channel
from botstead.store.rhythm import Rejects, RhythmRows
from botstead.store.vitals import PostgresVitals, ValkeyVitals

CHANNELS_SHARE = 1.5
"""Channels are looked at less often than what we stand on: every 15 s, where that is every 10 s."""
UNWATCHED = (LOOPBACK.kind, DOUBLE)
"""Kinds that are ours: there is no network behind them to lose."""
FLUSH_EVERY = 10.0
"""Seconds between two notes of what an API process turned away."""


class Watching:
    """What one scheduler does for all. The others are ready to take over."""

    def __init__(self, foundation: Foundation, payments: Payments) -> None:
        """Build every object.

        Args:
            foundation: what it stands on.
            payments: the providers whose accounts are looked at too.
        """
        self._foundation = foundation
        self._kinds = payments.kinds()
        self.on = False
        """Whether this process is the one that watches."""
        # Of its own: nothing else may reach an address of the inside because the canary does.
        self._canary_egress = EgressClient(allow=(_door(foundation.settings.canary_url),)) if foundation.settings.canary else None
        self._canary = self._build_canary(self._canary_egress) if self._canary_egress else None
        self._vitals = self._build_vitals()
        self._channels = self._build_channels()

    def start(self) -> None:
        """Begin; the foundation's tasks end it."""
        tasks = self._foundation.tasks
        tasks.start("vitals", self._vitals.run())
        tasks.start("channels", self._channels.run())
        if self._canary is not None:
            tasks.start("canary", self._canary.run())

    async def close(self) -> None:
        """Watch no more, and close every connection."""
        self.on = False
        if self._canary is not None and self._canary_egress is not None:
            await self._canary.close()
            await self._canary_egress.close()
        await self._vitals.close()
        await self._channels.close()

    def _build_canary(self, egress: EgressClient) -> Canary:
        foundation, settings = self._foundation, self._foundation.settings
        return Canary(
            CanaryRows(settings.postgres, application=settings.instance),
            account=self._canary_account,
            note=foundation.registry.set_health,
            egress=egress,
            wake=foundation.wake,
            url=settings.canary_url,
            every=settings.canary_seconds,
            sends=lambda: self.on,
        )

    async def _canary_account(self) -> Account | None:
        foundation = self._foundation
        found = await ensure_channel(
            foundation.postgres, foundation.registry, canary.NAME, kind=LOOPBACK.kind, prepared=loopback.made()
        )
        foundation.wake.publish("directory")
        return found

    def _build_vitals(self) -> Watch:
        settings = self._foundation.settings
        valkey = settings.valkey
        return Watch(
            PostgresVitals(settings.postgres, application=settings.instance),
            ValkeyVitals(valkey) if valkey and valkey != NO_VALKEY else None,
            data=settings.data,
            every=settings.look_seconds,
            looks=lambda: self.on,
            without=lambda: self._canary.bot if self._canary else 0,
        )

    def _build_channels(self) -> Channels:
        foundation, settings = self._foundation, self._foundation.settings
        return Channels(
            RhythmRows(settings.postgres, application=settings.instance),
            accounts=lambda: [account for account in foundation.directory.accounts() if account.kind not in UNWATCHED],
            kinds=self._kinds,
            egress=foundation.egress,
            note=foundation.registry.set_health,
            looks=lambda: self.on,
            every=settings.look_seconds * CHANNELS_SHARE,
        )


def _door(url: str) -> str:
    """Return host and port of an address, as the address guard takes them."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return host if parts.port else f"{host}:{443 if parts.scheme == 'https' else 80}"


async def note_rejects(foundation: Foundation, rejects: Rejects) -> None:
    """Write down what was turned away, until cancelled.

    Args:
        foundation: of an API process.
        rejects: counts them.
    """
    while True:
        await asyncio.sleep(FLUSH_EVERY)
        with suppress(Unavailable):  # they stay counted
            await rejects.flush(foundation.postgres)
