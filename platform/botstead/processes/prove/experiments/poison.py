"""Messages that kill, hang or flood whatever handles them. Each ends in the dead letters, alone, and can be run again."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import msgspec

from botstead.processes.prove import poisons
from botstead.processes.prove.client import Client
from botstead.processes.prove.deliveries import message
from botstead.processes.prove.experiment import experiment
from botstead.processes.prove.installation import installation
from botstead.processes.prove.judge import CHAIN, compare
from botstead.processes.prove.load import Load
from botstead.processes.prove.quantile import quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from botstead.processes.prove.installation import Hook, Installation
    from botstead.processes.prove.slot import Slot
    from botstead.processes.prove.stage import Stage

CONVERSATIONS = 50
PROBED = 20
"""Conversations of the bot that is timed; a tenth of each in a small experiment."""
RATE = 60.0
CALM_SECONDS = 1.0
"""Seconds of load without poison, for comparison."""
FLOOR = 0.25
"""Seconds below which a reply counts as prompt, whatever it took without poison."""
PROBE_EVERY = 0.03
FAILURES = 5
RESTARTS = 3
PARKED_SECONDS = 90.0
UNDER_WAY = 64
LEASE = 1.5
CLEARED_SECONDS = 8.0
"""Seconds after the last death of a worker until nobody else waits any longer: a lease, a restart, and clearing suspects."""


@experiment("E20", "Poisonous messages end in the dead letters, alone", promises=("P1", "P2", "P5"), minutes=4)
async def poisonous(stage: Stage) -> None:
    """Poison a bot in a process of its own, then one in the worker while workers are killed; then mend both and replay."""
    mended, folder = stage.folder / "mended", stage.folder / "poisons"
    poisons.write(folder, {"chain": CHAIN, "probe": CHAIN}, mended=mended)
    settings = {"bots": str(folder), "lease_seconds": f"{LEASE:g}"}
    names = dict.fromkeys(("chain", "probe", "own", "shared"), "")
    async with installation(stage, api=1, worker=2, settings=settings, bots=names) as running:
        played = _Poison(running, poisons.EVERY if stage.full else poisons.QUICK)
        load = Load(
            stage,
            running,
            updates=1_000_000,
            conversations=CONVERSATIONS if stage.full else CONVERSATIONS // 10,
            rate=RATE,
            bots=("chain",),
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(load.run())
            probing = group.create_task(played.probe())
            await played.in_own_process()
            kills = await played.in_worker(deaths=10 if stage.full else 1)
            probing.cancel()
            load.stop()
        await running.settle(load)
        await played.judge()
        mended.touch()
        await played.replay()
        token = played.hooks["chain"].token
        verdict = compare(load.acked, [entry for entry in running.provider.sent() if entry.token == token])
        verdict.check(stage, allowed_again=UNDER_WAY * (kills + RESTARTS * len(played.kinds)))


class _Poison:
    """Poison in an installation, and what becomes of it."""

    def __init__(self, running: Installation, kinds: Sequence[str]) -> None:
        self.running, self.kinds = running, kinds
        self.hooks = {hook.bot: hook for hook in running.hooks}
        self._client = Client()
        self._number = 0
        self._probed = PROBED if running.stage.full else PROBED // 10
        self._asked: dict[str, float] = {}
        self._innocent: list[str] = []

    async def in_own_process(self) -> None:
        """Poison a bot that has a process of its own: nobody else may notice."""
        stage, workers = self.running.stage, self.running.of("worker")
        await asyncio.sleep(CALM_SECONDS)
        calm_until = time.time()
        starts = [slot.starts for slot in workers]
        await self._swallow("own")
        calm, poisoned = self._waits(0, calm_until), self._waits(calm_until, time.time())
        stage.none("P5", "workers that a bot in its own process took down", ["a restart"] * _more(starts, workers))
        before = quantile(calm)
        stage.note(f"others' replies, p99: {before:.3f} s before, {quantile(poisoned):.3f} s under poison")
        limit = max(2 * before, FLOOR)
        stage.at_most("P5", "others' replies under poison, p99", quantile(poisoned), limit, unit="s")

    async def in_worker(self, *, deaths: int) -> int:
        """Poison a bot in the worker itself, and kill a worker now and then besides; returns how many were killed."""
        stage, workers = self.running.stage, self.running.of("worker")
        starts, began = [slot.starts for slot in workers], time.time()
        swallowing = asyncio.create_task(self._swallow("shared"))
        for _ in range(deaths):
            slot = stage.chance.choice(workers)
            await self.running.until(lambda slot=slot: slot.ready, f"{slot.name} ready", seconds=60)  # type: ignore[misc]  # bound now
            stage.note(f"SIGKILL {slot.name}, poison or not", kind="fault")
            slot.kill()
            await asyncio.sleep(1.0)
        await swallowing
        most = RESTARTS * len(self.kinds) + deaths
        stage.at_most("P5", "restarts of workers, by poison and by us", _more(starts, workers), most)
        longest = max(self._waits(began, time.time()), default=0.0)
        stage.note(f"others waited {longest:.1f} s at most while workers died")
        died = max(slot.started for slot in workers)
        left = self._left(died, time.time())
        stage.at_most("P5", "others' wait after the last death of a worker, longest", left, CLEARED_SECONDS, unit="s")
        return deaths

    async def probe(self) -> None:
        """Write to a bot that has nothing to do with it, until cancelled, and remember when."""
        while True:
            text = f"p{self._number + 1}"
            self._asked[text] = time.time()
            await self._deliver(self.hooks["probe"], 500 + self._number % self._probed, text)
            await asyncio.sleep(PROBE_EVERY)

    async def _swallow(self, bot: str) -> None:
        """Deliver each poison and one harmless message beside it; wait until all poison is parked."""
        for chat, kind in enumerate(self.kinds, start=1):
            await self._deliver(self.hooks[bot], chat, f"{kind} {bot}")
            await self._deliver(self.hooks[bot], chat, f"harmless {kind}")
        self.running.note(f"poison for {bot}: {', '.join(self.kinds)}", kind="fault")
        deadline = time.monotonic() + PARKED_SECONDS
        while len(await self._letters(bot)) < len(self.kinds) and time.monotonic() < deadline:  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.1)
        self.running.note(f"{len(await self._letters(bot))} parked", kind="recovery")

    async def judge(self) -> None:
        """Each poison has to be parked, in few tries, and nothing else."""
        stage = self.running.stage
        for bot in ("own", "shared"):
            letters = await self._letters(bot)
            stage.none("P5", f"poison for {bot} that was not parked", self.kinds[len(letters) :])
            many = [f"{letter['reason']} {letter['attempts']}" for letter in letters if letter["attempts"] > FAILURES]
            stage.none("P5", f"poison for {bot} that ran too often", many)
            said = {entry.text for entry in self.running.provider.sent() if entry.token == self.hooks[bot].token}
            unheard = [kind for kind in self.kinds if f"well harmless {kind}" not in said]
            stage.none("P5", f"messages behind poison for {bot} that were not answered", unheard)
        status, found = await self.running.api("GET", "/v1/dead-letters?limit=100")
        assert status == 200, found
        innocent = [f"{each['bot']}: {each['error'][:80]}" for each in found["items"] if each["bot"] not in ("own", "shared")]
        surplus = len(found["items"]) - len(innocent) - 2 * len(self.kinds)
        stage.none("P5", "innocent messages parked", [*innocent, *["one of a poisoned bot"] * max(0, surplus)])

    async def replay(self) -> None:
        """Run all of them again now that the bots are mended, twice: each is answered once."""
        running, stage = self.running, self.running.stage
        for expected in (2 * len(self.kinds), 0):
            status, found = await running.api("POST", "/v1/dead-letters/replay", {"all": True})
            assert status == 202, found
            stage.at_most("P5", "letters replayed, off from those there were", abs(found["replayed"] - expected), 0)
            running.note(f"{found['replayed']} replayed", kind="recovery")
        wanted = {(self.hooks[bot].token, f"well {kind} {bot}") for bot in ("own", "shared") for kind in self.kinds}
        deadline = time.monotonic() + PARKED_SECONDS
        while not wanted <= set(self._said()) and time.monotonic() < deadline:  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.05)
        said = self._said()
        stage.none("P5", "replayed messages without an answer", [text for token, text in wanted if (token, text) not in said])
        stage.none(
            "P2", "replayed messages that took effect twice", [text for token, text in wanted if said.count((token, text)) > 1]
        )

    def _said(self) -> list[tuple[str, str]]:
        return [(entry.token, entry.text) for entry in self.running.provider.sent()]

    def _waits(self, begin: float, end: float) -> list[float]:
        """Return how long each probe of a time waited for its reply; what has none waits until now."""
        heard = self._heard()
        return [heard.get(text, end) - at for text, at in self._asked.items() if begin <= at < end]

    def _left(self, moment: float, end: float) -> float:
        """Return how long after a moment the last probe was answered that waited then; what has no reply waits until now."""
        heard = self._heard()
        return max([0.0, *(heard.get(text, end) - moment for text, at in self._asked.items() if at < moment)])

    def _heard(self) -> dict[str, float]:
        token = self.hooks["probe"].token
        sent = reversed(self.running.provider.sent())  # the first time counts
        return {entry.text.rpartition(" ")[2]: entry.at for entry in sent if entry.token == token}

    async def _letters(self, bot: str) -> list[dict[str, Any]]:
        status, found = await self.running.api("GET", f"/v1/dead-letters?limit=100&bot={bot}")
        assert status == 200, found
        return list(found["items"])

    async def _deliver(self, hook: Hook, chat: int, text: str) -> None:
        self._number += 1
        asked = message(hook, 10_000_000 + self._number, chat, text)
        status, body = await self._client.ask(self.running.ports()[0], asked)
        assert status == 200, msgspec.json.decode(body)


def _more(starts: Sequence[int], slots: Sequence[Slot]) -> int:
    return sum(slot.starts for slot in slots) - sum(starts)
