"""Money, put together: which providers there are, what a payment account is to each process, and who reconciles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from botstead.channels import registry
from botstead.core.ports import Account, ChannelKind, Handler
from botstead.core.tills import PaymentProvider
from botstead.integrations.paypal.client import PayPal
from botstead.integrations.stripe.client import Stripe
from botstead.integrations.testpay.client import TestPay
from botstead.operate.payments.cashier import DOUBLE, Cashier, Waits
from botstead.operate.payments.news import PaymentNews
from botstead.operate.payments.paying import Paying
from botstead.pipeline.partitions import partition_of
from botstead.processes.foundation import Foundation
from botstead.store.payments import Ledger
from botstead.store.testpay import TestDesk
from botstead.telemetry.catalog import METRICS


class Provider(PaymentProvider, ChannelKind, Protocol):
    """What each payment provider is: somebody who takes money, and a kind of channel."""


class Payments:
    """The providers of a process, and what is built on them."""

    def __init__(self, foundation: Foundation) -> None:
        """Build every object.

        Args:
            foundation: what it stands on.
        """
        self._foundation = foundation
        settings = foundation.settings
        self.base = base_of(foundation)
        self.desk = TestDesk(foundation.postgres)
        self.providers = _providers(foundation, self.desk, self.base)
        for kind in self.providers:
            METRICS.register("channel", kind)
        self.cashier = Cashier(
            Ledger(foundation.postgres, partition_of),
            providers=self.providers,
            accounts=foundation.directory.accounts,
            find=foundation.directory.number,
            double=self._double,
            wake=foundation.wake,
            base=self.base,
            waits=Waits(patience=settings.payment_patience_seconds, answer=settings.payment_seconds),
        )

    async def _double(self, bot: str) -> Account:
        """Make the double's account of a bot, and let every process know of it."""
        account = await self._foundation.registry.ensure_webchat(bot, kind=DOUBLE)
        await self._foundation.directory.refresh()
        self._foundation.wake.publish("directory")
        return account

    def kinds(self) -> dict[str, ChannelKind]:
        """Return every kind of channel, payment accounts among them, as the API and the scheduler see them."""
        return {**registry.kinds(), **self.providers}

    def paying(self) -> dict[str, ChannelKind]:
        """Return every kind as the worker delivers by it: one can be paid on each."""
        return {name: Paying(kind, self.cashier) for name, kind in self.kinds().items()}

    def aside(self) -> dict[str, Handler]:
        """Return what deals with the events of payment accounts, by kind."""
        news = PaymentNews(self.cashier)
        return dict.fromkeys(self.providers, news)


def base_of(foundation: Foundation) -> str:
    """Return the address that people reach: the public one, or the edge's own on a laptop."""
    settings = foundation.settings
    return (settings.public_url or settings.canary_url or f"http://{settings.host}:{settings.port}").rstrip("/")


def _providers(foundation: Foundation, desk: TestDesk, base: str) -> Mapping[str, Provider]:
    real: tuple[Provider, ...] = (Stripe(foundation.outside), PayPal(foundation.outside))
    return {provider.kind: provider for provider in (*real, TestPay(desk, base=base))}
