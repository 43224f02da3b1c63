"""Secrets in every feature, everything goes wrong, and then every place is searched for them."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import TYPE_CHECKING

from botstead.processes.prove import betrayals, traders
from botstead.processes.prove.ask import ask
from botstead.processes.prove.canaries import Canaries
from botstead.processes.prove.echo import echo
from botstead.processes.prove.experiment import experiment
from botstead.processes.prove.installation import installation
from botstead.processes.prove.places import Gatherer, Places, listening
from botstead.processes.prove.planting import HOOK, OWN, SHARED, Planting, Seeds
from botstead.runtime import keyring

if TYPE_CHECKING:
    from botstead.processes.prove.installation import Installation
    from botstead.processes.prove.stage import Stage

PLANTED = 30
LEAST = {
    "answer": 1_000,
    "api": 100_000,
    "chat": 1_000,
    "cli": 1_000,
    "cmdline": 300,
    "database": 10_000_000,
    "environment": 50,
    "file": 500,
    "log": 20_000,
    "metrics": 100_000,
    "spans": 1_000,
    "table": 20_000,
    "valkey": 1_000,
}
"""Bytes of each kind of place below which the search has missed something."""
WAIT_SECONDS = 40.0
UNTRIED = "SELECT count(*) FROM inbox WHERE attempts + claims = 0"
LETTERS = "SELECT count(*) FROM dead_letter WHERE direction = 0"
SENT = {
    "header for the collector of traces",
    "token that a token server gave",
    HOOK,
    *(betrayals.SECRETS[key] for key in ("header", "key", "path", "query", "body")),
    *(traders.SECRETS[name][0] for name in traders.SENT),
    *traders.PAID,
}
"""What has to arrive at the service; otherwise the secret was never used."""
PROVED = ("what somebody wrote", "words of what a handler raised", "encryption key k1", "password of valkey")
"""What the search has to find where it is meant to be; otherwise it finds nothing at all."""


@experiment("E30", "Secrets in every feature come to light nowhere", promises=("P16",), minutes=2)
async def kept(stage: Stage) -> None:
    """Plant secrets, use them where everything goes wrong, and search every place there is."""
    canaries, places = Canaries(stage.chance), Places()
    async with echo() as service:
        seeds = Seeds(canaries, stage.folder, service.url)
        settings = {
            "bots": str(seeds.bots),
            "egress_allow": "127.0.0.1",
            "log_level": "debug",
            "look_seconds": "1",
            "otlp_endpoint": service.url,
            "otlp_headers_file": str(seeds.headers),
            "trace_ratio": "1",
        }
        bots = dict.fromkeys((SHARED, OWN, traders.BOT), "")
        async with (
            installation(stage, scheduler=1, settings=settings, bots=bots, prepare=seeds.servers) as running,
            listening(running.valkey.url, places),
        ):
            await _play(running, Planting(running, canaries, places, service))
            await Gatherer(running, places).all(chats=[SHARED])
        for body in service.traces:
            places.add("spans", body)
        arrived = b"".join(service.heads)
    await asyncio.to_thread(_judge, stage, canaries, places, arrived)


async def _play(running: Installation, planting: Planting) -> None:
    """Plant everything, let it be used, and hurt whatever uses it."""
    stage = running.stage
    verbs = (*betrayals.CALLS, *betrayals.URLS, *betrayals.RAISES, *betrayals.ASIDE)
    await planting.handlers(SHARED, verbs)
    await planting.handlers(OWN, (*betrayals.RAISES, *betrayals.ASIDE, *betrayals.ENDS))
    await planting.keys()
    await planting.bot_secrets()
    await planting.accounts()
    await planting.handlers(traders.BOT, traders.VERBS)
    await asyncio.gather(planting.channels(), planting.strangers(), planting.wrong_passwords())
    await _tried(running, 0)
    if stage.full:
        await planting.handlers(SHARED, ("spin", "abort"))
    stage.note("a new encryption key; SIGABRT to the API, SIGKILL to the others and to Valkey", kind="fault")
    keyring.add_key(running.folder / "data" / "keys.json")
    for slot in running.slots.values():  # who has the old ring ends at the first secret sealed with the new key
        await _struck(running, slot.name, signal.SIGABRT if slot.role == "api" else signal.SIGKILL)
    await running.valkey.restart()
    if stage.full:
        await running.postgres.restart(kill=True)
    for slot in running.slots.values():
        await running.until(lambda slot=slot: slot.ready, f"{slot.name} ready again")  # type: ignore[misc]  # bound now
    stage.note("everything runs again", kind="recovery")
    await planting.channels_again()
    await _tried(running, len(betrayals.RAISES) if stage.full else 1)
    stage.note("all was tried; now every place is asked")
    planting.close()
    stage.none("P16", "questions and deliveries that were not answered as they should be", planting.refused)


async def _struck(running: Installation, name: str, number: int) -> None:
    """Send a signal and wait until it has had its effect."""
    slot = running.slots[name]
    starts = slot.starts
    if number == signal.SIGKILL:
        slot.kill()
    else:
        os.kill(slot.pid, number)
    await running.until(lambda: slot.starts > starts, f"{name} started again")


async def _tried(running: Installation, letters: int) -> None:
    """Wait until each message was tried and so many were given up."""
    deadline = time.monotonic() + WAIT_SECONDS
    while (await ask(running, UNTRIED))[0][0] or (await ask(running, LETTERS))[0][0] < letters:  # another process
        if time.monotonic() > deadline:
            raise TimeoutError(f"not each message was tried within {WAIT_SECONDS:g} s")
        await asyncio.sleep(0.1)


def _judge(stage: Stage, canaries: Canaries, places: Places, arrived: bytes) -> None:
    """Search everything, and record what was found, and that it was a search."""
    places.add("report", "\n".join(moment.what for moment in stage.moments).encode())
    leaks, meant = [], set()
    for place, content in places:
        for canary in canaries.found(content):
            if place.startswith(canary.may or "\0"):
                meant.add(canary.name)
            else:
                leaks.append(f"{canary.name}: in {place}")
    (stage.folder / "leaks.txt").write_text("\n".join([*sorted(leaks), "", *places.unasked]))  # which and where, never what
    sizes = places.bytes()
    small = [f"{kind}: {sizes[kind]:,} bytes" for kind, least in LEAST.items() if sizes[kind] < least]
    sent = {canary.name for canary in canaries.found(arrived)}
    stage.note(f"{sum(sizes.values()) / 1e6:.1f} MB searched in {len(places)} places: {dict(sizes)}")
    stage.none("P16", "secrets that came to light", sorted(leaks))
    stage.at_least("P16", "secrets planted", len(canaries.planted), PLANTED)
    stage.none("P16", "secrets that the service never got, though they are for it", sorted(SENT - sent))
    stage.none("P16", "secrets that the search did not find where they are meant to be", sorted(set(PROVED) - meant))
    stage.none("P16", "kinds of places with too little in them", small)
    stage.none("P16", "routes and commands that could not be asked", places.unasked)
