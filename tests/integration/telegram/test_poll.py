"""Long polling: accepted before the offset moves, through outages of everything, and out of the way when asked to stop."""

from __future__ import annotations

import asyncio
import logging

import msgspec
import pytest

from botstead.channels.telegram import poll as polling
from botstead.channels.telegram.poll import poll
from botstead.core.errors import Unavailable
from botstead.core.messages import Event, Kind
from tests.doubles.telegram import Fault
from tests.integration.telegram.stories import Stage, told, until


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch):
    """The pauses of an outage, a hundred times shorter."""
    monkeypatch.setattr(polling, "FIRST_PAUSE", 0.005)
    monkeypatch.setattr(polling, "LONGEST_PAUSE", 0.3)


class Poller:
    """A polling loop and what it gave us."""

    def __init__(self, stage: Stage, *, offset: int = 0):
        self.events = []
        self.saved: list[int] = []
        self.unavailable = 0
        self.unsaved = 0
        self.accepting = asyncio.Event()
        self.may_accept = asyncio.Event()
        self.may_accept.set()
        self.stopping = asyncio.Event()
        self.task = asyncio.create_task(
            poll(
                stage.account(mode="poll"),
                stage.egress,
                offset=offset,
                accept=self.accept,
                save_offset=self.save,
                stopping=self.stopping,
            )
        )

    async def accept(self, account, events):
        self.accepting.set()
        await self.may_accept.wait()
        if self.unavailable:
            self.unavailable -= 1
            raise Unavailable
        self.events += events
        return len(events)

    async def save(self, offset):
        if self.unsaved:
            self.unsaved -= 1
            raise Unavailable
        self.saved.append(offset)

    @property
    def texts(self):
        return [event.text for event in self.events]

    async def stop(self):
        self.stopping.set()
        await asyncio.wait_for(self.task, 5)


def test_updates_come_in_order_and_the_offset_follows():
    async def story(stage):
        stage.bot.message("early")
        poller = Poller(stage)
        await until(lambda: poller.texts == ["early"])
        for number in range(150):
            stage.bot.message(str(number))
        await until(lambda: len(poller.events) == 151)
        assert poller.texts[1:] == [str(number) for number in range(150)]
        await until(lambda: poller.saved[-1] == 152)
        await until(lambda: not stage.bot.pending)
        await poller.stop()
        assert {"chat_member", "message_reaction"} <= set(stage.bot.allowed)

    told(story)


def test_a_start_goes_on_from_the_saved_offset():
    async def story(stage):
        for text in "abc":
            stage.bot.message(text)
        poller = Poller(stage, offset=3)
        await until(lambda: poller.texts == ["c"])
        await poller.stop()

    told(story)


def test_the_offset_stays_until_the_events_are_accepted():
    async def story(stage):
        poller = Poller(stage)
        poller.unavailable = 3
        stage.bot.message("a")
        await until(lambda: poller.texts == ["a"])
        offsets = [fields["offset"] for method, fields in stage.bot.requests if method == "getUpdates"]
        assert offsets.count(0) >= 4
        await until(lambda: poller.saved == [2])
        await poller.stop()

    told(story)


def test_an_offset_that_cannot_be_saved_costs_nothing():
    async def story(stage):
        poller = Poller(stage)
        poller.unsaved = 1
        stage.bot.message("a")
        await until(lambda: poller.texts == ["a"])
        stage.bot.message("b")
        await until(lambda: poller.saved == [3])
        assert poller.texts == ["a", "b"]
        await poller.stop()

    told(story)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(method="getUpdates", status=502, times=3),
        Fault(method="getUpdates", kind="foreign", status=503, times=3),
        Fault(method="getUpdates", kind="foreign", status=200, times=3),
        Fault(method="getUpdates", kind="close", times=3, applied=False),
        Fault(method="getUpdates", status=401, description="Unauthorized", times=3),
        Fault(method="getUpdates", status=409, description="Conflict: terminated by other getUpdates request", times=3),
    ],
)
def test_an_outage_is_told_twice_and_loses_nothing(fault, caplog):
    async def story(stage):
        stage.bot.fault(fault)
        stage.bot.message("a")
        poller = Poller(stage)
        await until(lambda: poller.texts == ["a"] and poller.saved == [2])
        stage.bot.message("b")
        await until(lambda: poller.texts == ["a", "b"])
        await poller.stop()

    with caplog.at_level(logging.INFO, logger=polling.__name__):
        told(story)
    ours = [record.msg for record in caplog.records if record.name == polling.__name__]
    assert ours == ["poll_began", "poll_interrupted", "poll_resumed", "poll_ended"]


