"""Reads the road of messages back: from history, what waits, what became of it, and what was noted on the way."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import msgspec

from botstead.store.postgres import Postgres
from botstead.store.queries import load
from botstead.telemetry import tracecontext
from botstead.telemetry.journey import Journey, Parked, Reply, RunNoted, Waiting
from botstead.telemetry.tracing import CallMade, Try

SQL = load("hops")
ANSWERS_WITHIN = 2_000
"""Rows of a conversation looked at to find the answers to a message."""
MOST_OF_A_TRACE = 200
"""Messages of one trace that are shown: a caller may give all of its messages one."""
STEP = 500_000
"""Ids looked through at once for a trace: those of one part of history."""

_CALLS = msgspec.json.Decoder(tuple[CallMade, ...])


class _Kept(msgspec.Struct, frozen=True):
    """Of a message's payload, what is looked for here."""

    traceparent: str = ""


_KEPT = msgspec.json.Decoder(_Kept)


class Journeys:
    """Reads the road of messages."""

    def __init__(self, postgres: Postgres) -> None:
        """Prepare; nothing is read yet.

        Args:
            postgres: where they are.
        """
        self._postgres = postgres

    async def of(self, messages: Sequence[int]) -> list[Journey]:
        """Return the roads of messages; an answer stands for what it answers. Oldest first, each once.

        Args:
            messages: ids; unknown ones are passed over.
        """
        async with self._postgres.connection() as connection:
            origins = [row["id"] for row in await connection.fetch(SQL["origins"], list(messages))]
            return await read(connection, origins)

    async def traced(self, trace: uuid.UUID) -> list[Journey]:
        """Return the roads of all messages of a trace, oldest first, `MOST_OF_A_TRACE` at most.

        Args:
            trace: its id.
        """
        async with self._postgres.connection() as connection:
            return await read(connection, await find(connection, trace))


async def find(connection: asyncpg.Connection, trace: uuid.UUID) -> list[int]:
    """Return the ids of the messages of a trace, oldest first, `MOST_OF_A_TRACE` at most.

    Closed parts of history have an index on it, see `store/search.py`; the newest are read.

    Args:
        connection: from a pool.
        trace: its id.
    """
    upper = await connection.fetchval(load("history")["newest"])
    found: list[int] = []
    while upper > 0 and len(found) < MOST_OF_A_TRACE:
        lower = max(0, (upper - 1) // STEP * STEP)
        rows = await connection.fetch(SQL["traced"], trace, lower, upper, MOST_OF_A_TRACE - len(found))
        found = [*(row["id"] for row in rows), *found]
        upper = lower
    return found


async def read(connection: asyncpg.Connection, messages: Sequence[int]) -> list[Journey]:
    """Return the roads of messages that came in or were asked for, oldest first.

    Args:
        connection: from a pool.
        messages: their ids; those of answers are passed over.
    """
    asked = await connection.fetch(SQL["asked"], list(messages))
    ids = [row["id"] for row in asked]
    said: defaultdict[int, list[asyncpg.Record]] = defaultdict(list)
    for row in await connection.fetch(SQL["said"], ids, [row["conversation"] for row in asked], ANSWERS_WITHIN):
        said[row["reply_to"]].append(row)
    everything = [*ids, *(row["id"] for rows in said.values() for row in rows)]
    noted: defaultdict[int, list[asyncpg.Record]] = defaultdict(list)
    for row in await connection.fetch(SQL["noted"], everything):
        noted[row["message"]].append(row)
    return [_journey(row, said[row["id"]], noted) for row in asked]


def _journey(
    row: Mapping[str, Any], said: Sequence[Mapping[str, Any]], noted: Mapping[int, Sequence[Mapping[str, Any]]]
) -> Journey:
    trace = uuid.UUID(bytes=row["trace"].bytes) if row["trace"] else None
    caller = tracecontext.parse(_traceparent(row["payload"]))
    return Journey(
        message=row["id"],
        trace=trace,
        acked=row["at"],
        arrived=tracecontext.arrival(trace, acked=row["at"]) if trace and row["reply_to"] is None else None,
        parent=caller.parent if caller else "",
        origin=row["reply_to"],
        bot=row["bot"],
        channel=row["kind"],
        asked=row["direction"] == 2,
        runs=_runs(noted.get(row["id"], ()), said),
        replies=tuple(_reply(answer, noted.get(answer["id"], ())) for answer in said),
        waiting=Waiting(failures=row["failures"], crashes=row["crashes"], due=row["due"]) if row["in_inbox"] else None,
        parked=_parked(row),
        seen=row["now"],
    )


def _traceparent(payload: str | None) -> str:
    try:
        return _KEPT.decode(payload or "{}").traceparent
    except msgspec.MsgspecError:  # kept by hand or by another version; then there is no caller
        return ""


def _parked(row: Mapping[str, Any]) -> Parked | None:
    if row["parked_at"] is None:
        return None
    return Parked(reason=row["reason"], attempts=row["letter_attempts"], at=row["parked_at"], replayed=row["replayed_at"])


def _runs(noted: Sequence[Mapping[str, Any]], said: Sequence[Mapping[str, Any]]) -> tuple[RunNoted, ...]:
    """Return the runs that were noted, and the last one, of which an answer tells when it began."""
    runs = [
        RunNoted(
            attempt=row["attempt"],
            began=row["began"],
            ended=row["ended"],
            error="" if row["outcome"] == "ok" else row["outcome"],
            calls=_CALLS.decode(row["calls"]) if row["calls"] else (),
        )
        for row in noted
        if not row["send"]
    ]
    began = next((row["began"] for row in said if row["began"] is not None), None)
    if began is not None and not any(abs(run.began - began) < 0.001 for run in runs):
        runs.append(RunNoted(attempt=max((run.attempt for run in runs), default=0) + 1, began=began))
    return tuple(sorted(runs, key=lambda run: run.began))


def _reply(row: Mapping[str, Any], noted: Sequence[Mapping[str, Any]]) -> Reply:
    tries = (
        Try(row["id"], hop["attempt"], hop["began"], hop["ended"], hop["outcome"], hop["reason"]) for hop in noted if hop["send"]
    )
    return Reply(
        id=row["id"],
        at=row["at"],
        tries=tuple(tries),
        outcome=row["outcome"] or "",
        reason=row["reason"] or "",
        attempts=row["attempts"] or row["tried"] or 0,
        ended=row["ended"],
        waits=row["waits"],
        due=row["due"],
    )
