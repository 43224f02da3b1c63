"""A message ends once, its time runs from the acknowledgement to the receipt of the answer, and counts against the promise."""

from __future__ import annotations

import asyncio
import itertools
import re
import time

import pytest

from botstead.core.errors import HandlerFailed
from botstead.core.messages import Outcome, Reason, Receipt
from botstead.core.ports import Effects, Limits
from botstead.telemetry import catalog
from botstead.telemetry.catalog import DURATION, METRICS
from tests.integration.pipeline.road import Road, message, on_road, say, until

KIND = "memory"
COUNTERS = (
    catalog.MESSAGES,
    catalog.LATE,
    catalog.RETRIES,
    catalog.UNDERSTOOD,
    catalog.JOB_RUNS,
    catalog.JOB_PARKED,
)
names = itertools.count()


def counts() -> dict[str, float]:
    return {
        f"{family.name} {' '.join(values)}": counter.read()
        for family in COUNTERS
        for values, counter in family.sets()
        if counter.read()
    }


async def bot_of(road: Road, function, **limits: float):
    """A bot of its own for each test: counters live as long as the process."""
    name = f"counted-{next(names)}"
    METRICS.register("bot", name)
    METRICS.register("channel", KIND)
    account = await road.bot(name, function)
    road.handlers[account.bot].limits = Limits(**{"deadline": 10.0, **limits})
    return account


def counted(dsn: str, story) -> dict[str, float]:
    """What a story has added, without the names of its bot and channel."""
    before = counts()
    on_road(dsn, story)
    added = {name: count - before.get(name, 0) for name, count in counts().items() if count > before.get(name, 0)}
    return {re.sub(rf" counted-\d+| {KIND}", "", name): count for name, count in added.items()}


def test_three_answers_are_one_message(postgres_dsn):
    async def story(road):
        async def thrice(_incoming):
            return say("one", "two", "three")

        account = await bot_of(road, thrice)
        await road.worker()
        await road.inbox.accept(account, (message("c", "k"),))
        await road.settled()
        assert DURATION.at(account.bot_name, KIND).count == 1

    assert counted(postgres_dsn, story) == {
        "bot_messages_total delivered": 1,
        "job_runs_total inbox done": 1,
        "job_runs_total outbox done": 3,
    }


def test_an_answer_after_the_promise_is_late_and_says_where_to_look(postgres_dsn):
    async def story(road):
        async def slow(incoming):
            return Effects(actions=say(incoming.event.text).actions, understood=incoming.event.text != "what?")

        account = await bot_of(road, slow, promise=0.05)
        await road.worker()
        road.network.delay = 0.3
        await road.inbox.accept(account, (message("a", "yes"), message("b", "what?")))
        await road.settled()
        road.network.delay = 0.0
        duration = DURATION.at(account.bot_name, KIND)
        assert (duration.count, duration.within(0.25)) == (2, 0), "measured to the receipt, not to the end of the handler"
        traces = {row["trace"].hex for row in await road.fetch("SELECT trace FROM message")}
        assert {exemplar.trace for exemplar in duration.exemplars.values()} <= traces

    assert counted(postgres_dsn, story) == {
        "bot_messages_total delivered": 2,
        "bot_messages_late_total": 2,
        "bot_understood_total matched": 1,
        "bot_understood_total fallback": 1,
        "job_runs_total inbox done": 2,
        "job_runs_total outbox done": 2,
    }


def test_the_time_in_the_queue_counts(postgres_dsn):
    async def story(road):
        account = await bot_of(road, lambda incoming: asyncio.sleep(0, say(incoming.event.text)), promise=0.2)
        await road.inbox.accept(account, (message("c", "k"),))
        acknowledged = time.monotonic()
        await until(lambda: time.monotonic() > acknowledged + 0.3)  # nobody works
        await road.worker()
        await road.settled()
        assert DURATION.at(account.bot_name, KIND).within(0.25) == 0

    assert counted(postgres_dsn, story)["bot_messages_late_total"] == 1


def test_a_parked_message_has_failed_though_its_apology_arrives(postgres_dsn):
    async def story(road):
        async def broken(_incoming):
            error = HandlerFailed("no")
            error.after = 0.01
            raise error

        account = await bot_of(road, broken)
        await road.worker()
        await road.inbox.accept(account, (message("c", "k"),))
        await road.settled()
        assert len(road.network.sent) == 1
        assert DURATION.at(account.bot_name, KIND).count == 0

    assert counted(postgres_dsn, story) == {
        "bot_messages_total failed": 1,
        "bot_message_retries_total": 4,
        "job_runs_total inbox retry": 4,
        "job_runs_total inbox dead": 1,
        "job_parked_total inbox failed": 1,
        "job_runs_total outbox done": 1,
    }


