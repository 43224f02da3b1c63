"""From the inbox to the outcome: in order, once, behind the fence; failures wait, are parked, and disturb nobody."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict

import pytest

from botstead.core.errors import HandlerFailed
from botstead.core.messages import Event, Kind, Send
from botstead.core.ports import Effects, Forward
from botstead.pipeline import retry
from botstead.pipeline.partitions import conversation_key
from botstead.pipeline.runs import APOLOGY
from tests.integration.pipeline.road import echo, message, on_road, say, sever, until


async def count_state(incoming):
    """Number the messages of a conversation in its state."""
    number = int(incoming.state.decode().strip("{}").partition(":")[2] or 0) + 1
    return say(f"{number}:{incoming.event.text}", state=f'{{"n":{number}}}'.encode())


def test_a_burst_is_answered_in_order_and_counted_once(postgres_dsn):
    async def story(road):
        account = await road.bot("echo", count_state)
        await road.worker()
        for n in range(20):
            await road.inbox.accept(account, tuple(message(f"c{c}", f"c{c}-{n}", str(n)) for c in range(10)))
        await road.settled()
        for c in range(10):
            assert road.network.texts(f"c{c}") == [f"{n + 1}:{n}" for n in range(20)]

    on_road(postgres_dsn, story)


def test_two_workers_share_and_keep_order(postgres_dsn):
    async def story(road):
        ran = defaultdict(list)

        async def note(incoming):
            await asyncio.sleep(0.001)
            ran[incoming.conversation].append(incoming.event.text)
            return say(incoming.event.text)

        account = await road.bot("echo", note)
        one = await road.worker("w1")
        sent = 0

        async def feed(rounds):
            nonlocal sent
            for _ in range(rounds):
                await road.inbox.accept(account, tuple(message(f"c{c}", f"{c}-{sent}", str(sent)) for c in range(30)))
                sent += 1

        await feed(5)
        two = await road.worker("w2")
        feeding = asyncio.create_task(feed(40))
        await until(lambda: len(one._ownership.mine) == len(two._ownership.mine) == 32, what="partitions are shared")
        await feeding
        await road.end(one)
        await feed(5)
        await until(lambda: len(two._ownership.mine) == 64, what="the one left has all")
        await road.settled()
        for c in range(30):
            assert road.network.texts(f"c{c}") == [str(n) for n in range(sent)]
            assert ran[conversation_key(account.id, f"c{c}")] == [str(n) for n in range(sent)]

    on_road(postgres_dsn, story)


def test_partitions_move_while_sends_never_pause(postgres_dsn):
    async def story(road):
        account = await road.bot("echo")
        road.network.delay = 0.05
        one = await road.worker("w1")
        done = False

        async def trickle():
            n = 0
            while not done:
                await road.inbox.accept(account, (message(f"c{n % 50}", str(n)),))
                n += 1

        feeding = asyncio.create_task(trickle())
        await until(lambda: len(road.network.sent) > 20)
        two = await road.worker("w2")
        await until(lambda: len(two._ownership.mine) == 32, seconds=6, what="a busy worker gives partitions away")
        done = True
        await feeding
        await road.settled()
        assert len(one._ownership.mine) == 32
        ids = [identifier for _, _, identifier, _ in road.network.sent]
        assert len(ids) == len(set(ids))

    on_road(postgres_dsn, story)


def test_a_buried_worker_commits_nothing_and_joins_again(postgres_dsn):
    async def story(road):
        runs = []
        hold = asyncio.Event()

        async def slow(incoming):
            runs.append(incoming.id)
            await hold.wait()
            return say(incoming.event.text)

        account = await road.bot("echo", slow)
        worker = await road.worker()
        first = worker._ownership.worker
        await road.inbox.accept(account, (message("c", "k", "hello"),))
        await until(lambda: runs)
        await road.fetch("DELETE FROM worker")
        hold.set()
        await until(lambda: worker._ownership.worker > first and worker.ready, what="it joins again")
        await road.settled()
        assert road.network.texts() == ["hello"]
        assert len(runs) <= 4
        assert (await road.fetch("SELECT count(*) AS n FROM message WHERE direction = 1"))[0]["n"] == 1

    on_road(postgres_dsn, story)


def test_an_outcome_whose_answer_was_lost_is_a_ghost_and_sends_once(postgres_dsn):
    async def story(road):
        account = await road.bot("echo", count_state)
        worker = await road.worker()
        writer = worker._writers[0]
        real, lost = writer.outcome, []

        async def commit_then_lose_the_answer(me, batch):
            found = await real(me, batch)
            if not lost:
                lost.append(found)
                return await real(me, batch)
            return found

        writer.outcome = commit_then_lose_the_answer
        await road.inbox.accept(account, (message("c", "k1", "a"), message("c", "k2", "b")))
        await road.settled()
        assert lost
        assert road.network.texts() == ["1:a", "2:b"]

    on_road(postgres_dsn, story)


def test_a_state_changed_by_somebody_else_is_read_again(postgres_dsn):
    async def story(road):
        account = await road.bot("echo", count_state)
        await road.worker()
        await road.inbox.accept(account, (message("c", "k1", "a"),))
        await road.settled()
        await road.fetch("""UPDATE conversation SET version = version + 5, state = '{"n":10}'""")
        await road.inbox.accept(account, (message("c", "k2", "b"), message("d", "k3", "x")))
        await road.settled()
        assert road.network.texts("c") == ["1:a", "11:b"]
        assert road.network.texts("d") == ["1:x"]

    on_road(postgres_dsn, story)


def test_a_failing_message_is_tried_five_times_then_parked_with_an_apology(postgres_dsn, monkeypatch):
    monkeypatch.setattr(retry, "HANDLER_BASE", 0.02)

    async def story(road):
        tried = defaultdict(list)

        async def picky(incoming):
            tried[incoming.event.text].append(incoming.attempt)
            if incoming.event.text == "bad":
                raise HandlerFailed("no") from ValueError("of course")
            return say(incoming.event.text)

        account = await road.bot("echo", picky)
        await road.worker()
        await road.inbox.accept(account, (message("c", "k1", "bad"), message("c", "k2", "next"), message("d", "k3", "other")))
        await until(lambda: road.network.texts("d") == ["other"])
        await road.settled()
        assert tried["bad"] == [1, 2, 3, 4, 5]
        assert road.network.texts("c") == [APOLOGY, "next"]
        (letter,) = await road.fetch("SELECT * FROM dead_letter")
        assert (letter["reason"], letter["attempts"], letter["direction"]) == ("failed", 5, 0)
        assert "ValueError" in letter["error"]
        assert letter["trace"] is not None

    on_road(postgres_dsn, story)


@pytest.mark.parametrize(
    "effects",
    [
        Effects(actions=(Send(text="lone \ud800 surrogate"),)),
        Effects(forwards=(Forward("1.a\0b", (Send(text="x"),)),)),
        Effects(state=b'"\xff"'),
    ],
    ids=["surrogate", "nul in an address", "state that is not UTF-8"],
)
def test_an_outcome_that_cannot_be_kept_is_parked_and_spoils_no_other(postgres_dsn, monkeypatch, effects):
    monkeypatch.setattr(retry, "HANDLER_BASE", 0.01)

    async def story(road):
        async def odd(incoming):
            return effects if incoming.event.text == "bad" else say(incoming.event.text)

        account = await road.bot("echo", odd)
        await road.inbox.accept(account, (message("c", "k1", "bad"), *(message(f"d{n}", f"d{n}") for n in range(5))))
        await road.worker()
        await road.settled(5)
        (letter,) = await road.fetch("SELECT * FROM dead_letter")
        assert letter["attempts"] == retry.HANDLER_TRIES
        assert road.network.texts("c") == [APOLOGY]
        assert all(road.network.texts(f"d{n}") == [f"d{n}"] for n in range(5))

    on_road(postgres_dsn, story)


def test_a_bot_that_raises_anything_at_all_is_parked_not_run_for_ever(postgres_dsn, monkeypatch):
    monkeypatch.setattr(retry, "HANDLER_BASE", 0.01)

    async def story(road):
        runs = []

        async def broken(incoming):
            runs.append(incoming.attempt)
            raise KeyError("surprise")

        account = await road.bot("echo", broken)
        await road.worker()
        await road.inbox.accept(account, (message("c", "k1", "bad"),))
        await road.settled(5)
        assert runs == [1, 2, 3, 4, 5]
        assert await road.count("dead_letter") == 1

    on_road(postgres_dsn, story)


def test_a_message_that_cannot_be_read_back_is_parked(postgres_dsn, monkeypatch):
    monkeypatch.setattr(retry, "HANDLER_BASE", 0.01)

    async def story(road):
        account = await road.bot("echo")
        await road.inbox.accept(account, (message("c", "k1", "bad"), message("c", "k2", "good")))
        await road.fetch("""UPDATE message SET payload = '{"kind": "from the future"}' WHERE body = 'bad'""")
        await road.worker()
        await road.settled(5)
        assert road.network.texts() == [APOLOGY, "good"]
        assert [row["reason"] for row in await road.fetch("SELECT reason FROM dead_letter")] == ["invalid"]

    on_road(postgres_dsn, story)


def test_messages_of_a_removed_channel_end_as_dead_letters(postgres_dsn, monkeypatch):
    monkeypatch.setattr(retry, "HANDLER_BASE", 0.01)

    async def story(road):
        account = await road.bot("echo")
        await road.bot("other")
        await road.inbox.accept(account, (message("c", "k1"),))
        await road.registry.delete_channel(account.public_id)
        await road.directory.refresh()
        await road.worker()
        await road.settled(8)
        assert [row["reason"] for row in await road.fetch("SELECT reason FROM dead_letter")] == ["gone"]

    on_road(postgres_dsn, story)


def test_waiting_for_a_retry_holds_up_neither_others_nor_a_departure(postgres_dsn, monkeypatch):
    monkeypatch.setattr(retry, "HANDLER_BASE", 20.0)

    async def story(road):
        async def picky(incoming):
            if incoming.event.text == "bad":
                raise HandlerFailed("no")
            return say(incoming.event.text)

        account = await road.bot("echo", picky, running=4)
        worker = await road.worker()
        await road.inbox.accept(account, tuple(message(f"b{n}", f"b{n}", "bad") for n in range(8)))
        await until(lambda: road.waiting_to_retry(8), what="all bad ones have failed once")
        await road.inbox.accept(account, tuple(message(f"g{n}", f"g{n}", "good") for n in range(8)))
        await until(lambda: len(road.network.sent) == 8, seconds=3, what="others are answered")
        began = time.monotonic()
        await worker.drain(10.0)
        assert time.monotonic() - began < 2
        assert await road.waiting_to_retry(8)

    on_road(postgres_dsn, story)


def test_forwards_travel_and_typing_does_not(postgres_dsn):
    async def story(road):
        account = await road.bot("echo")
        target = conversation_key(account.id, "boss")

        async def tell(incoming):
            return Effects(actions=(Send(text="ok"),), forwards=(Forward(target, (Send(text="one"), Send(text="two"))),))

        road.handlers[account.bot]._function = tell
        await road.worker()
        await road.inbox.accept(account, (message("c", "k"),))
        await road.settled()
        assert road.network.texts("c") == ["ok"]
        assert road.network.texts("boss") == ["one", "two"]

    on_road(postgres_dsn, story)


def test_silent_events_are_done_without_a_run(postgres_dsn):
    async def story(road):
        runs = []

        async def note(incoming):
            runs.append(incoming)
            return say("?")

        account = await road.bot("echo", note)
        await road.worker()
        quiet = (Kind.UNKNOWN, Kind.STATUS, Kind.MOVED)
        await road.inbox.accept(account, tuple(Event(kind=kind, conversation="c", key=kind) for kind in quiet))
        await road.settled()
        assert runs == []
        assert road.network.sent == []

    on_road(postgres_dsn, story)


def test_a_flood_of_one_bot_leaves_another_quick(postgres_dsn):
    async def story(road):
        async def slow(incoming):
            await asyncio.sleep(0.05)
            return Effects()

        flood = await road.bot("flood", slow, running=16)
        quick = await road.bot("quick")
        for batch in range(4):
            await road.inbox.accept(flood, tuple(message(f"f{n}", f"{batch}-{n}") for n in range(500)))
        await road.worker()
        waits = []
        for n in range(20):
            began = time.monotonic()
            await road.inbox.accept(quick, (message("q", f"q{n}"),))
            await until(lambda n=n: f"q{n}" in road.network.texts("q"))
            waits.append(time.monotonic() - began)
        assert await road.count("inbox") > 500, "the flood must outlast the measurement"
        assert sorted(waits)[-2] < 2.5
        assert sorted(waits)[10] < 1.0

    on_road(postgres_dsn, story)


def test_drain_hands_everything_back(postgres_dsn):
    async def story(road):
        hold = asyncio.Event()
        started = []

        async def slow(incoming):
            started.append(incoming.id)
            await hold.wait()
            return say(incoming.event.text)

        account = await road.bot("echo", slow)
        worker = await road.worker()
        await road.inbox.accept(account, (message("c", "k1"), message("c", "k2")))
        await until(lambda: started)
        draining = asyncio.create_task(worker.drain(5.0))
        await until(lambda: not worker.ready)
        hold.set()
        await draining
        assert road.network.texts() == ["k1"]
        assert await road.count("worker") == 0
        assert await road.count("inbox") == 1
        owners = await road.fetch("SELECT partition FROM partition WHERE worker IS NOT NULL OR careful")
        assert owners == []
        await road.end(worker, drain=False)
        await road.worker("w2")
        await road.settled()
        assert road.network.texts() == ["k1", "k2"]

    on_road(postgres_dsn, story)


def test_a_drain_does_not_wait_longer_than_it_may_for_a_handler_that_hangs(postgres_dsn):
    async def story(road):
        started = []

        async def hang(incoming):
            started.append(incoming.id)
            await asyncio.Event().wait()

        account = await road.bot("echo", hang)
        worker = await road.worker()
        await road.inbox.accept(account, (message("c", "k1"),))
        await until(lambda: started)
        began = time.monotonic()
        await worker.drain(0.3)
        assert time.monotonic() - began < 3
        assert await road.count("worker") == 0
        assert await road.count("inbox") == 1

    on_road(postgres_dsn, story)


def test_a_worker_lives_through_severed_connections(postgres_dsn):
    async def story(road):
        account = await road.bot("echo", count_state)
        await road.worker()
        for n in range(6):
            await road.inbox.accept(account, (message("c", f"k{n}", str(n)), message(f"d{n}", f"d{n}", "x")))
            await sever(road.dsn, "botstead w1%")
        await road.settled()
        assert road.network.texts("c") == [f"{n + 1}:{n}" for n in range(6)]

    on_road(postgres_dsn, story)


def test_partitions_claimed_by_a_statement_whose_answer_was_lost_are_mine(postgres_dsn):
    async def story(road):
        account = await road.bot("echo")
        worker = await road.worker()
        await until(lambda: len(worker._ownership.mine) == 64)
        worker._ownership.mine -= {3, 4, 5}
        await until(lambda: len(worker._ownership.mine) == 64, seconds=4, what="they are found again")
        await road.inbox.accept(account, tuple(message(f"c{n}", f"c{n}") for n in range(64)))
        await road.settled()

    on_road(postgres_dsn, story)


def test_echo_is_the_default(postgres_dsn):
    async def story(road):
        account = await road.bot("echo", echo)
        await road.worker()
        assert await road.inbox.accept(account, (message("c", "k", "hi"),)) == 1
        await road.settled()
        assert road.network.texts() == ["hi"]
        (stamp,) = await road.fetch("SELECT outcome, external_id, attempts FROM delivery")
        assert tuple(stamp) == ("sent", "x1", 1)

    on_road(postgres_dsn, story)
