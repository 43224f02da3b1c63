"""Postgres has no connection left, its rows are locked by others, or an old transaction keeps it from clearing up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import asyncpg

from botstead.processes.prove.ask import ask
from botstead.processes.prove.asking import Asking, asking
from botstead.processes.prove.experiment import experiment
from botstead.processes.prove.installation import installation
from botstead.processes.prove.judge import CHAIN, judge, reply_seconds, unanswered
from botstead.processes.prove.load import Load
from botstead.processes.prove.quantile import quantile

if TYPE_CHECKING:
    from botstead.processes.prove.installation import Installation
    from botstead.processes.prove.stage import Stage

CONVERSATIONS = 100
OURS = "botstead %"
"""Names of our sessions, for LIKE."""
CONNECTIONS = 70
"""Connections that the server takes, all of which others take."""
OPENERS = 8
TAKE_SECONDS = 20.0
RESUME_SECONDS = 10.0
"""Seconds within which an update is taken again, and everything that was taken is answered, after a fault."""
UNDER_WAY = 64
"""Sends that a worker may have under way when it loses its database: each of them may arrive twice."""
LEFT = """
SELECT pid, application_name, state, query FROM pg_stat_activity
WHERE application_name LIKE $1 AND state LIKE 'idle in transaction%' AND clock_timestamp() - state_change > interval '1 second'
"""
END_OURS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE $1"
COUNT_OURS = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE $1"
LOCKS = {
    "the inbox is locked": "LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE",
    "rows of inbox are locked": "SELECT FROM inbox FOR UPDATE",
    "rows of partition are locked": "SELECT FROM partition FOR UPDATE",
    "rows of worker are locked": "SELECT FROM worker FOR UPDATE",
}
"""What foreign transactions hold while they sleep."""
REFUSING = ("no connection left", "the inbox is locked")
"""What ingest cannot work around."""
LOCK_SECONDS = {"the inbox is locked": 6.0}
"""Longer than our sessions wait for a lock, several times over."""
SLOWER = 3.0
"""Times that a reply may take, while a transaction stays open, that it takes without."""
FASTEST, SHARE = 1_000.0, 0.5
"""Updates a second at full scale: this, or a share of what this machine does."""
DEAD = "SELECT coalesce(sum(n_dead_tup), 0)::bigint FROM pg_stat_user_tables"


Fault = Callable[["Installation", float], Awaitable[None]]


@experiment(
    "E8", "Postgres has no connection left, or its rows are locked", promises=("P1", "P2", "P3", "P4", "P6", "P9"), minutes=4
)
async def exhausted(stage: Stage) -> None:
    """Take all connections, then hold locks: who delivers has to be told to come again, soon, and all goes on afterwards."""
    seconds, rate = (20.0, 100.0) if stage.full else (0.6, 60.0)
    async with installation(stage, postgres=(f"max_connections={CONNECTIONS}",)) as running:
        load = Load(stage, running, updates=int(rate * seconds * 50), conversations=CONVERSATIONS, rate=rate)
        async with asking(running, load) as asked, asyncio.TaskGroup() as group:
            group.create_task(load.run())
            await _hurt(running, load, asked, "no connection left", _taken, seconds=seconds)
            for what, statement in LOCKS.items():
                await _hurt(running, load, asked, what, _locked(statement), seconds=max(seconds, LOCK_SECONDS.get(what, 0.0)))
            load.stop()
        await running.settle(load)
        stage.none("P6", "sessions of ours left idle in a transaction", await _left(running))
        judge(load, running).check(stage, allowed_again=UNDER_WAY * (1 + len(LOCKS)))


async def _hurt(  # noqa: PLR0913  # each has a name at the call
    running: Installation, load: Load, asked: Asking, what: str, fault: Fault, *, seconds: float
) -> None:
    """Do it, then wait until updates are taken again and everything is answered."""
    began = running.stage.now
    running.note(what, kind="fault")
    await fault(running, seconds)
    running.note(f"{what}: over", kind="recovery")
    over, count = time.monotonic(), load.count
    await running.until(lambda: load.count > count, f"taken again ({what})", seconds=60)
    taken = time.monotonic() - over
    acked = {place: list(updates) for place, updates in load.acked.items()}
    while unanswered(acked, running.provider.sent()) and time.monotonic() < over + 60:  # noqa: ASYNC110  # other processes
        await asyncio.sleep(0.1)
    answered = time.monotonic() - over
    running.note(f"taken again after {taken:.1f} s, all answered after {answered:.1f} s")
    running.stage.at_most("P9", f"until updates are taken again ({what})", taken, RESUME_SECONDS, unit="s")
    running.stage.at_most("P9", f"until all is answered ({what})", answered, RESUME_SECONDS, unit="s")
    asked.check(what=what, refusals=int(what in REFUSING), since=began)


async def _taken(running: Installation, seconds: float) -> None:
    """Take every connection of the server, also those that we had."""
    taken: list[asyncpg.Connection] = []
    admin = await _foreign(running)
    try:
        deadline = time.monotonic() + TAKE_SECONDS
        while await admin.fetchval(COUNT_OURS, OURS):
            if time.monotonic() > deadline:
                raise TimeoutError("our processes always get a connection back before others do")
            await admin.fetch(END_OURS, OURS)
            await asyncio.gather(*(_fill(running, taken) for _ in range(OPENERS)))
        running.note(f"all {len(taken) + 1} connections are taken by others")
        await asyncio.sleep(seconds)
    finally:
        for connection in [*taken, admin]:
            connection.terminate()


async def _fill(running: Installation, taken: list[asyncpg.Connection]) -> None:
    with suppress(asyncpg.TooManyConnectionsError, OSError):
        while True:
            taken.append(await _foreign(running))


async def _foreign(running: Installation) -> asyncpg.Connection:
    """Connect as a stranger who never lets go."""
    never = {"application_name": "stranger", "idle_in_transaction_session_timeout": "0"}
    return await asyncpg.connect(running.postgres.dsn, timeout=5.0, server_settings=never)


def _locked(statement: str) -> Fault:
    """Return what holds a lock in a transaction that sleeps."""

    async def hold(running: Installation, seconds: float) -> None:
        connection = await _foreign(running)
        try:
            async with connection.transaction():
                await connection.execute(statement)
                await connection.execute("SELECT pg_sleep($1)", seconds, timeout=seconds + 5)
        finally:
            connection.terminate()

    return hold


async def _left(running: Installation) -> list[str]:
    return [f"{row['application_name']}: {row['query'][:80]}" for row in await ask(running, LEFT, OURS)]


@experiment("E9", "A transaction of somebody else stays open", promises=("P1", "P2", "P3", "P4", "P9"), minutes=7)
async def held_back(stage: Stage) -> None:
    """Keep a snapshot open while messages come and go, so that nothing dead can be cleared: replies must not get slow."""
    calm, held, rate, floor = (30.0, 300.0, 0.0, 0.1) if stage.full else (1.5, 2.5, 100.0, 0.25)
    async with installation(stage, bots={"calibrate": CHAIN, "chain": CHAIN}) as running:
        first = Load(stage, running, updates=5_000 if stage.full else 200, conversations=CONVERSATIONS, bots=["calibrate"])
        rate = rate or await _calibrated(running, first)
        updates = int(rate * (calm + held) * 1.5)
        load = Load(stage, running, updates=updates, conversations=CONVERSATIONS * 5, rate=rate, bots=["chain"])
        async with asyncio.TaskGroup() as group:
            group.create_task(load.run())
            await asyncio.sleep(calm)
            stage.note(f"{await _dead(running)} dead rows; a transaction begins", kind="fault")
            began = time.time()
            await _open(running, held)
            stage.note(f"{await _dead(running)} dead rows; the transaction ends", kind="recovery")
            ended = time.time()
            load.stop()
        await running.settle(load)
        replied = running.provider.sent()
        before = quantile(reply_seconds(load, replied, began - calm * 2 / 3, began), empty=0.0)
        during = quantile(reply_seconds(load, replied, began + held / 2, ended))
        stage.note(f"replies at {rate:.0f}/s, p99: {1e3 * before:.0f} ms before, {1e3 * during:.0f} ms in the second half")
        stage.at_most("P9", "reply, p99, with the transaction open", 1e3 * during, 1e3 * max(SLOWER * before, floor), unit="ms")
        load.acked |= first.acked
        judge(load, running).check(stage, allowed_again=0)


async def _calibrated(running: Installation, first: Load) -> float:
    """Return updates a second that leave this machine some rest."""
    began = time.monotonic()
    await first.run()
    await running.settle(first, seconds=60)
    rate = min(FASTEST, SHARE * first.count / (time.monotonic() - began))
    running.note(f"the load is {rate:.0f} updates a second")
    return rate


async def _open(running: Installation, seconds: float) -> None:
    """Hold a snapshot and a transaction id."""
    connection = await _foreign(running)
    try:
        async with connection.transaction(isolation="repeatable_read"):
            await connection.fetchval("SELECT pg_current_xact_id()::text")
            await asyncio.sleep(seconds)
    finally:
        connection.terminate()


async def _dead(running: Installation) -> int:
    return int((await ask(running, DEAD))[0][0])
