"""Through the edge: processes that come and go behind it, requests that fit nothing, and clients that take their time."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from botstead.processes.embedded.edge import READ_SECONDS
from botstead.processes.prove import deliveries
from botstead.processes.prove.experiment import experiment
from botstead.processes.prove.installation import BODY_LIMIT, installation
from botstead.processes.prove.quantile import quantile
from botstead.processes.prove.rawhttp import Line, request, say
from botstead.processes.prove.slowness import BODY, HEADER, hold_readers, hold_senders

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from botstead.processes.prove.installation import Hook, Installation
    from botstead.processes.prove.stage import Stage

CLIENTS = 20
PAUSE = 0.02
"""Seconds that a client rests between two requests."""
STOP_SECONDS = 30.0
HEADER_SECONDS = 10.0
BODY_SECONDS = READ_SECONDS + 5.0
"""The edge's own limit, and some time to get to it with thousands."""
FLOOR = 0.1
"""Seconds: below it a wait is no harm, however many times the usual one it is."""


class Visitors:
    """Clients that keep their connections and send through the edge; they remember what came back."""

    def __init__(self, running: Installation, hook: Hook, *, clients: int = CLIENTS) -> None:
        """Prepare them.

        Args:
            running: behind its edge.
            hook: where they deliver.
            clients: how many.
        """
        self.statuses: Counter[int] = Counter()
        self.broken: list[str] = []
        self.acknowledged: list[str] = []
        self.waits: list[float] = []
        self.open = 0
        self._running, self._hook = running, hook
        self._numbers = itertools.count(1)
        self._clients = clients
        self._ending = asyncio.Event()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Let them send until the end of the block; then each waits for its last answer."""
        self._ending.clear()
        async with asyncio.TaskGroup() as group:
            for chat in range(1, self._clients + 1):
                group.create_task(self._visit(chat))
            try:
                yield
            finally:
                self._ending.set()

    async def _visit(self, chat: int) -> None:
        line = Line(self._running.edge_port)
        while not self._ending.is_set():
            await self._ask(line, chat, next(self._numbers))
            await asyncio.sleep(PAUSE)
        line.close()

    async def _ask(self, line: Line, chat: int, number: int) -> None:
        text = f"m{number}"
        began = time.monotonic()
        self.open += 1
        try:
            answer = await line.ask(deliveries.message(self._hook, number, chat, text))
        except (OSError, TimeoutError) as error:
            self.broken.append(f"{text}: {error!r}")
            return
        finally:
            self.open -= 1
        self.waits.append(time.monotonic() - began)
        self.statuses[answer.status] += 1
        if answer.status == 200:
            self.acknowledged.append(text)

    @property
    def errors(self) -> list[str]:
        """Answers that say that something broke on our side."""
        return [f"{status}: {count}" for status, count in self.statuses.items() if status >= 500 for _ in range(count)]


async def _handled(running: Installation, visitors: Visitors) -> list[str]:
    """Wait until what was acknowledged is answered; returns what never was."""
    wanted = set(visitors.acknowledged)

    def missing() -> set[str]:
        return wanted.difference(word for sent in running.provider.sent() for word in sent.text.split())

    try:
        await running.until(lambda: not missing(), "every acknowledged message answered", seconds=30)
    except TimeoutError:
        return sorted(missing())
    return []


@experiment("E15", "A rolling restart behind the edge loses no request", promises=("P12", "P1"), minutes=5)
async def rolling_restart(stage: Stage) -> None:
    """Stop and start each process in turn, while clients keep asking."""
    rounds = 10 if stage.full else 1
    # A process that is about to stop says so for longer than the edge takes to notice, which asks each second.
    async with installation(stage, api=2, worker=2, edge=True, settings={"drain_seconds": "2.5"}) as running:
        visitors = Visitors(running, running.hooks[0])
        longest, exits = 0.0, []
        async with visitors.at_work():
            for slot in [*running.of("api"), *running.of("worker")] * rounds:
                name = slot.name
                stage.note(f"SIGTERM {name}", kind="fault")
                status, seconds = await slot.end()
                longest = max(longest, seconds)
                exits += [f"{name}: {status}"] if status else []
                slot.start()
                await running.until(lambda slot=slot: slot.ready, f"{name} ready")  # type: ignore[misc]
                stage.note(f"{name} is back", kind="recovery")
                await asyncio.sleep(1.2)  # the edge asks each second whether it is
        stage.none("P12", "answers 5xx", visitors.errors)
        stage.none("P12", "connections that broke", visitors.broken)
        stage.none("P12", "exit statuses other than 0", exits)
        stage.at_most("P12", "longest stop", longest, STOP_SECONDS, unit="s")
        stage.at_least("P12", "requests answered", len(visitors.waits), 100)
        stage.none("P1", "messages lost", await _handled(running, visitors))


@experiment("E16", "An API process killed behind the edge costs at most what was under way", promises=("P1", "P12"), minutes=2)
async def killed_api(stage: Stage) -> None:
    """Kill one of two API processes again and again, while clients keep asking."""
    kills = 10 if stage.full else 2
    async with installation(stage, api=2, worker=1, edge=True) as running:
        visitors = Visitors(running, running.hooks[0])
        under_way = 0
        async with visitors.at_work():
            for _ in range(kills):
                await asyncio.sleep(0.5)
                victim = stage.chance.choice(running.of("api"))
                under_way += visitors.open
                stage.note(f"SIGKILL {victim.name}", kind="fault")
                victim.kill()
                await asyncio.sleep(0.2)
                await running.until(lambda victim=victim: victim.ready, f"{victim.name} ready")  # type: ignore[misc]
                stage.note(f"{victim.name} is back", kind="recovery")
        stage.at_most("P12", "errors that clients saw", len(visitors.errors) + len(visitors.broken), under_way)
        stage.at_least("P12", "requests answered", len(visitors.waits), 100)
        stage.none("P1", "messages lost", await _handled(running, visitors))


def strange_requests(hook: Hook) -> dict[str, bytes]:
    """Return requests that no hook may answer with success, by name.

    Args:
        hook: a real one, whose secret is known.
    """
    whole = deliveries.message(hook, 1, 1, "strange")
    gone = {"wrong path": "/hook/x", "unknown hook": "/hooks/nobody", "hook and more": f"{hook.path}/x", "no id": "/hooks/"}
    asked = {
        f"{method} on a hook": request(method, hook.path)
        for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "BREW")
    }
    asked |= {name: whole.replace(hook.path.encode(), path.encode(), 1) for name, path in gone.items()}
    asked["HTTP/1.0, unsigned"] = f"POST {hook.path} HTTP/1.0\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    asked["HTTP/0.9"] = f"GET {hook.path}\r\n\r\n".encode()
    asked["HTTP/1.1 without Host"] = whole.replace(b"Host: localhost\r\n", b"", 1)
    asked["HTTP/3.7"] = whole.replace(b"HTTP/1.1", b"HTTP/3.7", 1)
    asked["unsigned for another Host"] = request("POST", hook.path, host="evil.example", body=b"{}")
    asked["absolute form, unsigned"] = request("POST", f"http://evil.example{hook.path}", body=b"{}")
    # These two the edge refuses itself; all others it hands on.
    asked["metrics"] = request("GET", "/metrics")
    asked["too large"] = request("POST", hook.path, body=bytes(BODY_LIMIT + 1))
    asked["CONNECT"] = request("CONNECT", "127.0.0.1:22")
    return asked


@experiment("E18", "What fits nothing is never answered with success", promises=("P17",), minutes=1)
async def unmatched(stage: Stage) -> None:
    """Ask for what there is not, in every odd way, at the edge and at the API itself."""
    async with installation(stage, api=1, worker=1, edge=True) as running:
        wrong, empty = [], []
        doors = {"edge": running.edge_port, "api": running.ports()[0]}
        for (where, port), (name, asked) in itertools.product(doors.items(), strange_requests(running.hooks[0]).items()):
            if (where, name) == ("api", "HTTP/1.1 without Host"):
                continue  # the edge insists on one; behind it nobody else asks
            heard = await say(port, asked, head=name.startswith("HEAD"), seconds=3)
            story = f"{name} at the {where}: {heard.statuses or repr(heard.rest[:60])}"
            wrong += [story] if any(status < 400 or status >= 500 for status in heard.statuses if name != "HTTP/3.7") else []
            wrong += [story] if name == "HTTP/3.7" and any(status < 400 for status in heard.statuses) else []
            empty += [story] if not heard.statuses and not heard.closed else []
        for host in ("evil.example", "localhost:1", "[::1]"):
            heard = await say(running.edge_port, request("GET", "/", host=host))
            empty += [f"GET / for {host}"] if any(answer.status == 200 and not answer.body for answer in heard.answers) else []
        stage.none("P17", "answers other than 4xx", wrong)
        stage.none("P17", "empty successes and silent connections", empty)


class _Attack(NamedTuple):
    """What slow clients do. `refused`: seconds within which they are, 0 when nothing is wrong with what they sent.

    `onset`: seconds from which on others are measured. Thousands who ask for something large at once are a flood in their first
    moment, and slow after that.
    """

    name: str
    hold: Callable[[int, int, float], Coroutine[Any, Any, list[float]]]
    patience: float
    refused: float = 0.0
    onset: float = 0.0


@experiment("E24", "Slow clients hold nobody else up", promises=("P17",), minutes=3)
async def slow_clients(stage: Stage) -> None:
    """Open many connections that send or read next to nothing; measure what others wait meanwhile."""
    many = 2_000 if stage.full else 300
    attacks = (
        _Attack("header", partial(hold_senders, HEADER), HEADER_SECONDS + 5, refused=HEADER_SECONDS),
        _Attack("body", partial(hold_senders, BODY), BODY_SECONDS + 5 if stage.full else 2.0, refused=BODY_SECONDS),
        _Attack("reader", hold_readers, *((20.0, 0.0, 10.0) if stage.full else (3.0, 0.0, 1.0))),
    )
    async with installation(stage, api=1, worker=1, edge=True) as running:
        usual = await _waits(running, 2.0)
        for name, hold, patience, refused, onset in attacks:
            stage.note(f"{many} slow clients: {name}", kind="fault")
            attack = asyncio.create_task(hold(running.edge_port, many, patience))
            await asyncio.sleep(onset)
            during = await _waits(running, 2.0)
            held = await attack
            stage.note(f"no slow clients any more: {name}", kind="recovery")
            stage.at_most("P17", f"p99 of others, slow {name}", during * 1e3, max(2 * usual, FLOOR) * 1e3, unit="ms")
            if refused and patience >= refused:
                stage.at_most("P17", f"until refused, longest, slow {name}", max(held), refused, unit="s")


async def _waits(running: Installation, seconds: float) -> float:
    """Return the 99th percentile of what ten ordinary clients wait."""
    visitors = Visitors(running, running.hooks[0], clients=10)
    async with visitors.at_work():
        await asyncio.sleep(seconds)
    assert not visitors.broken, visitors.broken[:3]
    assert visitors.waits, "nobody was answered"
    return quantile(visitors.waits)
