"""What is noted of messages on a real road: of slow ones, failed ones, chosen ones, those that called; and of no others."""

from __future__ import annotations

import asyncio
import time
import uuid

import msgspec
import pytest

from botstead.core.messages import Event, Kind, Outcome, Reason, Receipt, Send
from botstead.core.ports import Effects, Limits
from botstead.pipeline.traces import Traces
from botstead.store.hops import Hops
from botstead.store.journeys import Journeys
from botstead.telemetry import tracing
from botstead.telemetry.tracing import CallMade
from tests.integration.pipeline.road import on_road, until

SECRET = "correct horse battery staple"


def said(number: int, text: str = SECRET, **more) -> Event:
    return Event(kind=Kind.MESSAGE, conversation="c", key=f"k{number}", text=text, **more)


async def traced(road, **more) -> tuple[Traces, list]:
    """A worker that notes; returns what is handed to an exporter."""
    offered: list = []
    hops = Hops(road.dsn, application="test")
    traces = Traces(hops, journeys=Journeys(road.postgres), offer=offered.extend, **more)
    await road.worker(traces=traces)
    return traces, offered


async def hops(road) -> list:
    return await road.fetch("SELECT * FROM hop ORDER BY began")


def on_emptied(dsn, story) -> None:
    async def emptied(road) -> None:
        await road.fetch("DELETE FROM hop")
        await story(road)

    on_road(dsn, emptied)


async def echo(incoming) -> Effects:
    return Effects(actions=(Send(incoming.event.text),))


def test_of_a_quick_message_nothing_is_noted(postgres_dsn):
    async def story(road):
        account = await road.bot("quick", echo)
        traces, offered = await traced(road)
        await road.inbox.accept(account, [said(number) for number in range(20)])
        await until(lambda: len(road.network.sent) == 20)
        await road.settled()
        await traces.flush()
        assert await hops(road) == []
        assert offered == []

    on_emptied(postgres_dsn, story)


def test_a_slow_one_is_noted_with_its_run_and_its_send(postgres_dsn):
    async def story(road):
        async def slow(incoming):
            await asyncio.sleep(0.06)
            return await echo(incoming)

        account = await road.bot("slow", slow)
        road.handlers[account.bot].limits = Limits(promise=0.05)
        _, offered = await traced(road)
        before = time.time()
        await road.inbox.accept(account, [said(1)])
        await until(lambda: len(offered) == 6, what="spans are handed out")
        run, send = await hops(road)
        assert (run["send"], run["attempt"], run["outcome"], run["calls"]) == (False, 1, "ok", None)
        assert run["ended"] - run["began"] >= 0.06
        assert (send["send"], send["outcome"], send["message"]) == (True, "sent", run["message"] + 1)
        assert before < run["began"] < run["ended"] <= send["began"] <= send["ended"] < time.time()
        assert [span.name for span in offered] == ["message", "ack", "queue", "handle", "commit", "send"]

    on_emptied(postgres_dsn, story)


def test_each_failure_is_noted_by_its_kind_alone_and_then_the_end(postgres_dsn):
    async def story(road):
        async def wayward(incoming):
            if incoming.attempt < 3:
                raise ValueError(incoming.event.text)
            return await echo(incoming)

        account = await road.bot("wayward", wayward)
        _, offered = await traced(road)
        await road.inbox.accept(account, [said(1)])
        await until(lambda: offered, what="spans are handed out")
        runs = [row for row in await hops(road) if not row["send"]]
        assert [(row["attempt"], row["outcome"]) for row in runs] == [(1, "ValueError"), (2, "ValueError"), (3, "ok")]
        handles = [span for span in offered if span.name == "handle"]
        assert [span.error for span in handles] == ["ValueError", "ValueError", ""]
        assert sum(span.name == "retry" for span in offered) == 2
        assert SECRET not in msgspec.json.encode(offered).decode()

    on_emptied(postgres_dsn, story)


def test_calls_are_noted_without_being_told(postgres_dsn):
    async def story(road):
        async def calling(incoming):
            run = tracing.current.get()
            run.end_call(CallMade("weather", "api.example.org", "GET", 1.0, 2.0, "ok", 200, run.begin_call()))
            return await echo(incoming)

        account = await road.bot("calling", calling)
        traces, offered = await traced(road)
        await road.inbox.accept(account, [said(1)])
        await until(lambda: hops(road), what="something is noted")
        run, _ = await hops(road)
        assert msgspec.json.decode(run["calls"], type=list[CallMade])[0].service == "weather"
        (journey,) = await Journeys(road.postgres).of([run["message"]])
        assert journey.runs[0].calls[0] == CallMade("weather", "api.example.org", "GET", 1.0, 2.0, "ok", 200, 0)
        await traces.flush()
        assert offered == []

    on_emptied(postgres_dsn, story)


