"""How the till tells what happened: signed, again until it is taken, in no order, and sometimes not at all.

Source: https://docs.stripe.com/webhooks and https://docs.stripe.com/webhooks/signature
"""

from __future__ import annotations

import asyncio
import hmac
import itertools
import time
from collections.abc import Iterable
from typing import Final

import msgspec

from botstead.processes.prove.client import Client
from botstead.processes.prove.deliveries import JSON
from botstead.processes.prove.rawhttp import request
from botstead.processes.prove.till.books import Line, News, event
from botstead.processes.prove.till.troubles import LATE_SECONDS, Orders, Schedule

PATIENCE: Final = 5.0
"""Seconds that an address may take to answer."""
FIRST_WAIT, LONGEST_WAIT = 0.1, 1.0
"""Seconds before the next try; Stripe's own tries are minutes to hours apart, for three days."""


class Hooks:
    """Sends events, each until it is taken."""

    def __init__(self) -> None:
        """Send nothing yet."""
        self.untaken: dict[str, str] = {}
        """Ids of events that are still on their way, or lost, and their types."""
        self._client = Client()
        self._numbers = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()

    def tell(self, news: Iterable[News], orders: Orders, schedule: Schedule) -> list[Line]:
        """Send news as events; returns what became of each.

        Args:
            news: what happened.
            orders: where to, and signed by what.
            schedule: decides which are lost, doubled or late.
        """
        lines = []
        for one in news:
            name, fate = f"evt_{next(self._numbers):024d}", schedule.fate(one.kind)
            lines.append(Line(what="event", at=time.time(), id=name, kind=fate, on=one.kind))
            self.untaken[name] = one.kind
            body = msgspec.json.encode(event(name, one))
            waits = {"lost": (), "doubled": (0.0, schedule.chance.random()), "late": (schedule.chance.random(),)}.get(
                fate, (0.0,)
            )
            for wait in waits if orders.ports else ():
                task = asyncio.create_task(self._deliver(name, body, wait * LATE_SECONDS, orders, schedule))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        return lines

    async def _deliver(self, name: str, body: bytes, wait: float, orders: Orders, schedule: Schedule) -> None:
        await asyncio.sleep(wait)
        pause = FIRST_WAIT
        while not await self._try(body, orders, schedule.chance.choice(orders.ports)):
            await asyncio.sleep(pause * (0.5 + schedule.chance.random()))
            pause = min(2 * pause, LONGEST_WAIT)
        self.untaken.pop(name, None)

    async def _try(self, body: bytes, orders: Orders, port: int) -> bool:
        headers = [JSON, ("Stripe-Signature", signature(body, orders.secret, at=time.time()))]
        try:
            asked = request("POST", orders.path, headers=headers, body=body)
            status, _ = await self._client.ask(port, asked, seconds=PATIENCE)
        except (OSError, TimeoutError):
            return False
        return 200 <= status < 300


def signature(body: bytes, secret: str, *, at: float) -> str:
    """Sign an event.

    Args:
        body: what is signed.
        secret: of the endpoint, whole.
        at: Unix seconds.
    """
    made = hmac.new(secret.encode(), b"%d." % int(at) + body, "sha256").hexdigest()
    return f"t={int(at)},v1={made}"
