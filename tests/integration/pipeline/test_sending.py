"""From the outbox to the provider: in order, at the provider's pace, and every outcome marked."""

from __future__ import annotations

import asyncio

import pytest

from botstead.core.errors import Conflict
from botstead.core.messages import Outcome, Reason, Receipt
from botstead.pipeline import delivery, retry, worker
from botstead.pipeline.partitions import conversation_key, partition_of
from botstead.store.letters import Letters
from botstead.store.records import Change
from tests.integration.pipeline.road import message, on_road, say, until

UNKNOWN = Receipt(outcome=Outcome.UNKNOWN, reason=Reason.TIMEOUT)
FAILED = Receipt(outcome=Outcome.FAILED, reason=Reason.GONE, detail="blocked by the person")


def throttled(seconds: float) -> Receipt:
    return Receipt(outcome=Outcome.LATER, reason=Reason.THROTTLED, after=seconds, counted=False)


def test_retry_after_is_obeyed_exactly_and_only_there(postgres_dsn):
    async def story(road):
        account = await road.bot("echo")
        await road.worker()
        road.network.answers["slow"] = [throttled(0.8)]
        await road.inbox.accept(account, (message("slow", "s1"), message("slow", "s2"), message("free", "f1")))
        await until(lambda: len(road.network.attempts) == 2)
        await road.inbox.accept(account, (message("free", "f2"),))
        await until(lambda: road.network.texts("free") == ["f1", "f2"])
        assert road.network.texts("slow") == []
        await road.settled()
        first, again = [at for to, text, _, at in road.network.attempts if text == "s1"]
        assert 0.79 <= again - first < 2.5
        assert road.network.texts("slow") == ["s1", "s2"]
        attempts = [row["attempts"] for row in await road.fetch("SELECT attempts FROM delivery ORDER BY id")]
        assert attempts == [1] * 4, "a throttled attempt does not count"

    on_road(postgres_dsn, story)


def test_a_wait_that_the_provider_named_survives_the_worker(postgres_dsn):
    async def story(road):
        account = await road.bot("echo")
        one = await road.worker("w1")
        road.network.answers["c"] = [throttled(1.5)]
        await road.inbox.accept(account, (message("c", "k"),))
        await until(lambda: road.network.attempts)
        await road.end(one)
        await road.worker("w2")
        await road.settled()
        first, again = [at for *_, at in road.network.attempts]
        assert again - first >= 1.45

    on_road(postgres_dsn, story)


def test_however_many_providers_are_slow_another_bot_has_room(postgres_dsn, monkeypatch):
    monkeypatch.setattr(delivery, "SENDERS", 16)
    monkeypatch.setattr(delivery, "SENDERS_PER_CHANNEL", 8)

    async def story(road):
        slow = [await road.bot(f"slow{n}") for n in range(3)]
        quick = await road.bot("quick")
        await road.worker()
        gate = road.network.held["slow"] = asyncio.Event()
        for account in slow:
            await road.inbox.accept(account, tuple(message(f"slow-{account.id}-{n}", f"s{n}") for n in range(16)))
        await until(lambda: len({to.split("-")[1] for to, *_ in road.network.attempts}) == len(slow))
        await road.inbox.accept(quick, (message("quick", "q"),))
        await until(lambda: road.network.texts("quick") == ["q"])
        assert not [text for text in road.network.texts() if text != "q"]
        gate.set()
        await road.settled()
        assert len(road.network.texts()) == 49

    on_road(postgres_dsn, story)


def test_unknown_is_sent_again_and_order_is_kept_meanwhile(postgres_dsn, monkeypatch):
    monkeypatch.setattr(retry, "SEND_BASE", 0.1)

    async def story(road):
        account = await road.bot("echo")
        await road.worker()
        road.network.answers["c"] = [UNKNOWN, UNKNOWN]
        await road.inbox.accept(account, tuple(message("c", f"k{n}") for n in range(4)))
        await road.settled()
        assert road.network.texts("c") == ["k0", "k1", "k2", "k3"]
        assert [text for _, text, _, _ in road.network.attempts] == ["k0", "k0", "k0", "k1", "k2", "k3"]
        (first, *_) = await road.fetch("SELECT attempts FROM delivery ORDER BY id")
        assert first["attempts"] == 3

    on_road(postgres_dsn, story)


