"""Valkey is emptied, killed, paused, locked and filled while people write."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botstead.processes.prove.experiment import experiment
from botstead.processes.prove.installation import installation
from botstead.processes.prove.judge import judge, reply_seconds
from botstead.processes.prove.limits import Senders, senders
from botstead.processes.prove.load import Load
from botstead.processes.prove.quantile import quantile

if TYPE_CHECKING:
    from botstead.processes.prove.installation import Installation
    from botstead.processes.prove.judge import Span
    from botstead.processes.prove.stage import Stage

CONVERSATIONS = 200
SLOWER = 2.0
"""Times the acknowledgement may take that it takes without a fault …"""
REFUSED_SHARE = 0.001
REPLY_SECONDS = 3.0
"""Without Valkey a worker looks four times a second; the rest is for busy machines."""
LIMIT = 30.0
"""Messages a second that the provider would take from the bot, as Telegram does."""
OPEN = 2.0
"""Times the limit that may be sent in the busiest second: what may be sent at once after a silence, and a second's worth."""
SENDS = f"sends in the busiest second, at a limit of {LIMIT:g}"
WRONG = "another-password"
COMMAND_SECONDS = 5.0


@experiment(
    "E5", "Valkey is emptied, killed, paused, locked and filled", promises=("P1", "P2", "P3", "P4", "P6", "P10"), minutes=4
)
async def valkey(stage: Stage) -> None:
    """Hurt Valkey in each way in turn; nothing may be lost, refused or late, and no limit may open."""
    seconds, rate, floor = (30.0, 300.0, 0.03) if stage.full else (1.0, 150.0, 0.15)
    async with installation(stage, worker=2) as running, senders(running, rate=LIMIT) as sending:
        load = Load(stage, running, updates=int(rate * seconds * 30), conversations=CONVERSATIONS, rate=rate)
        async with asyncio.TaskGroup() as group:
            group.create_task(load.run())
            await asyncio.sleep(seconds / 2)  # it warms up
            warm = len(load.ack_seconds)
            await asyncio.sleep(seconds)
            baseline = quantile(load.ack_seconds[warm:], empty=0.0)
            stage.note(f"acknowledged within {1e3 * baseline:.1f} ms (p99) without a fault")
            spans = {}
            for name, fault in FAULTS.items():
                spans[name] = await _hurt(
                    running, load, sending, name, fault, seconds=seconds, slowest=max(SLOWER * baseline, floor)
                )
            load.stop()
        await running.settle(load)
        sent = running.provider.sent()
        for name, (began, ended) in spans.items():
            waited = quantile(reply_seconds(load, sent, began, ended))
            stage.at_most("P10", f"reply, p99 ({name})", waited, REPLY_SECONDS, unit="s")
        stage.at_most("P10", "share of deliveries refused", load.refused.total() / load.deliveries, REFUSED_SHARE)
        stage.none("P6", "answers other than 200 and 503", load.wrong)
        judge(load, running).check(stage, allowed_again=0)


async def _hurt(  # noqa: PLR0913  # each has a name at the call
    running: Installation,
    load: Load,
    sending: Senders,
    name: str,
    fault: Callable[[Installation, float], Awaitable[None]],
    *,
    seconds: float,
    slowest: float,
) -> Span:
    """Do it, and judge what was acknowledged and sent meanwhile; returns from when to when it lasted."""
    began, first, since = time.monotonic(), len(load.ack_seconds), time.time()
    running.note(f"Valkey: {name}", kind="fault")
    await fault(running, seconds)
    running.note(f"Valkey: {name}: over", kind="recovery")
    stage = running.stage
    taken = load.ack_seconds[first:]
    stage.at_least("P10", f"acknowledged ({name})", len(taken), 1)
    stage.at_most("P10", f"acknowledgement, p99 ({name})", 1e3 * quantile(taken), 1e3 * slowest, unit="ms")
    stage.at_most("P10", f"{SENDS} ({name})", sending.busiest(began), OPEN * LIMIT)
    return since, time.time()


async def _flush(running: Installation, seconds: float) -> None:
    """Empty it once a second, at small scale twice in all."""
    every = min(1.0, seconds / 2)
    for _ in range(int(seconds / every)):
        await _tell(running, "FLUSHALL")
        await asyncio.sleep(every)


async def _kill(running: Installation, seconds: float) -> None:
    """Pull its plug again and again."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await running.valkey.restart()
        await asyncio.sleep(min(1.0, seconds / 3))


async def _pause(running: Installation, seconds: float) -> None:
    """Let it hang: it takes connections and answers nothing."""
    running.valkey.pause()
    try:
        await asyncio.sleep(seconds)
    finally:
        running.valkey.resume()


async def _lock(running: Installation, seconds: float) -> None:
    """Give it another password, and end the connections that knew the old one."""
    await _tell(running, f"CONFIG SET requirepass {WRONG}", "CLIENT KILL TYPE normal", "CLIENT KILL TYPE pubsub")
    try:
        await asyncio.sleep(seconds)
    finally:
        await _tell(running, f"CONFIG SET requirepass {_secret(running)}", secret=WRONG)


async def _fill(running: Installation, seconds: float) -> None:
    """Let it have no memory left: each write is refused."""
    await _tell(running, "CONFIG SET maxmemory-policy noeviction", "CONFIG SET maxmemory 1")
    try:
        await asyncio.sleep(seconds)
    finally:
        await _tell(running, "CONFIG SET maxmemory 64mb", "CONFIG SET maxmemory-policy volatile-ttl")


FAULTS: dict[str, Callable[[Installation, float], Awaitable[None]]] = {
    "emptied again and again": _flush,
    "killed again and again": _kill,
    "paused": _pause,
    "another password": _lock,
    "no memory left": _fill,
}


def _secret(running: Installation) -> str:
    return urlsplit(running.valkey.url).password or ""


async def _tell(running: Installation, *commands: str, secret: str = "") -> None:
    """Give it commands, inline (https://valkey.io/topics/protocol/#inline-commands).

    Raises:
        ValueError: it refuses one.
        OSError: it does not run.
    """
    async with asyncio.timeout(COMMAND_SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", running.valkey.port)
        try:
            for command in (f"AUTH {secret or _secret(running)}", *commands):
                writer.write(f"{command}\r\n".encode())
                answer = await reader.readline()
                if answer.startswith(b"-"):
                    raise ValueError(f"Valkey refuses {command.split()[0]}: {answer.decode().strip()}")
        finally:
            writer.close()
