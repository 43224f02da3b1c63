"""A Stripe account on the double, over the real way out."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from botstead.core.ports import Account
from botstead.core.secret import Secret
from botstead.core.tills import Order
from botstead.integrations.stripe import Stripe
from botstead.runtime.egress import EgressClient
from botstead.store.valkey import MemoryCache
from tests.doubles.impatient import Impatient
from tests.doubles.stripe import StripeDouble

KEY = "sk_test_51Botstead0000000000"
SECRET = "whsec_bm90IGJhc2U2NCBoZXJl"


class Shop(NamedTuple):
    """What a test needs."""

    double: StripeDouble
    stripe: Stripe
    account: Account


class Watch:
    """A clock that can be moved on."""

    ahead = 0.0

    def now(self) -> float:
        return time.time() + self.ahead

    def monotonic(self) -> float:
        return time.monotonic()


def account(base: str, **secrets: str) -> Account:
    given = {"key": KEY, "webhook_secret": SECRET} | secrets
    return Account(
        id=7,
        public_id="hook7",
        kind="stripe",
        bot=1,
        bot_name="shop",
        settings={"api_base": base},
        secrets={name: Secret(value) for name, value in given.items()},
    )


def order(amount: int = 1250, currency: str = "EUR", **changes: object) -> Order:
    name = uuid.uuid4().hex
    fields = {
        "id": f"pay_{name}",
        "key": str(uuid.UUID(name)),
        "amount": amount,
        "currency": currency,
        "title": "A mug & a spoon, ünïcode",
        "return_url": "https://shop.example/pay/1",
        "created": time.time(),
    }
    return Order(**(fields | changes))  # type: ignore[arg-type]


@asynccontextmanager
async def shop(*, strict: bool = True, clock: Watch | None = None) -> AsyncIterator[Shop]:
    async with StripeDouble(strict=strict) as double:
        egress = EgressClient(allow=["127.0.0.1"])
        try:
            yield Shop(double, Stripe(Impatient(egress, MemoryCache()), clock=clock), account(double.url))
        finally:
            await egress.close()


def play_alone(story) -> None:
    """Run a story that needs no double."""
    asyncio.run(asyncio.wait_for(story(), 30))
