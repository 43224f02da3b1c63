"""A worker's network cable is cut, both ways and without a word, and put back."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from botstead.processes.embedded.folder import free_ports
from botstead.processes.prove import severed
from botstead.processes.prove.ask import shares
from botstead.processes.prove.experiment import experiment
from botstead.processes.prove.installation import installation
from botstead.processes.prove.judge import judge
from botstead.processes.prove.load import Load
from botstead.processes.prove.relay import relay
from botstead.processes.prove.severed import Network

if TYPE_CHECKING:
    from botstead.processes.prove.installation import Installation
    from botstead.processes.prove.slot import Slot
    from botstead.processes.prove.stage import Stage

CUT = "worker-cut"
OTHER = "worker-a"
CONVERSATIONS = 100
RATE = 100.0
RECONNECT_SECONDS = 15.0
UNDER_WAY = 64
"""Sends that a worker may have under way at a channel when its answers no longer arrive: each of them may arrive twice."""
MARGIN = 2.0
"""Seconds beyond two leases that a takeover may take: reading what was left, on a small machine."""


@experiment(
    "E12", "A worker is cut off the network, silently, and comes back", promises=("P1", "P2", "P3", "P4", "P7", "P8"), minutes=4
)
async def severed_worker(stage: Stage) -> None:
    """Cut one of two workers off all others while people write; its work has to go on, and it has to come back."""
    if why := severed.missing():
        stage.skip(why)
    rounds, cut, lease = (3, 60.0, 3.0) if stage.full else (1, 3.0, 1.0)
    with severed.network() as network:
        await _severed(stage, network, rounds=rounds, cut=cut, lease=lease)


async def _severed(stage: Stage, network: Network, *, rounds: int, cut: float, lease: float) -> None:
    port = free_ports(1)[0]
    settings = {"lease_seconds": f"{lease:g}", "egress_allow": f"{network.here}:{port}"}
    options = (f"listen_addresses=127.0.0.1,{network.here}",)
    wrap = {CUT: network.wrap}
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(installation(stage, settings=settings, postgres=options, wrap=wrap))
        await stack.enter_async_context(relay(network.here, port, to=running.provider.port))
        victim = await _join(running, network, f"http://{network.here}:{port}")
        load = Load(stage, running, updates=1_000_000, conversations=CONVERSATIONS, rate=RATE)
        async with asyncio.TaskGroup() as group:
            group.create_task(load.run())
            for _ in range(rounds):
                await _shared(running, "both workers hold partitions")
                await asyncio.sleep(lease)
                await _cut(running, network, victim, cut=cut, lease=lease)
            load.stop()
        await running.settle(load)
        stage.at_least("P8", "cuts", rounds, rounds)
        stage.none("P8", "restarts of the worker that was cut off", ["it ended"] * (victim.starts - 1))
        judge(load, running).check(stage, allowed_again=UNDER_WAY * rounds)


async def _join(running: Installation, network: Network, provider: str) -> Slot:
    """Let the database and the bell be reached over the cable, move the bot there, and start a worker at the other end."""
    rules = running.postgres.data / "pg_hba.conf"
    with rules.open("a") as file:
        file.write(f"host all all {network.there}/32 scram-sha-256\n")
    os.kill(running.postgres.pid, signal.SIGHUP)
    await _ring(running, network.here)
    channel = running.hooks[0].path.rpartition("/")[2]
    status, found = await running.api("PATCH", f"/v1/channels/{channel}", {"settings": {"api_base": provider}})
    assert status == 200, found
    addresses = {"postgres": _moved(running.postgres.dsn, network.here), "valkey": _moved(running.valkey.url, network.here)}
    victim = running.add("worker", CUT, **addresses)
    victim.start()
    await running.until(lambda: victim.ready, "the worker at the other end is ready")
    return victim


async def _ring(running: Installation, address: str) -> None:
    """Let Valkey listen at one more address (https://valkey.io/commands/config-set/)."""
    secret = urlsplit(running.valkey.url).password
    reader, writer = await asyncio.open_connection("127.0.0.1", running.valkey.port)
    writer.write(f'AUTH {secret}\r\nCONFIG SET bind "127.0.0.1 {address}"\r\n'.encode())
    answers = [await asyncio.wait_for(reader.readline(), 5) for _ in range(2)]
    writer.close()
    assert answers == [b"+OK\r\n"] * 2, answers


def _moved(url: str, host: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.replace("127.0.0.1", host)))


async def _shared(running: Installation, what: str, *, seconds: float = 30.0) -> float:
    """Wait until both workers hold partitions; returns how long it took."""
    began = time.monotonic()
    while len(await shares(running)) < 2:
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        await asyncio.sleep(0.05)
    return time.monotonic() - began


async def _cut(running: Installation, network: Network, victim: Slot, *, cut: float, lease: float) -> None:
    stage = running.stage
    held = sum((await shares(running)).values())
    began = time.monotonic()
    network.cut()
    running.note(f"every packet to and from {victim.name} is dropped", kind="fault")
    try:
        while (await shares(running)).get(OTHER) != held and time.monotonic() - began < 10 * lease:  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.05)
        taken = time.monotonic() - began
        running.note(f"its partitions belong to others {taken:.1f} s after", kind="recovery")
        await asyncio.sleep(max(0.0, began + cut - time.monotonic()))
    finally:
        network.heal()
    running.note("packets go through again", kind="recovery")
    back = await _shared(running, "the worker that was cut off is back", seconds=4 * RECONNECT_SECONDS)
    running.note(f"{victim.name} works again {back:.1f} s after", kind="recovery")
    stage.at_most("P7", "partitions taken over", taken, 2 * lease + MARGIN, unit="s")
    stage.at_most("P8", "from the heal to work again", back, RECONNECT_SECONDS, unit="s")
