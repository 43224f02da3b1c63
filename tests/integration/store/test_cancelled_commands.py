"""A task that is cancelled while it talks to Valkey ends, whichever moment it was."""

from __future__ import annotations

import asyncio

from botstead.store.valkey import Guarded

TRIES = 200


async def _publish_for_ever(guarded: Guarded) -> None:
    for _ in range(6):
        await guarded.run(lambda server: server.publish("topic", "hint"))
    await asyncio.Event().wait()


async def _lost(url: str) -> int:
    guarded = Guarded(url)
    lost = 0
    for number in range(TRIES):
        task = asyncio.create_task(_publish_for_ever(guarded))
        for _ in range(number % 40):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=0.5)
        if not done:
            lost += 1
            task.cancel()
            await asyncio.wait([task])
    await guarded.close()
    return lost


def test_no_cancellation_is_lost_in_the_client(valkey_url):
    assert asyncio.run(_lost(valkey_url)) == 0
