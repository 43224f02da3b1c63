"""The way out: calls that are given up by the thousand, and calls that somebody tries to lead astray."""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from botstead.core.errors import EgressError, EgressRefused, EgressUnsent
from botstead.core.messages import Call, Response
from botstead.processes.prove import elsewhere
from botstead.processes.prove.experiment import experiment
from botstead.processes.prove.features import featured
from botstead.processes.prove.lures import LISTED, PUBLIC, Lure, lures, written
from botstead.processes.prove.traps import Traps, traps
from botstead.runtime.egress import EgressClient, Resolver
from botstead.runtime.outside import Outside, Policy

if TYPE_CHECKING:
    from botstead.processes.prove.stage import Stage

PATHS = {"lean": "POST", "general": "PUT"}
SERVICE = "service"
"""Calls as handlers make them: the breaker must not take those that were given up for failures."""
AT_ONCE = 80
PLACES = 64
LONGEST = 0.05
"""Seconds that the server takes at most, and that a call has at most."""
AFTERWARDS = 100
STREAM = "stream"
PATIENCE = 8.0
TOGETHER = 32
EACH_SECONDS = 3.0


@experiment("E11", "Thousands of calls are given up, and those after them work", promises=("P11",), minutes=0.5)
async def churn(stage: Stage) -> None:
    """Give up calls at every moment of their life, by deadline and by hand; then call as usual."""
    for name in (*PATHS, SERVICE):
        async with _sluggish(stage) as server:
            played = _Churn(stage, server, name)
            await played.give_up(10_000 if stage.full else 3_000)
            await played.as_usual()
            await played.end()


class _Server:
    """Answers each question with itself, after a while."""

    def __init__(self, chance: random.Random) -> None:
        self.port = self.open = self.asked = 0
        self._chance = chance

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.open += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ", 2)[1]
                self.asked += 1
                if path.startswith(b"/slow"):
                    await asyncio.sleep(self._chance.uniform(0, LONGEST))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass  # the client has given up
        finally:
            self.open -= 1
            writer.close()


@asynccontextmanager
async def _sluggish(stage: Stage) -> AsyncIterator[_Server]:
    made = _Server(random.Random(stage.seed))  # noqa: S311  # no secret
    server = await asyncio.start_server(made.talk, LISTED, backlog=1_024)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


class _Churn:
    """Calls on one path."""

    def __init__(self, stage: Stage, server: _Server, name: str) -> None:
        self._stage, self._server, self._name = stage, server, name
        self._files = _files()
        self._client = EgressClient(allow=[f"{LISTED}:{server.port}"], concurrency=PLACES)
        self._service = Outside(self._client).service(SERVICE, Policy(places=PLACES)) if name == SERVICE else None
        self._found: Counter[str] = Counter()
        self._wrong: list[str] = []

    def _call(self, path: str, seconds: float) -> Call:
        return Call(method=PATHS.get(self._name, "GET"), url=f"http://{LISTED}:{self._server.port}{path}", timeout=seconds)

    async def _made(self, call: Call) -> Response:
        if self._service is not None:
            return await self._service.ask(call, seconds=call.timeout)
        return await self._client.call(call)

    async def give_up(self, calls: int) -> None:
        """Make calls that have 0 to 50 ms; every fourth is cancelled instead, of those to a service every one."""
        stage, name = self._stage, self._name
        chance, gate = random.Random(stage.seed), asyncio.Semaphore(AT_ONCE)  # noqa: S311  # no secret

        async def one(seconds: float, *, by_hand: bool) -> None:
            async with gate:
                await self._give_up(seconds, by_hand=by_hand)

        began = time.monotonic()
        stage.note(f"{calls} calls are given up ({name})", kind="fault")
        await asyncio.gather(
            *(one(chance.uniform(0, LONGEST), by_hand=self._service is not None or not number % 4) for number in range(calls))
        )
        stage.note(f"so they ended in {time.monotonic() - began:.1f} s: {dict(self._found)}", kind="recovery")
        stage.at_least("P11", f"calls given up ({name})", calls - self._found["answered"], calls / 4)
        stage.at_least(
            "P11", f"of them, those that the server heard of ({name})", self._server.asked - self._found["answered"], 1
        )

    async def _give_up(self, seconds: float, *, by_hand: bool) -> None:
        try:
            async with asyncio.timeout(seconds if by_hand else None):
                await self._made(self._call("/slow", PATIENCE if by_hand else seconds))
        except (EgressError, TimeoutError) as error:
            self._found[type(error).__name__] += 1
        else:
            self._found["answered"] += 1

    async def as_usual(self) -> None:
        """Call a hundred times; each has to get its own answer."""
        await asyncio.gather(*(self._ask(f"/well/{number}") for number in range(AFTERWARDS)))
        what = f"of {AFTERWARDS} calls after that, those without their own answer ({self._name})"
        self._stage.none("P11", what, self._wrong)

    async def _ask(self, path: str) -> None:
        try:
            response = await self._made(self._call(path, PATIENCE))
        except EgressError as error:
            self._wrong.append(f"{path}: {type(error).__name__} {error.message}")
        else:
            if response.body != path.encode():
                self._wrong.append(f"{path} was answered {response.body[:50]!r}")

    async def end(self) -> None:
        """Close; nothing may be left."""
        stage, server = self._stage, self._server
        await self._falls(lambda: server.open <= PLACES)
        stage.at_most("P11", f"connections kept ({self._name})", server.open, PLACES)
        await self._client.close()
        await self._falls(lambda: not server.open and _files() <= self._files)
        stage.at_most("P11", f"connections left after the end ({self._name})", server.open, 0)
        stage.at_most("P11", f"open files left after the end ({self._name})", _files() - self._files, 0)

    async def _falls(self, low: Callable[[], bool]) -> None:
        """Wait a little: the server hears of an end when it answers."""
        deadline = time.monotonic() + 3.0
        while not low() and time.monotonic() < deadline:  # noqa: ASYNC110  # connections end, nothing tells
            await asyncio.sleep(0.01)


