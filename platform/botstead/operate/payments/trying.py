"""One try at a provider, noted before and after: nobody forgets what may have happened there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from botstead.core.errors import EgressBroken, EgressError, EgressTimeout, PaymentRefused
from botstead.core.ports import Account
from botstead.core.tills import Order, PaymentProvider, Standing
from botstead.operate.payments import measures
from botstead.operate.payments.cashier import Cashier
from botstead.store.payment_records import Applied, Attempt, AttemptState, PaymentRow

Ask = Callable[[PaymentProvider, Order, Account], Awaitable[Standing]]


async def attempt(cashier: Cashier, row: PaymentRow, account: Account, tried: Attempt, ask: Ask) -> Applied:
    """Ask a provider for something, and apply its answer to the ledger.

    Args:
        cashier: applies it.
        row: the payment.
        account: its payment account.
        tried: the try, noted before.
        ask: asks, under the try's key.

    Raises:
        EgressError: no answer; the try is noted as unknown when it may have arrived.
        PaymentRefused: the provider says no; the try is noted as failed.
    """
    try:
        async with cashier.asking(account) as provider:
            said = await ask(provider, cashier.order(row), account)
    except PaymentRefused as error:
        await _end(cashier, tried, "failed", error.message)
        raise
    except EgressError as error:
        # What may have arrived once stays unknown until somebody knows, though a later try was not even sent.
        unsure = isinstance(error, EgressTimeout | EgressBroken) or tried.state == "unknown"
        await _end(cashier, tried, "unknown" if unsure else "failed", error.message)
        raise
    named = msgspec.structs.replace(said, order=row.id)
    applied = await cashier.hear(account, f"{tried.kind}:{tried.key}:{tried.tries}", named)
    await _end(cashier, tried, "done", "")
    return applied


async def _end(cashier: Cashier, tried: Attempt, state: AttemptState, error: str) -> None:
    measures.tried(tried.kind, state)
    await cashier.ledger.end(tried, state, error)
