"""Schedulers die one after the other; what they are due to do is done by whoever is left.

Schedules of bots do not exist yet. What a scheduler does today: one of them leads; that one makes parts of history ahead, drops
old dedup keys, indexes closed parts, and polls channels without a public address.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from botstead.processes.prove.ask import ask, deadlocks
from botstead.processes.prove.experiment import experiment
from botstead.processes.prove.installation import installation
from botstead.processes.prove.judge import judge
from botstead.processes.prove.load import Load

if TYPE_CHECKING:
    from botstead.processes.prove.installation import Installation
    from botstead.processes.prove.stage import Stage

REPLICAS = 4
CONVERSATIONS = 100
RATE = 100.0
EVERY = 5.0
"""Seconds between two deaths."""
DUE_SECONDS = 10.0
"""Seconds within which a new leader has done everything that is due."""
OLD_KEYS = 500
PART = 500_000
"""Ids in one part of history."""
AHEAD = 5
"""Parts that exist from the newest id on."""
LEADERS = """
SELECT DISTINCT substring(a.application_name FROM 'scheduler-[a-z]') AS name, l.pid
FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND a.application_name LIKE '%scheduler-_ upkeep' ORDER BY 1
"""
AGE = """
INSERT INTO seen (channel, key, id, at)
SELECT (SELECT min(channel) FROM seen), format('%s %s', $1::text, n), 0, now() - make_interval(days => $2)
FROM generate_series(1, $3::integer) n
"""
SIGNS = ('"level":"error"', " ERROR: ", "deadlock")
LEFT = "SELECT count(*) FROM seen WHERE key LIKE $1"
JUMP = "SELECT setval('message_id', $1)"
NEWEST = "SELECT last_value FROM message_id"
PARTS = (
    "SELECT count(*) FROM generate_series($1::bigint, $1::bigint + $2 - 1) n WHERE to_regclass(format('message_%s', n)) IS NULL"
)


@experiment(
    "E14",
    "Four schedulers, one killed each few seconds: upkeep is done (schedules of bots do not exist yet)",
    promises=("P1", "P2", "P13"),
    minutes=3,
)
async def schedulers(stage: Stage) -> None:
    """Kill the leader again and again under load; each time make upkeep due, and see that the next one does it, once."""
    deaths = 24 if stage.full else 2
    async with installation(stage, api=1, worker=1, scheduler=REPLICAS) as running:
        load = Load(stage, running, updates=1_000_000, conversations=CONVERSATIONS, rate=RATE)
        async with asyncio.TaskGroup() as group:
            group.create_task(load.run())
            await running.until(lambda: load.count > 0, "something is acknowledged")
            for number in range(deaths):
                await _death(running, number, pause=EVERY if stage.full else 0.0)
            load.stop()
        await running.settle(load)
        stage.at_least("P13", "deaths of a leader", deaths, deaths)
        stage.at_most("P13", "deadlocks", await deadlocks(running), 0)
        stage.none("P13", "errors that schedulers or Postgres wrote", _errors(running))
        judge(load, running).check(stage)


async def _death(running: Installation, number: int, *, pause: float) -> None:
    """Make upkeep due, kill the leader, and wait until it is done."""
    stage = running.stage
    began = time.monotonic()
    (name, session), *others = await _led(running)
    stage.none("P13", "more than one leader", [other for other, _ in others])
    await _due(running, number)
    victim = running.slots[name]
    stage.note(f"SIGKILL {victim.name}, which led; {OLD_KEYS} keys are old and parts are missing", kind="fault")
    victim.kill()
    died = time.monotonic()
    follower, _ = (await _led(running, after=session))[0]
    led = time.monotonic() - died
    while any(await _undone(running, number)) and time.monotonic() - died < 3 * DUE_SECONDS:  # noqa: ASYNC110  # another process
        await asyncio.sleep(0.05)
    took = time.monotonic() - died
    old, parts = await _undone(running, number)
    stage.note(f"{follower} leads {led:.1f} s after, all that was due is done {took:.1f} s after", kind="recovery")
    stage.none("P13", "old keys that nobody dropped", ["a key"] * old)
    stage.none("P13", "parts of history that nobody made", ["a part"] * parts)
    kept = await _one(running, LEFT, f"young-{number} %")
    stage.at_least("P13", "young keys that were kept", kept, OLD_KEYS)
    stage.at_most("P13", "from a leader's death until all is done that was due", took, DUE_SECONDS, unit="s")
    await running.until(lambda: victim.ready, f"{victim.name} ready again")
    await asyncio.sleep(max(0.0, pause - (time.monotonic() - began)))


async def _led(running: Installation, after: int = 0) -> list[tuple[str, int]]:
    """Wait until somebody leads; returns name and database session of everybody who does.

    Args:
        running: whose schedulers.
        after: the session of one that is dead. The dead one may itself be the next, when it starts again before others look.
    """
    deadline = time.monotonic() + 3 * DUE_SECONDS
    while time.monotonic() < deadline:
        leaders = [(row["name"], row["pid"]) for row in await ask(running, LEADERS)]
        if leaders and all(session != after for _, session in leaders):
            return leaders
        await asyncio.sleep(0.05)
    raise TimeoutError("no scheduler leads")


async def _due(running: Installation, number: int) -> None:
    """Make dedup keys old enough to be dropped, and ids so high that parts of history are missing."""
    await ask(running, AGE, f"old-{number}", 9, OLD_KEYS)
    await ask(running, AGE, f"young-{number}", 7, OLD_KEYS)
    newest = await _one(running, NEWEST)
    await ask(running, JUMP, (newest // PART + AHEAD - 2) * PART + 1)


async def _undone(running: Installation, number: int) -> tuple[int, int]:
    """Return how many keys are still there that are old, and how many parts are missing."""
    newest = await _one(running, NEWEST)
    return await _one(running, LEFT, f"old-{number} %"), await _one(running, PARTS, newest // PART, AHEAD)


async def _one(running: Installation, query: str, *values: Any) -> int:
    return int((await ask(running, query, *values))[0][0])


def _errors(running: Installation) -> list[str]:
    """Return what was said that is an error; a connection that its client dropped is none."""
    logs = [(slot.name, slot.log) for slot in [*running.of("scheduler"), running.postgres]]
    lines = [(name, line) for name, log in logs for line in log.read_text(errors="replace").splitlines()]
    return [f"{name}: {line[:300]}" for name, line in lines if any(sign in line for sign in SIGNS)]
