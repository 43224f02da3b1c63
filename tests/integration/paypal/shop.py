"""A PayPal account on the double, over the real way out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from botstead.core.ports import Account
from botstead.core.secret import Secret
from botstead.integrations.paypal import PayPal
from botstead.runtime.egress import EgressClient
from botstead.store.valkey import MemoryCache
from tests.doubles.impatient import Impatient
from tests.doubles.paypal import CLIENT, CLIENT_SECRET, PayPalDouble
from tests.doubles.paypal_signing import authority_pem

WEBHOOK = "8PT597110X687430L"


class Shop(NamedTuple):
    """What a test needs."""

    double: PayPalDouble
    paypal: PayPal
    account: Account


def account(base: str, *, secret: str = CLIENT_SECRET, **settings: str) -> Account:
    given = {"api_base": base, "authority": authority_pem().decode(), "webhook_id": WEBHOOK} | settings
    return Account(
        id=8,
        public_id="hook8",
        kind="paypal",
        bot=1,
        bot_name="shop",
        settings={name: value for name, value in given.items() if value},
        secrets={"client_id": Secret(CLIENT), "client_secret": Secret(secret)},
    )


@asynccontextmanager
async def shop(*, clock: Any = None, **options: Any) -> AsyncIterator[Shop]:
    async with PayPalDouble(**options) as double:
        egress = EgressClient(allow=["127.0.0.1"])
        try:
            yield Shop(double, PayPal(Impatient(egress, MemoryCache()), clock=clock), account(double.url))
        finally:
            await egress.close()
