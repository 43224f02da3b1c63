"""What the leading scheduler reads of real servers; and that nothing stale is shown when one is away."""

from __future__ import annotations

import asyncio
import os
import time
import uuid

import asyncpg
import pytest

from botstead.core.errors import Unavailable
from botstead.operate import vitals
from botstead.operate.vitals import Watch
from botstead.store.vitals import PostgresVitals, ValkeyVitals
from botstead.telemetry.catalog import VITALS
from tests.servers import free_port

FILL = """
INSERT INTO bot (name, kind, internal) VALUES ('shop', 'python', false), ('canary', 'python', true);
INSERT INTO channel (public_id, bot, kind) SELECT 'ch_' || name, id, CASE WHEN internal THEN 'loopback' ELSE 'telegram' END FROM bot;
INSERT INTO message (id, direction, bot, channel, conversation, at)
    SELECT n, 0, c.bot, c.id, c.id || '.x', now() - make_interval(secs => 100 - n) FROM channel c, generate_series(1, 9) n WHERE c.kind = 'telegram';
INSERT INTO message (id, direction, bot, channel, conversation) SELECT 50, 0, bot, id, id || '.x' FROM channel WHERE kind = 'loopback';
INSERT INTO inbox (partition, bot, id, conversation, not_before)
    SELECT 0, bot, id, conversation, CASE WHEN id = 1 THEN now() + interval '1 hour' END FROM message WHERE id IN (1, 2, 3, 50);
INSERT INTO outbox (partition, id, not_before) VALUES (0, 4, now() + interval '1 hour'), (1, 5, NULL), (2, 6, now() - interval '1 s'), (3, 50, NULL);
INSERT INTO dead_letter (id, direction, bot, channel, conversation, reason, replayed_at)
    SELECT id, CASE WHEN id = 7 THEN 1 ELSE 0 END, bot, channel, conversation, 'failed', CASE WHEN id = 9 THEN now() END
    FROM message WHERE id IN (7, 8, 9, 50);
"""


@pytest.fixture(autouse=True)
def _nothing_shown():
    for reading in VITALS.all.values():  # whatever tests before have shown in this process
        reading.clear()
    yield
    vitals.clear()


def watch(dsn: str, url: str, folder, *, looks=lambda: True, without: int = 0) -> Watch:
    postgres = PostgresVitals(dsn, application=f"test-{uuid.uuid4()}")
    return Watch(postgres, ValkeyVitals(url) if url else None, data=folder, looks=looks, without=lambda: without)


