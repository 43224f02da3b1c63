"""A whole worker process, as small as can be: echoes, blocks its loop or dies, as the message says.

`python -m tests.integration.pipeline.small_worker DSN NAME EJECT_AFTER ALONE`; each send is a line on standard output.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time

from botstead.pipeline import lease
from botstead.store.postgres import Postgres
from botstead.store.valkey import MemoryWake
from tests.integration.pipeline.road import Network, Road, Script, say

BLOCK, DIE, HANG = "block", "die", "hang"


class Loud(Network):
    """Says what is sent."""

    async def deliver(self, sending, account, egress):
        """Print, then take it."""
        print(sending.conversation, sending.action.text, flush=True)
        return await super().deliver(sending, account, egress)


class Apart:
    """Runs a message that has taken its process down: here it only answers."""

    def ward(self):
        """Nothing is started."""
        return self

    async def handle(self, incoming):
        """Answer."""
        return say(f"alone:{incoming.event.text}")

    async def end(self):
        """Nothing to end."""


async def handle(incoming):
    """Echo, block, die or hang."""
    await asyncio.sleep(0.05)
    if incoming.event.text == BLOCK:
        time.sleep(60)  # noqa: ASYNC251  # the fault under test
    if incoming.event.text == DIE:
        os._exit(9)
    if incoming.event.text == HANG:
        print("running hang", flush=True)
        await asyncio.Event().wait()
    return say(incoming.event.text)


async def main(dsn: str, name: str, alone: bool) -> None:
    """Work until killed."""
    road = Road(dsn, await Postgres.open(dsn), MemoryWake())
    road.network = Loud()
    for row in await road.fetch("SELECT id, name FROM bot"):
        road.handlers[row["id"]] = Script(row["name"], handle)
        if alone:
            road.quarantine[row["id"]] = Apart()
    await road.directory.refresh()
    await road.worker(name)
    await asyncio.Event().wait()


if __name__ == "__main__":
    lease.EJECT_AFTER = float(sys.argv[3])
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[4] == "yes"))