def test_sends_that_were_put_off_or_failed_are_noted(postgres_dsn, caplog):
    async def story(road):
        account = await road.bot("echo", echo)
        later = Receipt(outcome=Outcome.LATER, reason=Reason.THROTTLED, after=0.02, counted=False)
        gone = Receipt(outcome=Outcome.FAILED, reason=Reason.GONE, detail=SECRET)
        road.network.answers["c"] += [later, later]
        road.network.answers["d"] += [gone]
        _, offered = await traced(road)
        await road.inbox.accept(account, [said(1), msgspec.structs.replace(said(2), conversation="d")])
        await until(lambda: sum(span.name == "message" for span in offered) == 2, what="spans are handed out")
        found = [(row["outcome"], row["reason"]) for row in await hops(road) if row["send"]]
        assert sorted(found) == [("failed", "gone"), ("later", "throttled"), ("later", "throttled"), ("sent", "")]
        (line,) = (record for record in caplog.records if record.msg == "send_failed")
        lost = next(span for span in offered if span.error == "gone")
        assert line.botstead_fields["trace"] == lost.trace
        sends = {span.error: span for span in offered if span.name == "send"}
        assert set(sends) == {"", "gone"}
        assert [span.error for span in offered if span.name == "attempt"] == ["throttled", "throttled", ""]
        assert SECRET not in msgspec.json.encode(offered).decode()

    on_emptied(postgres_dsn, story)


def test_a_share_is_chosen_and_a_callers_wish_is_granted(postgres_dsn):
    trace, parent = uuid.uuid4(), "00f067aa0ba902b7"

    async def story(road):
        account = await road.bot("echo", echo)
        traces, offered = await traced(road)
        await road.inbox.accept(
            account, [said(1), said(2, traceparent=f"00-{trace.hex}-{parent}-01"), said(3, traceparent="nonsense")]
        )
        await until(lambda: offered, what="spans are handed out")
        await road.settled()
        await traces.flush()
        root, *below = offered
        assert (root.trace, root.parent, root.name) == (trace.hex, parent, "message")
        assert all(span.trace == trace.hex for span in below)
        assert "ack" not in {span.name for span in below}  # the caller's id does not say when it came
        assert len({row["message"] for row in await hops(road) if not row["send"]}) == 1

    on_emptied(postgres_dsn, story)


def test_all_of_a_share_of_one(postgres_dsn):
    async def story(road):
        account = await road.bot("echo", echo)
        _, offered = await traced(road, ratio=1.0)
        await road.inbox.accept(account, [said(number) for number in range(30)])
        await until(lambda: sum(span.name == "message" for span in offered) == 30, what="all are handed out")
        assert len({span.id for span in offered}) == len(offered)

    on_emptied(postgres_dsn, story)


def test_what_a_dead_worker_left_is_told_by_its_heir(postgres_dsn):
    """The heir finds the reply in the outbox and does not know the run; the database knows when it began."""

    async def story(road):
        account = await road.bot("echo", echo)
        road.network.held["c"] = asyncio.Event()
        first = await road.worker("w1")
        await road.inbox.accept(account, [said(1)])
        await until(lambda: road.network.attempts, what="the first one sends")
        await road.end(first, drain=False)
        road.network.held.clear()
        road.network.answers["c"] += [Receipt(outcome=Outcome.UNKNOWN)]
        _, offered = await traced(road)
        await until(lambda: offered, what="spans are handed out")
        assert [span.name for span in offered] == ["message", "ack", "queue", "handle", "send", "attempt", "attempt"]
        assert offered[0].error == ""

    on_emptied(postgres_dsn, story)


def test_a_database_that_is_away_costs_nothing_but_what_does_not_fit(postgres_dsn, monkeypatch):
    from botstead.core.errors import Unavailable
    from botstead.pipeline import traces as module

    monkeypatch.setattr(module, "QUEUE", 5)

    class Away:
        async def note(self, hops):
            raise Unavailable

        async def close(self):
            pass

    async def story(road):
        account = await road.bot("echo", echo)
        dropped = module.TRACE_HOPS.at("dropped")
        before = dropped.read()
        traces = Traces(Away(), ratio=1.0)
        await road.worker(traces=traces)
        await road.inbox.accept(account, [said(number) for number in range(10)])
        await road.settled()
        await until(lambda: len(traces._queue) == 5)
        with pytest.raises(Unavailable):
            await traces.flush()
        assert len(traces._queue) == 5
        after = dropped.read()
        assert after - before == 15
        traces._queue.clear()

    on_emptied(postgres_dsn, story)


def test_a_fault_of_ours_in_watching_ends_neither_the_worker_nor_the_watching(postgres_dsn):
    class Faulty(Journeys):
        faults = 1

        async def of(self, messages):
            if self.faults:
                self.faults -= 1
                raise RuntimeError("a fault")
            return await super().of(messages)

    async def story(road):
        account = await road.bot("echo", echo)
        offered: list = []
        journeys = Faulty(road.postgres)
        worker = await road.worker(
            traces=Traces(Hops(road.dsn, application="test"), ratio=1.0, journeys=journeys, offer=offered.extend)
        )
        await road.inbox.accept(account, [said(1)])
        await until(lambda: not journeys.faults, what="the fault")
        await road.inbox.accept(account, [said(2)])
        await until(lambda: offered, what="spans are handed out again")
        assert worker.ready
        assert len(road.network.sent) == 2

    on_emptied(postgres_dsn, story)