async def fill(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(FILL)
        return await connection.fetchval("SELECT id FROM bot WHERE internal")
    finally:
        await connection.close()


def test_what_waits_is_counted_without_the_canary(postgres_dsn, tmp_path):
    async def story():
        looking = watch(postgres_dsn, "", tmp_path, without=await fill(postgres_dsn))
        await looking.look()
        await looking.close()

    asyncio.run(story())
    assert VITALS.depth.shown == {("inbox",): 3, ("outbox",): 3}
    assert VITALS.dead_letters.shown == {("inbox",): 1, ("outbox",): 1}
    assert VITALS.outbox.shown == {("telegram",): 3}
    # The first of each waits for a time to come; the next one could go now.
    assert time.time() - VITALS.oldest.shown["inbox",] == pytest.approx(98, abs=5)
    assert time.time() - VITALS.outbox_oldest.shown["telegram",] == pytest.approx(95, abs=5)


def test_a_server_is_described_while_it_answers_and_not_afterwards(postgres_dsn, valkey_url, tmp_path):
    async def story():
        looking = watch(postgres_dsn, valkey_url, tmp_path)
        await looking.look()
        await looking.close()
        described = {reading.name: dict(reading.shown) for reading in VITALS.all.values()}
        gone = watch(f"postgres://nobody@127.0.0.1:{free_port()}/x", f"valkey://127.0.0.1:{free_port()}/0", tmp_path)
        await gone.look()
        await gone.close()
        return described

    described = asyncio.run(story())
    assert described["postgres_up"] == described["valkey_up"] == {(): 1}
    assert 0 < described["postgres_connections_ratio"][()] < 1
    assert described["postgres_database_size_bytes"][()] > 1_000_000
    assert abs(described["host_clock_skew_seconds"][()]) < 1
    assert described["valkey_connected_clients"][()] >= 1
    assert described["valkey_last_save_ok"] == {(): 1}
    assert described["valkey_memory_used_ratio"] == {}  # this one has no limit
    assert VITALS.postgres_up.shown == VITALS.valkey_up.shown == {(): 0}
    for reading in (*vitals.POSTGRES, *vitals.QUEUES, *vitals.VALKEY):
        assert not reading.shown, reading.name
    assert VITALS.disk_free.shown


def test_who_does_not_lead_shows_nothing(postgres_dsn, tmp_path):
    async def story():
        lead = [True]
        looking = watch(postgres_dsn, "", tmp_path, looks=lambda: lead[0])
        await looking.look()
        assert VITALS.size.shown
        lead[0] = False
        await looking.look()
        await looking.close()

    asyncio.run(story())
    assert not any(reading.shown for reading in VITALS.all.values() if reading is not VITALS.leader)


def test_a_lock_on_a_table_of_ours_is_no_sign_that_postgres_is_away(postgres_dsn, tmp_path):
    async def story():
        looking = watch(postgres_dsn, "", tmp_path)
        await looking.look()
        assert VITALS.depth.shown
        connection = await asyncpg.connect(postgres_dsn)
        try:
            async with connection.transaction():
                await connection.execute("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE")
                await looking.look()
        finally:
            await connection.close()
        await looking.close()

    asyncio.run(story())
    assert VITALS.postgres_up.shown == {(): 1}
    assert VITALS.size.shown
    assert not any(reading.shown for reading in vitals.QUEUES)


def test_an_open_transaction_and_a_deadlock_are_seen(postgres_dsn):
    async def story():
        asking = PostgresVitals(postgres_dsn, application="test")
        one, other = [await asyncpg.connect(postgres_dsn) for _ in range(2)]
        await one.execute(
            "CREATE TABLE pair (id int PRIMARY KEY); INSERT INTO pair VALUES (1), (2); SET deadlock_timeout = '20ms'"
        )
        await other.execute("SET deadlock_timeout = '20ms'")
        before = await asking.server()
        first, second = one.transaction(), other.transaction()
        await first.start()
        await second.start()
        await one.execute("UPDATE pair SET id = id WHERE id = 1")
        await other.execute("UPDATE pair SET id = id WHERE id = 2")
        during = await asking.server()
        ends = await asyncio.gather(
            one.execute("UPDATE pair SET id = id WHERE id = 2"),
            other.execute("UPDATE pair SET id = id WHERE id = 1"),
            return_exceptions=True,
        )
        assert any(isinstance(end, asyncpg.DeadlockDetectedError) for end in ends)
        for connection in (one, other):
            await connection.close()
        deadline = time.monotonic() + 8
        while (after := await asking.server()).deadlocks == before.deadlocks and time.monotonic() < deadline:  # noqa: ASYNC110  # Postgres counts late
            await asyncio.sleep(0.1)
        await asking.close()
        return before, during, after

    before, during, after = asyncio.run(story())
    assert during.longest > 0
    assert after.deadlocks == before.deadlocks + 1


def test_valkey_away_says_so_at_once():
    async def story():
        asking = ValkeyVitals(f"valkey://127.0.0.1:{free_port()}/0")
        with pytest.raises(Unavailable):
            await asking.server()
        await asking.close()

    asyncio.run(story())


def test_a_look_at_the_host_needs_no_server(tmp_path):
    looking = watch("postgres://nobody@127.0.0.1:1/x", "", tmp_path)
    looking._at_host()
    assert VITALS.cpu.shown["idle",] > 0
    assert VITALS.disk_size.shown[()] >= os.statvfs(tmp_path).f_bavail