def test_what_nobody_answers_is_ignored(postgres_dsn):
    async def story(road):
        async def silent(_incoming):
            return Effects()

        account = await bot_of(road, silent)
        await road.worker()
        await road.inbox.accept(account, (message("c", "k"),))
        await road.settled()

    assert counted(postgres_dsn, story) == {"bot_messages_total ignored": 1, "job_runs_total inbox done": 1}


@pytest.mark.parametrize(
    ("receipt", "end", "parked"),
    [
        (Receipt(outcome=Outcome.FAILED, reason=Reason.GONE), "dead", "gone"),
        (Receipt(outcome=Outcome.FAILED), "dead", "failed"),
    ],
)
def test_a_message_fails_once_however_many_of_its_answers_do(postgres_dsn, receipt, end, parked):
    async def story(road):
        async def thrice(_incoming):
            return say("one", "two", "three")

        account = await bot_of(road, thrice)
        await road.worker()
        later = Receipt(outcome=Outcome.LATER, reason=Reason.THROTTLED, after=0.01, counted=False)
        road.network.answers["c"] = [later, receipt, receipt]
        await road.inbox.accept(account, (message("c", "k"),))
        await road.settled()

    assert counted(postgres_dsn, story) == {
        "bot_messages_total failed": 1,
        "bot_message_retries_total": 1,
        "job_runs_total inbox done": 1,
        "job_runs_total outbox retry": 1,
        f"job_runs_total outbox {end}": 2,
        f"job_parked_total outbox {parked}": 2,
        "job_runs_total outbox done": 1,
    }


def test_an_answer_that_another_worker_finds_is_timed_from_the_acknowledgement(postgres_dsn):
    async def story(road):
        gone = asyncio.Event()

        async def patient(incoming):
            await asyncio.sleep(0.3)
            return say(incoming.event.text)

        account = await bot_of(road, patient, promise=0.2)
        road.network.held["c"] = gone
        one = await road.worker("w1")
        await road.inbox.accept(account, (message("c", "k"),))
        await until(lambda: road.network.attempts)
        await road.end(one, drain=False)
        road.network.held.clear()
        await road.worker("w1")
        await road.settled()
        duration = DURATION.at(account.bot_name, KIND)
        assert (duration.count, duration.within(0.25), duration.within(30.0)) == (1, 0, 1)

    found = counted(postgres_dsn, story)
    assert found["bot_messages_total delivered"] == 1
    assert found["bot_messages_late_total"] == 1


def test_stages_and_waits_are_measured_once_a_message(postgres_dsn):
    async def story(road):
        account = await bot_of(road, lambda incoming: asyncio.sleep(0.06, say(incoming.event.text)))
        await road.worker()
        stages = {stage: catalog.STAGE.at(stage, KIND) for stage in ("queue", "handle", "commit", "send")}
        waits = {queue: catalog.JOB_WAIT.at(queue) for queue in ("inbox", "outbox")}
        runs = {queue: catalog.JOB_DURATION.at(queue) for queue in ("inbox", "outbox")}
        watched = [*stages.values(), *waits.values(), *runs.values()]
        before = [histogram.count for histogram in watched]
        quick = stages["handle"].within(0.025)
        await road.inbox.accept(account, (message("c", "k"),))
        await road.settled()
        assert [histogram.count - start for histogram, start in zip(watched, before, strict=True)] == [1] * len(watched)
        assert stages["handle"].within(0.025) == quick

    counted(postgres_dsn, story)


def test_conversations_in_hand_are_shown(postgres_dsn):
    async def story(road):
        open_door = asyncio.Event()

        async def waits(incoming):
            await open_door.wait()
            return say(incoming.event.text)

        account = await bot_of(road, waits)
        await road.worker()
        await road.inbox.accept(account, (message("a", "1"), message("a", "2"), message("b", "3")))
        active = catalog.CONVERSATIONS_ACTIVE.at(account.bot_name)
        await until(lambda: active.read() == 2)
        open_door.set()
        await until(lambda: active.read() == 0)
        await road.settled()

    counted(postgres_dsn, story)
