"""A whole road in one process on a real Postgres, with a chat network and bots small enough to read at a glance."""

from __future__ import annotations

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg

from botstead.core.errors import EgressRefused
from botstead.core.messages import Event, Health, Kind, Outcome, Parsed, Receipt, Send
from botstead.core.ports import Account, Effects, Incoming, Limits, Prepared
from botstead.pipeline.directory import Directory
from botstead.pipeline.governor import Rate
from botstead.pipeline.inbox import Inbox
from botstead.pipeline.traces import Traces
from botstead.pipeline.worker import Worker
from botstead.runtime.keyring import KeyRing
from botstead.runtime.sealing import Sealer
from botstead.store.postgres import Postgres
from botstead.store.registry import Registry
from botstead.store.road import Ingest
from botstead.store.valkey import MemoryWake

SENT = Receipt(outcome=Outcome.SENT, external_id="x1")


class Network:
    """A chat network that keeps everything in memory: it takes every event and notes every send."""

    kind = "memory"

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, int, float]] = []
        """(address, text, message id, monotonic seconds) of each attempt that arrived."""
        self.attempts: list[tuple[str, str, int, float]] = []
        self.answers: defaultdict[str, list[Receipt]] = defaultdict(list)
        """What the next attempts at an address are answered; then «sent»."""
        self.delay = 0.0
        self.held: dict[str, asyncio.Event] = {}
        """Sends to an address that starts with one of these wait for its event."""

    def verify(self, delivery, account, now) -> None:
        """Everybody is who they say they are."""

    def parse(self, delivery, account) -> Parsed:
        """Nothing arrives over HTTP here."""
        return Parsed()

    async def deliver(self, sending, account, egress) -> Receipt:
        """Take a send, or answer what the test has laid out."""
        text = getattr(sending.action, "text", "")
        note = (sending.conversation, text, sending.id, time.monotonic())
        self.attempts.append(note)
        if self.delay:
            await asyncio.sleep(self.delay)
        if held := [event for start, event in self.held.items() if sending.conversation.startswith(start)]:
            await held[0].wait()
        laid_out = self.answers[sending.conversation]
        receipt = laid_out.pop(0) if laid_out else SENT
        if receipt.outcome is Outcome.SENT:
            self.sent.append(note)
        return receipt

    async def health(self, account, egress) -> Health:
        """Always well."""
        return Health(status="ok")

    async def install(self, account, egress, hook_url) -> Health:
        """Nothing to install."""
        return Health(status="ok")

    def prepare(self, settings, secrets) -> Prepared:
        """Take everything as it is."""
        return Prepared(settings=settings, secrets=secrets)

    def texts(self, address: str | None = None) -> list[str]:
        """What arrived, in order, at one address or at all."""
        return [text for to, text, _, _ in self.sent if address in (None, to)]


class NoWayOut:
    """The memory network needs no egress."""

    async def call(self, call, secrets=None):
        """Refuse."""
        raise EgressRefused


class Script:
    """A bot that is one asynchronous function from an incoming event to its effects."""

    def __init__(self, name: str, function: Callable[[Incoming], Awaitable[Effects]], *, running: int = 128) -> None:
        self.name = name
        self.limits = Limits(deadline=10.0, running=running)
        self._function = function

    async def handle(self, incoming: Incoming) -> Effects:
        """Run it."""
        return await self._function(incoming)


def say(*texts: str, state: bytes | None = None) -> Effects:
    """Effects that send texts."""
    return Effects(actions=tuple(Send(text=text) for text in texts), state=state)


async def echo(incoming: Incoming) -> Effects:
    """Answer with what was said."""
    return say(incoming.event.text)


def message(conversation: str, key: str, text: str = "") -> Event:
    """Somebody writes."""
    return Event(kind=Kind.MESSAGE, conversation=conversation, key=key, text=text or key)


