"""A road on which one can pay: the real ledger and the real worker, with a till and a bot that sells mugs."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

from botstead.core.messages import Kind, Pay, Refund, Send
from botstead.core.money import Payment
from botstead.core.ports import Account, Effects, Incoming, Prepared
from botstead.integrations.testpay.client import TestPay
from botstead.operate.payments.cashier import DOUBLE, Cashier
from botstead.operate.payments.news import PaymentNews
from botstead.operate.payments.paying import Paying
from botstead.operate.payments.reconcile import Reconcile
from botstead.pipeline.governor import Rate
from botstead.pipeline.partitions import partition_of
from botstead.pipeline.worker import Worker
from botstead.store.payment_records import PaymentRow
from botstead.store.payments import Ledger
from botstead.store.postgres import Postgres
from botstead.store.testpay import TestDesk
from botstead.store.valkey import MemoryWake
from tests.doubles.till import Till
from tests.integration.pipeline.road import NoWayOut, Road, until

BASE = "http://bots.example"


class Shop(Road):
    """The road, and what a test of money looks at."""

    def __init__(self, dsn: str, postgres: Postgres, wake: MemoryWake, till: Till) -> None:
        super().__init__(dsn, postgres, wake)
        self.till = till
        self._told: dict[int, Payment] = {}
        self.ledger = Ledger(postgres, partition_of)
        self.desk = TestDesk(postgres)
        self.cashier = Cashier(
            self.ledger,
            providers={till.kind: till, DOUBLE: TestPay(self.desk, base=BASE)},
            accounts=self.directory.accounts,
            find=self.directory.number,
            double=self._double,
            wake=wake,
            base=BASE,
        )
        self.aside = PaymentNews(self.cashier)
        self.reconcile = Reconcile(self.cashier, accept=self.inbox.accept, leads=lambda: True)
        self.buyer: Account
        self.account: Account

    async def _double(self, bot: str) -> Account:
        account = await self.registry.ensure_webchat(bot, kind=DOUBLE)
        await self.directory.refresh()
        return account

    async def open_shop(self, *, real: bool = True) -> None:
        """Install the bot, and its payment account."""
        self.buyer = await self.bot("shop", self._sell)
        if real:
            self.account = await self.registry.create_channel(
                "shop", kind=self.till.kind, name="", prepared=Prepared(settings={}, secrets={})
            )
            await self.directory.refresh()

    async def _sell(self, incoming: Incoming) -> Effects:
        found = incoming.event
        if found.kind is Kind.PAYMENT:
            self._told[incoming.id] = found.payment
            return Effects(actions=(Send(text=f"{found.payment.reference}: {found.payment.state} {found.payment.refunded}"),))
        word, _, rest = found.text.partition(" ")
        if word == "refund":
            payment, _, amount = rest.partition(" ")
            return Effects(actions=(Refund(payment=payment, amount=int(amount or 0)),))
        return Effects(actions=(Pay(amount=1250, currency="EUR", title="A mug", reference=word, provider=rest),))

    async def worker(self, name: str = "w1", *, lease: float = 3.0, traces=None) -> Worker:
        """Start a worker on which one can pay."""
        kinds = {"memory": self.network, **self.cashier.providers}
        made = Worker(
            self.dsn,
            name=name,
            lease=lease,
            directory=self.directory,
            handlers=self.handlers,
            quarantine=self.quarantine,
            kinds={kind: Paying(wrapped, self.cashier) for kind, wrapped in kinds.items()},
            egress=NoWayOut(),
            wake=self.wake,
            rate_of=lambda _: Rate(),
            buckets=None,
            traces=traces,
            aside=dict.fromkeys(self.cashier.providers, self.aside),
        )
        self.tasks[made] = asyncio.create_task(made.run())
        self.tasks[made].add_done_callback(self._ended)
        await until(lambda: made.ready, what=f"{name} is a member")
        return made

    @property
    def news(self) -> list[Payment]:
        """What the bot was told, in order; a message that ran again after a kill is one."""
        return list(self._told.values())

    async def payments(self) -> tuple[PaymentRow, ...]:
        """All of them, oldest first."""
        return tuple(reversed(await self.ledger.list(limit=1000)))

    async def payment(self) -> PaymentRow:
        """The only one."""
        (row,) = await self.payments()
        return row

    async def overdue(self) -> None:
        """Let time pass for whatever waits to be asked about."""
        await self.fetch("UPDATE payment SET ask_at = clock_timestamp() - interval '1 second'")
        await self.fetch(
            "UPDATE payment_attempt SET at = at - interval '2 minutes', ended_at = ended_at - interval '2 minutes'"
            " WHERE state IN ('pending', 'unknown')"
        )

    async def said(self, *events) -> None:
        """The till says something; wait until it is dealt with."""
        for event in events:
            await self.inbox.accept(self.account, (event,))
        await self.settled()


@asynccontextmanager
async def opened(dsn: str, till: Till, *, real: bool = True, work: bool = True):
    """Open a shop; ends every worker that is left."""
    postgres = await Postgres.open(dsn)
    shop = Shop(dsn, postgres, MemoryWake(), till)
    running = asyncio.create_task(shop.inbox.run())
    try:
        await shop.open_shop(real=real)
        if work:
            await shop.worker()
        yield shop
    finally:
        for worker in list(shop.tasks):
            await shop.end(worker, drain=False)
        running.cancel()
        await asyncio.wait([running])
        await shop.ingest.close()
        await postgres.close()


def in_shop(dsn: str, story, *, till: Till | None = None, **how) -> None:
    """Run a story, a coroutine function of a shop."""

    async def main() -> None:
        async with opened(dsn, till or Till(), **how) as shop:
            await story(shop)

    asyncio.run(main())
