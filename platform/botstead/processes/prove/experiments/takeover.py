"""A worker dies, and its work is taken over; a worker that was only paused comes back and must not write."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from botstead.processes.prove.experiment import experiment
from botstead.processes.prove.installation import installation
from botstead.processes.prove.judge import Place, judge, unanswered
from botstead.processes.prove.load import Load, deliver
from botstead.processes.prove.quantile import quantile

if TYPE_CHECKING:
    from botstead.processes.prove.installation import Installation
    from botstead.processes.prove.slot import Slot
    from botstead.processes.prove.stage import Stage

CONVERSATIONS = 100
RATE = 150.0
"""Updates a second, so few that none waits for anything but the takeover."""
UNDER_WAY = 64
NOTICED = 0.5
"""Seconds below which a reply was not delayed by the death."""
HELD = 20
"""Messages that are being handled when the worker is paused."""
ZOMBIE = '''
import asyncio
from pathlib import Path

from botstead import Bot, Conversation, Message

bot = Bot(Path(__file__).parent.name)
held = Path({folder!r})


@bot.on.message
async def count(message: Message, conversation: Conversation) -> str:
    """Count, and stay in the handler the first time that a message says so."""
    conversation.state["n"] = conversation.state.get("n", 0) + 1
    marker = held / message.text
    if message.text.startswith("hold") and not marker.exists():
        marker.write_text("held")
        await asyncio.sleep(1.0)
    return f"{{conversation.state['n']}} {{message.text}}"
'''


@experiment("E3", "A dead worker's conversations are taken over", promises=("P7", "P1", "P2", "P3", "P4"), minutes=6)
async def takeover(stage: Stage) -> None:
    """Kill workers in turn under a light load; time how long each conversation of theirs had to wait."""
    deaths, lease = (40, 3.0) if stage.full else (2, 1.5)
    async with installation(stage, api=1, worker=2, settings={"lease_seconds": f"{lease:g}"}) as running:
        load = Load(stage, running, updates=1_000_000, conversations=CONVERSATIONS, rate=RATE)
        waits: list[float] = []
        loading = asyncio.create_task(load.run())
        for number in range(deaths):
            await asyncio.sleep(lease)  # the lanes are shared out again
            waits += await _death(running, load, running.slots[f"worker-{'ab'[number % 2]}"], lease)
        load.stop()
        await loading
        await running.settle(load)
        stage.at_least("P7", "conversations that had to wait", len(waits), deaths)
        stage.at_most("P7", "wait, p99", quantile(waits), 2 * lease, unit="s")
        stage.at_most("P7", "wait, longest", max(waits, default=math.inf), 2.5 * lease, unit="s")
        judge(load, running).check(stage, allowed_again=UNDER_WAY * deaths)


async def _death(running: Installation, load: Load, slot: Slot, lease: float) -> list[float]:
    """Kill a worker; returns for each of its conversations the seconds until it went on, and has the worker back."""
    before = running.provider.count
    slot.wanted = False
    running.note(f"SIGKILL {slot.name} for good", kind="fault")
    died = time.time()
    slot.kill()
    await asyncio.sleep(NOTICED)  # so that each conversation has something to say
    asked = {place: list(numbers) for place, numbers in load.acked.items()}
    await running.until(lambda: not unanswered(asked, running.provider.sent()), "taken over", seconds=10 * lease)
    waits = _waits(running, asked, before, died)
    running.note(f"{len(waits)} conversations taken over, the last after {max(waits, default=0):.2f} s", kind="recovery")
    slot.start()
    await running.until(lambda: slot.ready, f"{slot.name} ready again")
    return waits


def _waits(running: Installation, asked: Mapping[Place, Sequence[int]], before: int, died: float) -> list[float]:
    """Return how long each conversation that was held up waited for its first reply."""
    last: dict[Place, float] = {}
    for entry in running.provider.sent()[before:]:
        place = entry.token, entry.chat
        number = int(entry.text.rpartition("u")[2])
        if place not in last and number in asked.get(place, ()):
            last[place] = entry.at - died
    return [wait for wait in last.values() if wait > NOTICED]


@experiment("E4", "A worker that was paused in a handler cannot write when it comes back", promises=("P8", "P2", "P3"), minutes=3)
async def zombie(stage: Stage) -> None:
    """Pause a worker inside handlers for three leases, let another one do the work, and let it go on."""
    rounds, lease = (10, 3.0) if stage.full else (1, 1.0)
    held = stage.folder / "held"
    held.mkdir()
    bots = {"zombie": ZOMBIE.format(folder=str(held))}
    async with installation(stage, api=1, worker=1, bots=bots, settings={"lease_seconds": f"{lease:g}"}) as running:
        rival = running.add("worker", "worker-b")
        for number in range(rounds):
            await _pause(running, running.slots["worker-a"], rival, number, lease)
        _check(stage, running, rounds)


async def _pause(running: Installation, victim: Slot, rival: Slot, number: int, lease: float) -> None:
    """One round: the victim holds messages in its handlers, the rival comes, the victim comes back."""
    for chat in range(1, HELD + 1):
        await deliver(running, 2 * (number * HELD + chat), chat, _text("hold", number, chat))
    held = [running.folder / "held" / _text("hold", number, chat) for chat in range(1, HELD + 1)]
    await running.until(lambda: all(marker.exists() for marker in held), "messages in their handlers")
    victim.pause()
    running.note(f"SIGSTOP {victim.name} in {HELD} handlers", kind="fault")
    paused = time.monotonic()
    rival.start()
    await running.until(lambda: rival.ready, "rival ready")
    await running.until(lambda: _replied(running, "hold", number) == HELD, "the rival did the work", seconds=20 * lease)
    running.note(f"{rival.name} did the work {time.monotonic() - paused:.1f} s after", kind="recovery")
    await asyncio.sleep(max(0.0, paused + 3 * lease - time.monotonic()))
    victim.resume()
    running.note(f"SIGCONT {victim.name}", kind="recovery")
    await asyncio.sleep(1.0 + lease)  # its handlers return, and it tries to write
    await rival.end()
    for chat in range(1, HELD + 1):
        await deliver(running, 2 * (number * HELD + chat) + 1, chat, _text("after", number, chat))
    await running.until(lambda: _replied(running, "after", number) == HELD, "everything after it answered")


def _text(word: str, number: int, chat: int) -> str:
    return f"{word}-{number}-{chat}"


def _replied(running: Installation, word: str, number: int) -> int:
    return len({entry.text for entry in running.provider.sent() if f" {word}-{number}-" in entry.text})


def _check(stage: Stage, running: Installation, rounds: int) -> None:
    """Each conversation has to show one effect of each message, in order, whoever tried."""
    said: dict[str, list[str]] = {}
    for entry in running.provider.sent():
        said.setdefault(entry.chat, []).append(entry.text)
    stale, twice, disordered = [], [], []
    for chat in range(1, HELD + 1):
        texts = [_text(word, number, chat) for number in range(rounds) for word in ("hold", "after")]
        wanted = [f"{place} {text}" for place, text in enumerate(texts, start=1)]
        found = said.get(str(chat), [])
        stale += [f"chat {chat}: {text!r}" for text in found if text not in wanted]
        twice += [f"chat {chat}: {text!r} again" for text in wanted if found.count(text) > 1]
        firsts = list(dict.fromkeys(text for text in found if text in wanted))
        disordered += [] if firsts == wanted else [f"chat {chat}: {found}"]
    stage.at_least("P8", "messages in a handler when paused", HELD * rounds, HELD * rounds)
    stage.none("P8", "replies or state of the one that came back", stale)
    stage.none("P2", "effects done twice", twice)
    stage.none("P3", "conversations with effects missing or out of order", disordered)
