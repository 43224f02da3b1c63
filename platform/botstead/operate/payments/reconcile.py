"""Asks providers about payments that wait for too long, and goes through the inbox with the answers: no lost webhook stays lost.

One loop, in the leading scheduler. It also marks what bots have done their part for, and shows what a person has to know of.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from botstead.core.errors import EgressError, PaymentRefused, Unavailable
from botstead.core.money import PaymentState
from botstead.core.ports import Accept, Account
from botstead.core.tills import Standing
from botstead.operate.payments.cashier import Cashier, books
from botstead.operate.payments.news import asked
from botstead.operate.payments.state import move
from botstead.store.payment_records import Attempt, PaymentRow, Unsettled
from botstead.telemetry.catalog import VITALS
from botstead.telemetry.logs import event

SHARE = 1 / 12
"""Of the patience with providers: time between two turns, 5 s as it is set …"""
SHORTEST = 0.1
"""… and not less than this, in seconds."""
BATCH = 40
"""Payments that are asked about in one turn."""
AT_ONCE = 8
FULFIL = 500
LONGEST = 6 * 3600.0
"""Seconds between two questions about one payment, at most."""
EXPIRES = 25 * 3600.0
"""Seconds after which nobody will pay: an hour more than the longest that a provider's page lives."""
SHOWN = (VITALS.unfulfilled, VITALS.unfulfilled_since, VITALS.payment_unknown, VITALS.payment_unknown_since)

logger = logging.getLogger(__name__)


class Reconcile:
    """Does it, as long as this process is the one to."""

    def __init__(
        self,
        cashier: Cashier,
        *,
        accept: Accept,
        leads: Callable[[], bool],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; `run` works.

        Args:
            cashier: the ledger and the providers.
            accept: the door to the inbox.
            leads: whether this process is the one to work.
            clock: Unix seconds.
        """
        self._cashier = cashier
        self._accept = accept
        self._leads = leads
        self._every = max(SHORTEST, cashier.waits.patience * SHARE)
        self._clock = clock
        self._places = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Work until cancelled."""
        away = False
        try:
            while True:
                try:
                    await (self.turn() if self._leads() else _rest())
                    away = False
                except Unavailable as error:
                    _clear()
                    if not away:
                        event(logger, "payments_not_reconciled", level=logging.WARNING, error=error.message)
                    away = True
                await asyncio.sleep(self._every)
        finally:
            _clear()

    async def turn(self) -> None:
        """Do what is due, once.

        Raises:
            Unavailable: the database is away.
        """
        ledger, waits = self._cashier.ledger, self._cashier.waits
        await ledger.fulfil(limit=FULFIL)
        rows = await ledger.due(limit=BATCH, first=waits.patience, pending=waits.pending, longest=LONGEST)
        refunds = await ledger.unknown(older=waits.patience, limit=BATCH)
        await asyncio.gather(*map(self._ask, rows), *map(self._resolve, refunds))
        _show(await ledger.unsettled())

    async def _ask(self, row: PaymentRow) -> None:
        """Ask about one order; the answer goes the way of a webhook."""
        account = await self._cashier.account(row.account)
        said = await self._look(row, account)
        if account is None or said is None:
            return
        moved = move(books(row), said)
        if moved.effect != "nothing" or moved.books.state is PaymentState.APPROVED:
            await self._accept(account, (asked(row, said, self._clock()),))
        elif self._old(row) and not row.held and not said.payment and not row.payment:
            expired = Standing(state=PaymentState.EXPIRED, detail="Nobody paid in time.")
            await self._accept(account, (asked(row, expired, self._clock()),))

    def _old(self, row: PaymentRow) -> bool:
        return self._clock() - row.created_at.timestamp() > EXPIRES

    async def _look(self, row: PaymentRow, account: Account | None) -> Standing | None:
        """Return what the provider says; None when it cannot be asked now. Of what it does not know it says nothing new."""
        if account is None:
            return None
        try:
            async with self._places, self._cashier.asking(account) as provider:
                return await provider.look(self._cashier.order(row), account)
        except PaymentRefused:
            return Standing(state=row.state)
        except EgressError:
            return None
        except Exception as error:  # noqa: BLE001  # a fault in one provider's code must not keep the others from being asked
            event(logger, "payment_not_asked", level=logging.ERROR, exception=error, payment=row.id, channel=account.kind)
            return None

    async def _resolve(self, refund: Attempt) -> None:
        """Find out what became of a refund whose answer never came; the sends of a message end after a day."""
        row = await self._cashier.ledger.get(refund.payment)
        account = await self._cashier.account(row.account)
        said = await self._look(row, account)
        if account is None or said is None:
            return
        attempts = await self._cashier.ledger.attempts(row.id)
        before = sum(one.amount for one in attempts if one.kind == "refund" and one.state == "done")
        if max(said.refunded, row.refunded) >= before + refund.amount or said.state is PaymentState.REFUNDED:
            await self._accept(account, (asked(row, said, self._clock()),))
            await self._cashier.ledger.end(refund, "done")
        elif self._clock() - refund.at.timestamp() > EXPIRES:
            await self._cashier.ledger.end(refund, "failed", "The provider knows nothing of it. Ask for it again.")


async def _rest() -> None:
    _clear()


def _show(found: Unsettled) -> None:
    VITALS.unfulfilled.show(found.unfulfilled)
    VITALS.payment_unknown.show(found.unknown)
    for reading, since in (
        (VITALS.unfulfilled_since, found.unfulfilled_since),
        (VITALS.payment_unknown_since, found.unknown_since),
    ):
        reading.replace({} if since is None else {(): since})


def _clear() -> None:
    for reading in SHOWN:
        reading.clear()