def test_a_wait_that_telegram_names_is_kept():
    async def story(stage):
        stage.bot.fault(Fault(method="getUpdates", status=429, retry_after=1, description="Too Many Requests"))
        stage.bot.message("a")
        loop = asyncio.get_running_loop()
        began = loop.time()
        poller = Poller(stage)
        await until(lambda: poller.texts == ["a"])
        assert loop.time() - began >= 1.0
        await poller.stop()

    told(story)


def test_a_webhook_in_the_way_is_taken_away_once():
    async def story(stage):
        stage.bot.webhook.url = "https://other.example.org"
        poller = Poller(stage)
        await until(lambda: not stage.bot.webhook.url)
        stage.bot.message("a")
        await until(lambda: poller.texts == ["a"])
        stage.bot.webhook.url = "https://other.example.org"  # somebody means it: wait, do not fight
        stage.bot._notify()
        await until(lambda: [method for method, _ in stage.bot.requests][-3:] == ["getUpdates"] * 3)
        assert [method for method, _ in stage.bot.requests].count("deleteWebhook") == 1
        stage.bot.webhook.url = ""
        stage.bot.message("b")
        await until(lambda: poller.texts == ["a", "b"])
        await poller.stop()

    told(story)


def test_an_update_that_cannot_be_read_is_kept_and_blocks_nobody():
    async def story(stage):
        stage.bot.update(message={"message_id": "not a number"})
        stage.bot.message("b")
        poller = Poller(stage)
        await until(lambda: len(poller.events) == 2)
        assert [(event.kind, event.key) for event in poller.events] == [(Kind.UNKNOWN, "1"), (Kind.MESSAGE, "2")]
        assert b"not a number" in bytes(poller.events[0].raw)
        await poller.stop()

    told(story)


@pytest.mark.parametrize("odd", [b'"\xff"', b"[" * 80 + b"]" * 80, b"1e99999"])
def test_whatever_is_kept_can_be_stored_and_read_again(odd):
    (event,) = polling._events(b'{"update_id":7,"message":' + odd + b"}")
    assert (event.kind, event.key) == (Kind.UNKNOWN, "7")
    stored = msgspec.json.encode(event)
    stored.decode()
    assert "update_id" in msgspec.json.decode(msgspec.json.decode(stored, type=Event).raw)


@pytest.mark.parametrize("number", [b"-1", b"9" * 25, b'"7"', b"null"])
def test_an_update_without_a_number_interrupts(number):
    with pytest.raises(polling._Interrupted):
        polling._events(b'{"update_id":' + number + b"}")


def test_numbers_that_begin_again_lower():
    """After a quiet week, or on another API server; who only ever raises the offset then fetches the same for ever."""

    async def story(stage):
        poller = Poller(stage, offset=9_000_000)
        stage.bot.message("a")
        await until(lambda: poller.saved == [2])
        stage.bot.message("b")
        await until(lambda: poller.saved == [2, 3])
        assert poller.texts == ["a", "b"]
        await poller.stop()

    told(story)


def test_stopping_ends_a_poll_at_once():
    async def story(stage):
        poller = Poller(stage)
        await until(lambda: bool(stage.bot.requests))
        await poller.stop()

    told(story, seconds=5)


def test_stopping_lets_a_batch_be_accepted():
    async def story(stage):
        poller = Poller(stage)
        poller.may_accept.clear()
        stage.bot.message("a")
        await poller.accepting.wait()
        poller.stopping.set()
        poller.may_accept.set()
        await asyncio.wait_for(poller.task, 5)
        assert (poller.texts, poller.saved) == (["a"], [2])

    told(story)


def test_cancelling_passes():
    async def story(stage):
        poller = Poller(stage)
        await until(lambda: bool(stage.bot.requests))
        poller.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await poller.task

    told(story)
