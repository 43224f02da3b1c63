"""What the leading scheduler shows and keeps small."""

import asyncio

import pytest

from botstead.operate.objectives.upkeep import TIDY_EVERY, ObjectivesUpkeep
from botstead.store.ledger import BotPromise
from botstead.telemetry.readings import Reading


class Rows:
    def __init__(self):
        self.tidied = 0
        self.said = {"weather": BotPromise(seconds=2, target=99.9, critical=True), "shop": BotPromise(seconds=5)}

    async def tidy(self):
        self.tidied += 1

    async def promises(self):
        return self.said


def test_promises_are_shown_while_it_leads_and_old_windows_go_now_and_then():
    async def story():
        rows, now = Rows(), [5.0]
        targets, critical = (Reading(name, "-", kind="gauge", labels=["bot"], max_sets=9) for name in ("t", "c"))
        upkeep = ObjectivesUpkeep(rows, targets=targets, critical=critical, monotonic=lambda: now[0])
        await upkeep.keep()
        await upkeep.keep()
        assert rows.tidied == 1
        assert targets.shown == {("weather",): pytest.approx(0.999)}
        assert critical.shown == {("weather",): 1.0}
        now[0] += TIDY_EVERY
        rows.said = {"shop": BotPromise(seconds=5)}
        await upkeep.keep()
        assert rows.tidied == 2
        assert targets.shown == {}
        upkeep.rest()
        assert critical.shown == {}

    asyncio.run(story())