def test_a_refused_send_becomes_a_dead_letter_and_the_next_goes_out(postgres_dsn):
    async def story(road):
        account = await road.bot("echo")
        await road.worker()
        road.network.answers["c"] = [FAILED]
        await road.inbox.accept(account, (message("c", "k1"), message("c", "k2")))
        await road.settled()
        assert road.network.texts("c") == ["k2"]
        (letter,) = await road.fetch("SELECT direction, reason, error FROM dead_letter")
        assert tuple(letter) == (1, "gone", "blocked by the person")

    on_road(postgres_dsn, story)


@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, Outcome.LATER])
def test_a_send_that_is_given_up_becomes_a_dead_letter(postgres_dsn, monkeypatch, outcome):
    monkeypatch.setattr(retry, "SEND_BASE", 0.001)

    async def story(road):
        account = await road.bot("echo")
        await road.worker()
        road.network.answers["c"] = [Receipt(outcome=outcome, reason=Reason.UNAVAILABLE)] * retry.SEND_TRIES
        await road.inbox.accept(account, (message("c", "k1"), message("c", "k2")))
        await road.settled()
        assert road.network.texts("c") == ["k2"]
        (letter,) = await road.fetch("SELECT direction, attempts FROM dead_letter")
        assert tuple(letter) == (1, retry.SEND_TRIES)

    on_road(postgres_dsn, story)


@pytest.mark.parametrize("after", [1e9, 1e300, float("inf"), float("nan")])
def test_an_absurd_retry_after_gives_up_and_stops_nobody(postgres_dsn, after):
    async def story(road):
        account = await road.bot("echo")
        await road.worker()
        road.network.answers["c"] = [throttled(after)]
        await road.inbox.accept(account, (message("c", "k1"), message("d", "k2")))
        await road.settled(5)
        assert await road.count("dead_letter") == 1
        assert road.network.texts("d") == ["k2"]

    on_road(postgres_dsn, story)


def test_a_moved_conversation_is_followed_and_found_under_both_ids(postgres_dsn):
    async def story(road):
        account = await road.bot("echo")
        await road.worker()
        moved = Receipt(outcome=Outcome.FAILED, reason=Reason.MOVED, moved_to="new")
        road.network.answers["old"] = [moved]
        await road.inbox.accept(account, (message("old", "k1"), message("old", "k2")))
        await road.settled()
        assert road.network.texts("new") == ["k1", "k2"]
        await road.inbox.accept(account, (message("new", "k3"), message("old", "k4")))
        await road.settled()
        assert road.network.texts("new") == ["k1", "k2", "k3", "k4"]
        found = await road.fetch("SELECT DISTINCT conversation FROM message")
        assert [row["conversation"] for row in found] == [conversation_key(account.id, "old")]

    on_road(postgres_dsn, story)


def test_moving_in_a_circle_ends(postgres_dsn):
    async def story(road):
        account = await road.bot("echo")
        await road.worker()
        road.network.answers["a"] = [Receipt(outcome=Outcome.FAILED, reason=Reason.MOVED, moved_to="a")]
        await road.inbox.accept(account, (message("a", "k1"), message("a", "k2")))
        await road.settled(5)
        assert road.network.texts("a") == ["k2"]
        assert await road.count("dead_letter") == 1

    on_road(postgres_dsn, story)


def test_a_disabled_channel_holds_its_sends(postgres_dsn, monkeypatch):
    monkeypatch.setattr(delivery, "DISABLED_WAIT", 0.05)

    async def story(road):
        account = await road.bot("echo")
        other = await road.bot("other")
        await road.worker()
        await road.registry.change_channel(account.public_id, Change(enabled=False), check=road.network_check)
        await road.directory.refresh()
        await road.inbox.accept(account, (message("c", "k1"), message("c", "k2")))
        await road.inbox.accept(other, (message("o", "o1"),))
        await until(lambda: road.network.texts("o") == ["o1"])
        await until(lambda: road.holds(2), what="two replies wait")
        assert road.network.texts("c") == []
        await road.registry.change_channel(account.public_id, Change(enabled=True), check=road.network_check)
        await road.directory.refresh()
        await road.settled()
        assert road.network.texts("c") == ["k1", "k2"]

    on_road(postgres_dsn, story)


def test_a_fault_in_a_channels_code_neither_spins_nor_stops_the_others(postgres_dsn, monkeypatch):
    monkeypatch.setattr(retry, "SEND_BASE", 0.001)

    async def story(road):
        account = await road.bot("echo")
        deliver, tries = road.network.deliver, 0

        async def broken(sending, channel, egress):
            nonlocal tries
            if sending.conversation == "c":
                tries += 1
                raise ZeroDivisionError
            return await deliver(sending, channel, egress)

        road.network.deliver = broken
        await road.worker()
        await road.inbox.accept(account, (message("c", "k1"), message("d", "k2")))
        await road.settled()
        assert tries == retry.SEND_TRIES
        assert road.network.texts("d") == ["k2"]

    on_road(postgres_dsn, story)


def test_odd_words_of_a_provider_do_not_lose_the_marks_of_others(postgres_dsn):
    async def story(road):
        account = await road.bot("echo")
        await road.worker()
        road.network.answers["c"] = [Receipt(outcome=Outcome.SENT, external_id="nul\0\ud800")]
        await road.inbox.accept(account, (message("c", "k1"), *(message(f"d{n}", f"d{n}") for n in range(5))))
        await road.settled(5)
        marks = await road.fetch("SELECT outcome, external_id FROM delivery")
        assert [row["outcome"] for row in marks] == ["sent"] * 6
        assert [row["external_id"] for row in marks].count("x1") == 5

    on_road(postgres_dsn, story)


def test_a_replayed_reply_goes_out_once_even_while_others_are_sent(postgres_dsn, monkeypatch):
    monkeypatch.setattr(worker, "SWEEP_EVERY", 0.2)

    async def story(road):
        account = await road.bot("echo")
        await road.worker()
        road.network.answers["c"] = [FAILED]
        await road.inbox.accept(account, (message("c", "k1"),))
        await road.settled()
        road.network.delay = 0.1
        busy = True

        async def trickle():
            n = 0
            while busy:
                await road.inbox.accept(account, (message(f"d{n % 40}", f"d{n}"),))
                n += 1
                await asyncio.sleep(0.01)

        feeding = asyncio.create_task(trickle())
        letters = Letters(road.postgres, partition_of)
        (letter,) = (await letters.list(limit=5)).items
        await letters.replay(letter.id)
        with pytest.raises(Conflict):
            await letters.replay(letter.id)
        await until(lambda: road.network.texts("c") == ["k1"], seconds=5, what="the replayed reply is sent")
        busy = False
        await feeding
        await road.settled()
        ids = [identifier for _, _, identifier, _ in road.network.sent]
        assert len(ids) == len(set(ids)), "the sweep sends nothing twice"

    on_road(postgres_dsn, story)


def test_a_replayed_message_is_handled_again(postgres_dsn, monkeypatch):
    monkeypatch.setattr(retry, "HANDLER_BASE", 0.01)

    async def story(road):
        broken = True

        async def picky(incoming):
            if broken:
                raise ValueError
            return say(incoming.event.text)

        account = await road.bot("echo", picky)
        await road.worker()
        await road.inbox.accept(account, (message("c", "k1"),))
        await road.settled()
        broken = False
        letters = Letters(road.postgres, partition_of)
        (letter,) = (await letters.list(limit=5)).items
        await letters.replay(letter.id)
        await until(lambda: road.network.texts("c")[1:] == ["k1"], what="it is handled")
        await road.settled()

    on_road(postgres_dsn, story)
