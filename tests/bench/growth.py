"""How the cost of a message grows with bots, with conversations and with history; and what a capacity model foretells."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise

from tests.bench.echo import Row, measured
from tests.bench.fill import fill, know
from tests.bench.processes import memory_mb
from tests.bench.search import spread, wait_for_indexes
from tests.bench.server import Server
from tests.bench.targets import DATABASE, Target, free_port, one

BOTS = (1, 10, 100, 1_000)
CONVERSATIONS = (1_000, 10_000, 100_000, 1_000_000)
HISTORY = (0, 1_000_000, 10_000_000)
AXES = ("bots", "conversations", "history", "rates")
RATES = (50.0, 100.0, 300.0, 600.0, 1_200.0, 2_400.0)
FITTED = (100.0, 600.0)
"""Rates that the model knows; the others test it."""
MESSAGES, RATE, SECONDS = 16_000, 100.0, 5.0
BASE = 1_000
"""Conversations where another thing grows."""
_DISK = """SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class c
WHERE c.relkind = 'r' AND (c.relname ~ '^message_[0-9]+$' OR c.relname IN ('seen', 'delivery'))"""
_WORDS = "SELECT coalesce(sum(pg_relation_size(c.oid)), 0) FROM pg_class c WHERE c.relkind = 'i' AND c.relname ~ '_words'"
_HISTORY = "SELECT coalesce(sum(reltuples), 0)::bigint FROM pg_class WHERE relname ~ '^message_[0-9]+$' AND reltuples > 0"


def grown(server: Server, *, rounds: int, seed: int, axes: Sequence[str] = AXES) -> Iterator[Row]:
    """Measure one axis after the other.

    Args:
        server: the Postgres to use.
        rounds: how often each point is measured, on one start of the appliance.
        seed: order of chats, and words of the history.
        axes: which, of `AXES`.
    """
    if "bots" in axes:
        yield from _bots(server, rounds=rounds, seed=seed)
    if "conversations" in axes:
        yield from _conversations(server, rounds=rounds, seed=seed)
    if "history" in axes:
        yield from _history(server, rounds=rounds, seed=seed)
    if "rates" in axes:
        yield from _rates(server, rounds=rounds, seed=seed)
    server.drop(DATABASE)


def _bots(server: Server, *, rounds: int, seed: int) -> Iterator[Row]:
    for count in BOTS:
        api_port, began = free_port(), time.monotonic()
        with one(api_port, server, bots=[f"echo-{number}" for number in range(count)]) as target:
            started = time.monotonic() - began
            row = _point(server, target, api_port, "bots", count, rounds=rounds, seed=seed)
            yield {**row, "start_s": started}


def _conversations(server: Server, *, rounds: int, seed: int) -> Iterator[Row]:
    for count in CONVERSATIONS:
        api_port = free_port()
        with one(api_port, server) as target:
            know(server, count)
            yield _point(server, target, api_port, "conversations", count, rounds=rounds, seed=seed, chats=count)


def _history(server: Server, *, rounds: int, seed: int) -> Iterator[Row]:
    for rows in HISTORY:
        api_port = free_port()
        with one(api_port, server) as target:
            if rows:
                fill(server, first=0, rows=rows, chats=BASE, seed=seed)
                wait_for_indexes(server, rows)
            know(server, BASE)
            yield _point(server, target, api_port, "history rows", rows, rounds=rounds, seed=seed)


def _rates(server: Server, *, rounds: int, seed: int) -> Iterator[Row]:
    api_port = free_port()
    with one(api_port, server) as target:
        phases = [(round(rate * SECONDS), rate) for rate in RATES] * rounds
        found = list(measured(target, api_port, phases, seed=seed))
        for rate in RATES:
            cores = [row["cpu_ms"] * rate / 1e3 for row in found if row["rate"] == rate]
            yield {"axis": "messages a second", "at": rate, **spread("cores", cores)}


def _point(
    server: Server, target: Target, api_port: int, axis: str, at: int, *, rounds: int, seed: int, chats: int = BASE
) -> Row:
    phases = [(MESSAGES, 0.0), (round(RATE * SECONDS), RATE)] * rounds
    memory = memory_mb(target.pids["all"])
    disk_before = int(server.run(_DISK, database=DATABASE))
    found = list(measured(target, api_port, phases, seed=seed, chats=max(chats, len(target.paths))))
    messages = sum(row["n"] for row in found) + 2_000
    row: Row = {"axis": axis, "at": at, "memory_mb": memory, "busy_memory_mb": max(each["memory_mb_all"] for each in found)}
    for name, rate in (("saturation", 0.0), ("low", RATE)):
        for figure in ("cpu_ms", "cpu_ms_all", "cpu_ms_postgres"):
            row |= spread(f"{name}_{figure}", [each[figure] for each in found if each["rate"] == rate])
        row |= spread(f"{name}_reply_p50_ms", [each["reply_p50_ms"] for each in found if each["rate"] == rate])
    disk = int(server.run(_DISK, database=DATABASE))
    words, rows = int(server.run(_WORDS, database=DATABASE)), int(server.run(_HISTORY, database=DATABASE))
    lost = sum(each["acknowledged"] - each["replied"] + each["refused"] + each["broken"] for each in found)
    return row | {
        "messages": messages,
        "bytes_a_message": (disk - disk_before) / messages,
        "disk_gb": disk / 1e9,
        "words_gb": words / 1e9,
        "rows_counted": rows,
        "lost": lost,
    }


def foretold(rows: Sequence[Row]) -> Iterator[Row]:
    """Hold the capacity model against what was measured.

    CPU: cores = k * rate^p, with k and p from two rates: the more messages there are, the more of them share a commit.
    Memory: that of the process, and a share a bot. Disk: bytes a message, and bytes of the index on words a row.

    Args:
        rows: what `grown` measured.
    """
    cores = {row["at"]: row["cores"] for row in rows if row["axis"] == "messages a second"}
    if all(rate in cores for rate in FITTED):
        low, high = FITTED
        power = math.log(cores[high] / cores[low]) / math.log(high / low)
        for rate, value in cores.items():
            if rate not in FITTED:
                yield _held(f"cores at {rate:g} messages/s", cores[low] * (rate / low) ** power, value)
    memory = {row["at"]: row["memory_mb"] for row in rows if row["axis"] == "bots"}
    if len(memory) > 2:
        least, most = min(memory), max(memory)
        share = (memory[most] - memory[least]) / (most - least)
        for bots, value in memory.items():
            if bots not in (least, most):
                yield _held(f"memory with {bots:,} bots, MB", memory[least] + share * (bots - least), value)
    history = sorted((row for row in rows if row["axis"] == "history rows" and row["at"]), key=lambda row: row["at"])
    for smaller, larger in pairwise(history):
        times = larger["at"] / smaller["at"]
        yield _held(f"disk of {larger['at']:,} rows, GB", smaller["disk_gb"] * times, larger["disk_gb"])
    written = [row for row in rows if row["axis"] in ("bots", "conversations")]
    if len(written) > 1:
        first, last = written[0], max(written, key=lambda row: row["at"])
        expected, seen = (row["bytes_a_message"] * last["messages"] / 1e6 for row in (first, last))
        yield _held(f"disk of {last['messages']:,} messages in {last['at']:,} conversations, MB", expected, seen)


def _held(what: str, model: float, seen: float) -> Row:
    return {"what": what, "model": model, "measured": seen, "off": (model / seen - 1) * 100 if seen else 0.0}


def figures(rows: Sequence[Row]) -> Row:
    """Return the constants of the model, as the Scale section quotes them."""
    cores = {row["at"]: row["cores"] for row in rows if row["axis"] == "messages a second"}
    memory = {row["at"]: row["memory_mb"] for row in rows if row["axis"] == "bots"}
    low, high = FITTED
    power = math.log(cores[high] / cores[low]) / math.log(high / low)
    history = max((row for row in rows if row["axis"] == "history rows"), key=lambda row: row["at"])
    return {
        "power": power,
        "cores_at_100": cores[low],
        "saturation_cpu_ms": next(row["saturation_cpu_ms"] for row in rows if row["axis"] == "bots"),
        "memory_base_mb": memory[min(memory)],
        "memory_a_bot_mb": (memory[max(memory)] - memory[min(memory)]) / (max(memory) - min(memory)),
        "bytes_a_message": statistics.median(row["bytes_a_message"] for row in rows if row["axis"] == "conversations"),
        "words_bytes_a_row": history["words_gb"] * 1e9 / history["at"] if history["at"] else 0.0,
    }