def _files() -> int:
    """Count the open files of this process; 0 where the system does not tell."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


@experiment("E28", "No call is lured to an address that was not listed", promises=("P18",), minutes=1)
async def astray(stage: Stage) -> None:
    """Try every trick on the way out and on each feature that takes an address, while every address is watched."""
    if why := elsewhere.missing():
        stage.note(f"only traps on loopback, not on private and link-local addresses: {why}")
        await _watched(stage, everywhere=False)
    else:
        await elsewhere.play(stage, everywhere)


async def everywhere(stage: Stage) -> None:
    """Play it where each address leads to this machine.

    Args:
        stage: where.
    """
    await _watched(stage, everywhere=True)


async def _watched(stage: Stage, *, everywhere: bool) -> None:
    async with traps(everywhere=everywhere) as watched:
        public = [
            Lure(what=f"public {address}", url=f"http://{written(address)}:{watched.trap}/", arrive=1) for address in PUBLIC
        ]
        tried = [*lures(watched.trap, watched.door), *(public if everywhere else ())]
        for name, method in {**PATHS, STREAM: "POST"}.items():
            calls = _Calls(watched, streamed=name == STREAM)
            await calls.make(tried, method)
            calls.check(stage, name)
            watched.caught.clear()
        await featured(stage, watched)


class _Calls:
    """Calls that are lured, and those that followed."""

    def __init__(self, watched: Traps, *, streamed: bool) -> None:
        self._watched = watched
        self._streamed = streamed
        self._tls = ssl.create_default_context()
        self._made = 0
        self._wrong: list[str] = []

    async def make(self, tried: Iterable[Lure], method: str) -> None:
        """Make all of them, several at once."""
        gate = asyncio.Semaphore(TOGETHER)

        async def one(lure: Lure) -> None:
            async with gate:
                await self._follow(lure, method)

        await asyncio.gather(*map(one, tried))

    def check(self, stage: Stage, name: str) -> None:
        """Record what came of them."""
        internal = [address for address in self._watched.caught if f"::ffff:{address}" not in PUBLIC and address not in PUBLIC]
        stage.note(f"{self._made} calls ({name}), {len(self._watched.caught) - len(internal)} reached public addresses")
        stage.none("P18", f"connections to internal addresses ({name})", internal)
        stage.none("P18", f"of {self._made} calls, those that arrived and should not, or the reverse ({name})", self._wrong)

    async def _follow(self, lure: Lure, method: str) -> None:
        listed = [f"{LISTED}:{self._watched.door}"]
        client = EgressClient(allow=listed, resolver=_answering(lure.answers) if lure.answers else None, tls=self._tls)
        for number in range(lure.calls):
            self._made += 1
            call = Call(method=method, url=lure.url, timeout=EACH_SECONDS)
            arrived = await _arrives(_read(client, call) if self._streamed else client.call(call))
            if arrived != (number < lure.arrive):
                self._wrong.append(f"{lure.what}, call {number + 1}: {'arrived' if arrived else 'did not arrive'}")
        await client.close()


async def _read(client: EgressClient, call: Call) -> None:
    async with client.stream(call, first=EACH_SECONDS, idle=EACH_SECONDS) as answer:
        async for _piece in answer:
            pass


async def _arrives(call: Awaitable[object]) -> bool:
    """Whether anything was sent."""
    try:
        await call
    except (EgressRefused, EgressUnsent):
        return False
    except EgressError:
        return True
    return True


def _answering(answers: Sequence[Sequence[str]]) -> Resolver:
    left = list(answers)

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve
