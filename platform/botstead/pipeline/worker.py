"""The worker: reads its partitions, runs conversations side by side and each one in order, and sends what comes out.

A wake-up means «read», never «here is the row»; polling every quarter of a second is the truth. Nothing is written to
claim a message: the partition is mine, and the outcome is fenced. After somebody died, only the first message of each
conversation is suspect.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType

import msgspec

from botstead.core.errors import Fenced, Unavailable
from botstead.core.ports import Account, ChannelKind, Egress, Handler, Wake
from botstead.pipeline import measures
from botstead.pipeline.blame import Blame
from botstead.pipeline.delivery import Delivery
from botstead.pipeline.directory import Directory
from botstead.pipeline.governor import Governor, Rate, Shared
from botstead.pipeline.horizon import Horizon, Spared
from botstead.pipeline.lanes import MEMORY_LIMIT, Lane, Lanes, heads
from botstead.pipeline.lease import Lease
from botstead.pipeline.outbox import Done, Ghost, Outbox, failures
from botstead.pipeline.ownership import Ownership
from botstead.pipeline.quarantine import Alone
from botstead.pipeline.runs import Runs, homeless
from botstead.pipeline.traces import Traces
from botstead.runtime.tasks import Tasks, within
from botstead.store.membership import Membership
from botstead.store.postgres import RowRefused, VersionConflict
from botstead.store.road import Failure, Marker, Pending, Reader, Writer
from botstead.telemetry.logs import event
from botstead.telemetry.metrics import OTHER

POLL_EVERY = 0.25
"""Seconds between two reads without a hint."""
PAGE = 32
"""Rows for each partition and bot in one read."""
RUNNING = 256
"""Handlers running at once in this process."""
SWEEP_EVERY = 2.0
"""Seconds between two looks for sends that are in nobody's memory."""
SWEEP_LIMIT = 500
SENDS_END = 9.0
"""Seconds that sends in flight may take to end; a request takes 8 at most."""
STUMBLE_WAIT = 5.0
"""Seconds before a message runs again whose run met a fault of ours."""
UNANSWERED = 256
"""Messages in memory above which an ingest in the same process waits."""

logger = logging.getLogger(__name__)


class Worker:
    """Handles and sends. One for each worker process."""

    def __init__(  # noqa: PLR0913  # what a worker is made of, each given by name
        self,
        dsn: str,
        *,
        name: str,
        lease: float,
        directory: Directory,
        handlers: Mapping[int, Handler],
        quarantine: Mapping[int, Alone],
        kinds: Mapping[str, ChannelKind],
        egress: Egress,
        wake: Wake,
        rate_of: Callable[[Account], Rate],
        buckets: Shared | None,
        traces: Traces | None = None,
        aside: Mapping[str, Handler] = MappingProxyType({}),
    ) -> None:
        """Build all parts; `run` starts them.

        Args:
            dsn: Postgres; each loop holds a connection of its own.
            name: the slot's stable name.
            lease: seconds.
            directory: channels and addresses.
            handlers: bots that can run here, by number; may change while it runs.
            quarantine: for messages that have taken a process down, by bot number.
            kinds: channel kinds by name.
            egress: the way out.
            wake: hints.
            rate_of: how fast a channel's provider lets us send.
            buckets: rate limits shared by all workers, or None.
            traces: notes what happens to messages; by default nothing is kept.
            aside: what deals with events of channels that nobody talks on, by kind.
        """
        self._traces, self._wake, self._directory = traces or Traces(), wake, directory
        self._lanes = Lanes()
        blame = Blame()
        self._lease = Lease(dsn, name=name, seconds=lease, blamed=lambda: blame.current)
        self._reader, self._marker = Reader(dsn, application=name), Marker(dsn, application=name)
        self._writers = tuple(Writer(dsn, application=f"{name} {use}") for use in ("outcomes", "failures", "suspects"))
        self._membership = Membership(dsn, application=name)
        self._ownership = Ownership(
            self._membership, self._lease, name=name, seconds=lease, wake=wake, gained=self._gained, losing=self._losing
        )
        self._outbox = Outbox(self._writers[0], worker=lambda: self._ownership.worker, fenced=self._ownership.fenced)
        self._failures = failures(self._writers[1], lambda: self._ownership.worker)
        self._delivery = Delivery(
            self._marker,
            lanes=self._lanes,
            directory=directory,
            kinds=kinds,
            egress=egress,
            wake=wake,
            governor=Governor(rate_of, buckets, workers=lambda: self._ownership.workers),
            holds=lambda: self._lease.holds,
            traces=self._traces,
            promise=lambda bot: handlers[bot].limits.promise if bot in handlers else math.inf,
        )
        self._runs = Runs(handlers, quarantine, aside=aside, blame=blame, gesture=self._delivery.gesture, traces=self._traces)
        self._tasks = Tasks(self._crashed)
        self._careful, self._during_read = set[int](), set[int]()
        self._something, self._answered, self._reading = asyncio.Event(), asyncio.Event(), asyncio.Lock()
        self._horizon = Horizon(page=PAGE)
        self._running, self._starved, self._draining = 0, False, False

    async def run(self) -> None:
        """Work until cancelled; call `drain` first to leave nothing half done."""
        unsubscribe = self._wake.subscribe("inbox", lambda _: self._something.set())
        try:
            async with asyncio.TaskGroup() as group:
                for name, loop in (
                    ("lease-beat", self._lease.beat()),
                    ("outcomes", self._outbox.run()),
                    ("failures", self._failures.run()),
                    ("marks", self._delivery.run()),
                    ("ownership", self._ownership.run()),
                    ("read", self._read_loop()),
                    ("sweep", self._sweep_loop()),
                    ("traces", self._traces.run()),
                ):
                    group.create_task(loop, name=name)
        finally:
            unsubscribe()
            await self._close()

    async def drain(self, seconds: float) -> None:
        """Stop taking messages, let handlers and sends end, hand partitions back.

        Args:
            seconds: how long running handlers may take.
        """
        self._draining = True
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._running or not self._outbox.idle:  # noqa: ASYNC110  # bounded by the timeout around it
                    await asyncio.sleep(0.01)
        await self._tasks.stop(0)
        await self._delivery.stop(SENDS_END)
        with suppress(Unavailable):
            await self._ownership.leave()

    async def room(self) -> None:
        """Wait until not too many messages are unanswered, for an ingest in the same process."""
        while self._lanes.unanswered > UNANSWERED:
            self._answered.clear()
            await within(1, self._answered)

    @property
    def workers(self) -> int:
        """How many there are, as far as this one knows; they share rates that nobody counts for all of them."""
        return self._ownership.workers

    @property
    def ready(self) -> bool:
        """Whether this worker is a member and its lease runs."""
        return bool(self._ownership.worker) and self._lease.holds and not self._draining

    async def _close(self) -> None:
        self._draining = True
        await self._tasks.stop(0)
        await self._delivery.stop(0)
        self._lease.stop()
        await self._reader.close()
        for writer in self._writers:
            await writer.close()
        await self._marker.close()
        await self._traces.close()
        await self._membership.close()

    async def _gained(self, partitions: dict[int, bool]) -> None:
        async with self._reading:
            self._delivery.load(await self._reader.unsent(partitions))
        self._careful |= {partition for partition, careful in partitions.items() if careful}
        self._something.set()

    async def _losing(self, partitions: set[int]) -> None:
        async with self._reading:
            self._lanes.drop(partitions)
            self._delivery.forget(partitions)
            self._careful -= partitions
            self._horizon.forget(partitions)
        while self._lanes.busy(partitions):  # noqa: ASYNC110  # milliseconds, when partitions move
            await asyncio.sleep(0.005)
        self._lanes.drop(partitions)
        self._delivery.forget(partitions)
        if not self._draining:
            await self._delivery.settled()

    async def _read_loop(self) -> None:
        while True:
            await within(POLL_EVERY, self._something)
            self._something.clear()
            if self._draining:
                continue
            try:
                await self._read()
            except Unavailable:
                await asyncio.sleep(POLL_EVERY)
            self._pump()

    async def _read(self) -> None:
        async with self._reading:
            mine = set(self._ownership.mine)
            if not mine:
                return
            self._during_read.clear()
            crowded = self._lanes.full()
            self._starved = bool(crowded)
            unable = [bot for bot in self._directory.bots if not self._runs.can(bot)]
            look = self._horizon.look(mine, self._directory.bots.difference(unable))
            full = [*crowded, *unable]
            rows = await self._reader.read(mine, known=self._lanes.known, page=PAGE, full=full, above=look.above(crowded))
            self._horizon.looked(look, rows, crowded=crowded)
            fresh = [
                row
                for row in rows
                if row.partition in self._ownership.mine and row.id not in self._during_read and row.id not in self._lanes.known
            ]
            # Only a bot's own code can end this process, and a row with a claim runs in another one: no claim is due to those.
            suspects = [row for row in heads(fresh, self._careful) if not row.claims and self._runs.isolates(row.bot)]
            if suspects:
                # In memory they stay without a claim: this time they still run beside the others.
                await self._writers[2].suspect(self._ownership.worker, suspects)
            await self._add(fresh)
        for partition in self._careful & mine:
            await self._ownership.calm(partition)
        self._careful -= mine
        if len(rows) >= PAGE:
            self._something.set()

    async def _add(self, rows: list[Pending]) -> None:
        cold: dict[str, Lane] = {}
        for row in rows:
            lane = self._lanes.lane(row.partition, row.bot, row.conversation)
            if lane.state is None and not lane.running:
                cold[row.conversation] = lane
        if cold:
            found = await self._reader.states([(lane.bot, key) for key, lane in cold.items()])
            known = {state.conversation: state for state in found}
            for key, lane in cold.items():
                lane.learn(known.get(key))
        for row in rows:
            self._lanes.add(row)

    def _pump(self) -> None:
        """Start what may run: bots take turns, so that a flood of one does not hold up another."""
        while self._running < RUNNING and not self._draining:
            started = False
            for bot in self._lanes.ready_bots():
                if self._running >= RUNNING:
                    break
                started = self._start_one(bot) or started
            if not started:
                return

    def _start_one(self, bot: int) -> bool:
        if not self._runs.can(bot) or self._lanes.running[bot] >= self._runs.limit(bot):
            return False
        lane = self._lanes.take(bot)
        if lane is None:
            return False
        row = lane.waiting[0]
        if lane.partition not in self._ownership.mine:
            self._lanes.pause(lane)  # being given away: it will be dropped
            return True
        wait = POLL_EVERY if self._delivery.crowded(row.channel) else row.wait
        if wait > 0:
            row.wait = 0.0
            self._lanes.pause(lane)
            asyncio.get_running_loop().call_later(wait, self._again, lane)
            return True
        self._running += 1
        self._tasks.start("run", self._run(lane, row))
        return True

    def _again(self, lane: Lane) -> None:
        self._lanes.resume(lane)
        self._pump()

    async def _run(self, lane: Lane, row: Pending) -> None:
        try:
            account = await self._directory.number(row.channel)
            result: Done | Failure | None = await self._runs.run(lane, row, account) if account else homeless(row)
            while result is not None:
                result = await self._conclude(lane, row, account, result)
        except Unavailable:
            row.wait = POLL_EVERY
        except Exception as error:  # noqa: BLE001  # a fault of ours must not run for ever, nor end the worker
            event(logger, "run_stumbled", level=logging.ERROR, exception=error, message_id=row.id)
            row.wait = STUMBLE_WAIT
        finally:
            self._running -= 1
            if lane.running:
                self._lanes.rest(lane)
            self._answered.set()
            if self._starved and self._lanes.unanswered < MEMORY_LIMIT // 2:
                self._starved = False
                self._something.set()
            self._pump()

    async def _conclude(self, lane: Lane, row: Pending, account: Account | None, result: Done | Failure) -> Done | Failure | None:
        """Commit what came out of a run; returns what to commit instead when that cannot be kept."""
        if isinstance(result, Failure):
            await self._note_failure(row, result)
            return None
        try:
            replies = await self._outbox.commit(result)
        except Fenced:
            row.wait = POLL_EVERY
        except VersionConflict:
            await self._reload(lane)
        except RowRefused as error:
            if account is None or result.parked:
                raise
            return self._runs.refused(lane, row, account, error)
        except Ghost:
            await self._ghost(lane, row, result)
        else:
            self._answer(lane, row, result, replies)
        return None

    def _answer(self, lane: Lane, row: Pending, done: Done, replies: list[int]) -> None:
        self._remember(lane, row, done)
        if lane.partition in self._ownership.mine:  # or its next owner sends, after what was forgotten here
            for message, action in zip(replies, done.actions, strict=True):
                self._delivery.push(lane, message, row, action, done.run)
        self._traces.done(done.run, len(replies))

    def _remember(self, lane: Lane, row: Pending, done: Done) -> None:
        if done.state is not None:
            lane.state, lane.version = done.state, done.version
        self._during_read.add(row.id)
        self._lanes.finished(lane, row)
        if done.forwards:
            self._wake.publish("inbox")
        measures.done(done, self._directory.account(row.channel))

    async def _ghost(self, lane: Lane, row: Pending, done: Done) -> None:
        """It had committed: take its replies from the outbox, and its state from the database."""
        event(logger, "outcome_ghost", message_id=row.id)
        async with self._reading:
            rows = await self._reader.ghost(lane.partition, lane.conversation)
            if lane.partition in self._ownership.mine:
                self._delivery.load(rows)
        await self._reload(lane)
        self._remember(lane, row, msgspec.structs.replace(done, state=None))

    async def _reload(self, lane: Lane) -> None:
        async with self._reading:
            found = await self._reader.states([(lane.bot, lane.conversation)])
        lane.learn(found[0] if found else None)

    async def _note_failure(self, row: Pending, failure: Failure) -> None:
        """Keep the failure; the message stays at the head of its lane and runs again after its wait."""
        account = self._directory.account(row.channel)
        measures.again("inbox", account.kind if account else OTHER)
        await self._failures.submit(failure)
        row.attempts += failure.counted
        row.claims += failure.crashed
        row.since = row.since or time.monotonic() - row.failing
        row.wait = failure.wait

    async def _sweep_loop(self) -> None:
        sweep = Spared()
        while True:
            await asyncio.sleep(max(SWEEP_EVERY, sweep.rest))
            measures.show_active(self._lanes, {account.bot: account.bot_name for account in self._directory.accounts()})
            if self._draining or not self._ownership.mine:
                continue
            with suppress(Unavailable):
                async with self._reading:
                    with sweep:
                        rows = await self._reader.overlooked(self._ownership.mine, known=self._lanes.sends, limit=SWEEP_LIMIT)
                    self._delivery.load([row for row in rows if row.partition in self._ownership.mine])

    def _crashed(self, name: str, error: BaseException) -> None:
        event(logger, "worker_task_failed", level=logging.ERROR, exception=error, task=name)