class Road:
    """Everything between an event and its provider, with as many workers as a test wants."""

    def __init__(self, dsn: str, postgres: Postgres, wake: MemoryWake) -> None:
        self.dsn = dsn
        self.wake = wake
        self.registry = Registry(postgres, Sealer(KeyRing(current="k", keys={"k": os.urandom(32)}, pepper=os.urandom(32))))
        self.postgres = postgres
        self.directory = Directory(self.registry, wake)
        self.network = Network()
        self.handlers: dict[int, Script] = {}
        self.quarantine: dict[int, object] = {}
        self.faults: list[BaseException] = []
        """What ended a worker that nobody ended."""
        self.tasks: dict[Worker, asyncio.Task[None]] = {}
        self.ingest = Ingest(dsn, application="test")
        self.inbox = Inbox(self.ingest, wake, resolve=self.directory.resolve, backlog_limit=100_000)

    async def bot(self, name: str, function=echo, *, running: int = 128) -> Account:
        """Install a bot on the memory network."""
        number = await self.registry.ensure_bot(name, "python")
        account = await self.registry.create_channel(name, kind="memory", name="", prepared=Prepared(settings={}, secrets={}))
        self.handlers[number] = Script(name, function, running=running)
        await self.directory.refresh()
        return account

    async def worker(self, name: str = "w1", *, lease: float = 3.0, traces: Traces | None = None) -> Worker:
        """Start a worker and wait until it is a member."""
        made = Worker(
            self.dsn,
            name=name,
            lease=lease,
            directory=self.directory,
            handlers=self.handlers,
            quarantine=self.quarantine,
            kinds={"memory": self.network},
            egress=NoWayOut(),
            wake=self.wake,
            rate_of=lambda _: Rate(),
            buckets=None,
            traces=traces,
        )
        self.tasks[made] = asyncio.create_task(made.run())
        self.tasks[made].add_done_callback(self._ended)
        await until(lambda: made.ready, what=f"{name} is a member")
        return made

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self.faults.append(task.exception())

    async def end(self, worker: Worker, *, drain: bool = True) -> None:
        """Stop a worker, in good order or at once."""
        if drain:
            await worker.drain(5.0)
        task = self.tasks.pop(worker)
        task.cancel()
        await asyncio.wait([task])

    async def fetch(self, statement: str, *arguments):
        """Look into the database."""
        async with self.postgres.connection() as connection:
            return await connection.fetch(statement, *arguments)

    async def count(self, table: str) -> int:
        """How many rows a table has."""
        return (await self.fetch(f"SELECT count(*) AS n FROM {table}"))[0]["n"]

    async def empty(self) -> bool:
        """Whether nothing waits any more."""
        return not (await self.count("inbox") or await self.count("outbox"))

    @staticmethod
    def network_check(settings, secrets) -> Prepared:
        """Take changed settings as they are."""
        return Prepared(settings=settings, secrets=secrets)

    async def holds(self, count: int) -> bool:
        """Whether so many replies wait to be sent, and nothing to be handled."""
        return await self.count("inbox") == 0 and await self.count("outbox") == count

    async def waiting_to_retry(self, count: int) -> bool:
        """Whether so many messages have failed once and wait."""
        return len(await self.fetch("SELECT FROM inbox WHERE attempts = 1 AND not_before > clock_timestamp()")) == count

    async def settled(self, seconds: float = 15.0) -> None:
        """Wait until nothing waits any more."""
        await until(lambda: self.faults or self.empty(), seconds=seconds, what="inbox and outbox are empty")
        if self.faults:
            raise self.faults[0]


async def until(condition, *, seconds: float = 15.0, what: str = "the condition") -> None:
    """Wait until a condition, plain or asynchronous, holds."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if await found if asyncio.iscoroutine(found) else found:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not hold within {seconds} s")
        await asyncio.sleep(0.01)


@asynccontextmanager
async def opened(dsn: str, *, wake: MemoryWake | None = None):
    """Open a road with its ingest running; ends every worker that is left."""
    postgres = await Postgres.open(dsn)
    road = Road(dsn, postgres, wake or MemoryWake())
    running = asyncio.create_task(road.inbox.run())
    try:
        yield road
    finally:
        for worker in list(road.tasks):
            await road.end(worker, drain=False)
        running.cancel()
        await asyncio.wait([running])
        await road.ingest.close()
        await postgres.close()


def on_road(dsn: str, story) -> None:
    """Run a story, a coroutine function of a road."""

    async def main() -> None:
        async with opened(dsn) as road:
            await story(road)

    asyncio.run(main())


async def sever(dsn: str, application: str) -> int:
    """Have Postgres end the connections of one application; returns how many there were."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE $1",
            application,
        )
        return len(rows)
    finally:
        await connection.close()
