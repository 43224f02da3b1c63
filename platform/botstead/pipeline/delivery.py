"""The way out: each conversation's sends in order, each channel within its bulkhead, every outcome marked.

Sent, failed or unknown: chat is sent again when it is unknown whether it arrived. A provider's `Retry-After` is obeyed
exactly, for that conversation only. Marks are written every two milliseconds without waiting for the disk; ids sent
lately are remembered, so that reading the outbox again does not send them again.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping
from contextlib import suppress

import msgspec

from botstead.core.errors import Unavailable
from botstead.core.messages import Action, AnswerButton, Outcome, Reason, Receipt, Typing
from botstead.core.ports import Account, ChannelKind, Egress, Sending, Wake
from botstead.pipeline import measures
from botstead.pipeline.batch import Batcher
from botstead.pipeline.directory import Directory
from botstead.pipeline.governor import Governor
from botstead.pipeline.lanes import Lane, Lanes, Outgoing, outgoing_of
from botstead.pipeline.retry import SEND_AGE, GiveUp, after_send
from botstead.pipeline.traces import Traces
from botstead.runtime.tasks import Tasks
from botstead.store.postgres import RowRefused, storable
from botstead.store.road import Mark, Marker, Pending, Postponed, Unsent
from botstead.telemetry.logs import event
from botstead.telemetry.tracing import Run

SENDERS = 128
"""Requests at once."""
SENDERS_PER_CHANNEL = 64
"""Requests at once on one channel: a slow provider may not hold all senders."""
LINGER = 0.002
"""Seconds that marks are collected: 14 duplicate sends in 45 kills, against 38 with 50 ms."""
REMEMBERED = 4_000
"""Ids sent lately."""
UNSENT_LIMIT = 2_000
"""Unsent actions of one channel above which its bot's handlers wait."""
DISABLED_WAIT = 5.0
"""Seconds after which a disabled or unknown channel is looked at again."""
GESTURES = 64
"""Typing signs and button answers at once; more are dropped."""
DETAIL_LIMIT = 500

logger = logging.getLogger(__name__)
ACTION: msgspec.json.Decoder[Action] = msgspec.json.Decoder(Action)


class Delivery:
    """Sends what was committed."""

    def __init__(  # noqa: PLR0913  # what it is made of, each given by name
        self,
        marker: Marker,
        *,
        lanes: Lanes,
        directory: Directory,
        kinds: Mapping[str, ChannelKind],
        egress: Egress,
        wake: Wake,
        governor: Governor,
        holds: Callable[[], bool],
        traces: Traces,
        promise: Callable[[int], float],
    ) -> None:
        """Prepare; `run` does the work.

        Args:
            marker: the statements.
            lanes: what is in memory.
            directory: channels and addresses.
            kinds: channel kinds by name.
            egress: the way out.
            wake: told of what web pages should show.
            governor: how fast providers let us send.
            holds: whether my lease surely still runs.
            traces: notes what happens.
            promise: by a bot's number, the seconds within which it promises to answer.
        """
        self._traces = traces
        self._promise = promise
        self._marker = marker
        self._lanes = lanes
        self._directory = directory
        self._kinds = kinds
        self._egress = egress
        self._wake = wake
        self._governor = governor
        self._holds = holds
        self._tasks = Tasks(self._crashed)
        self._marks: Batcher[Mark | Postponed | None, None] = Batcher(self._flush, linger=LINGER)
        self._ready: dict[int, deque[Lane]] = defaultdict(deque)
        self._inflight: dict[int, int] = defaultdict(int)
        self._unsent: dict[int, int] = defaultdict(int)
        self._recent: OrderedDict[int, None] = OrderedDict()
        self._total = 0
        self._gestures = 0
        self._stopping = False

    async def run(self) -> None:
        """Write marks until cancelled."""
        await self._marks.run()

    def crowded(self, channel: int) -> bool:
        """Whether so much is unsent on a channel that its bot should wait."""
        return self._unsent[channel] > UNSENT_LIMIT

    def push(self, lane: Lane, message: int, row: Pending, action: Action, run: Run | None) -> None:
        """Send an action that was just committed.

        Args:
            lane: its conversation.
            message: its id.
            row: the message whose handling said it.
            action: what to do.
            run: what was noted of that.
        """
        if message in self._lanes.sends or message in self._recent:
            return  # the sweep was quicker
        address = self._directory.address(lane.conversation)
        now = time.time()
        self._queue(
            lane,
            Outgoing(
                partition=lane.partition,
                id=message,
                channel=row.channel,
                sending=Sending(
                    id=message, conversation=address, action=action, trace=row.trace, sampled=run is not None and run.sampled
                ),
                written=now,
                trace=row.trace,
                run=run,
            ),
        )

    def load(self, rows: list[Unsent]) -> None:
        """Send what was read from the outbox, except what is in memory or was sent lately."""
        now = asyncio.get_running_loop().time()
        for row in rows:
            if row.id in self._lanes.sends:
                continue
            if row.id in self._recent:
                self._mark(Mark(row.partition, row.id, Outcome.SENT, "", "", "", row.attempts))
                continue
            lane = self._lanes.lane(row.partition, row.bot, row.conversation)
            action = ACTION.decode(row.payload)
            address, promise = self._directory.address(row.conversation), self._promise(row.bot)
            self._queue(lane, outgoing_of(row, action, address, now=now, promise=promise))

    def gesture(self, account: Account, conversation: str, action: Typing | AnswerButton) -> None:
        """Do something best effort, at once: show typing, stop a button's spinner."""
        kind = self._kinds.get(account.kind)
        if isinstance(action, Typing):
            self._wake.publish("chat", f"typing:{conversation}")
        if kind is None or self._gestures >= GESTURES or self._stopping:
            return
        sending = Sending(id=0, conversation=self._directory.address(conversation), action=action)
        self._gestures += 1
        self._tasks.start("gesture", self._gesture(kind, sending, account))

    async def _gesture(self, kind: ChannelKind, sending: Sending, account: Account) -> None:
        try:
            await kind.deliver(sending, account, self._egress)
        finally:
            self._gestures -= 1

    def forget(self, partitions: set[int]) -> None:
        """Drop unsent actions of partitions that are given away; their rows stay in the outbox."""
        for lane in self._lanes.of(partitions):
            keep = 1 if lane.sending else 0
            while len(lane.outgoing) > keep:
                self._dropped(lane.outgoing.pop())

    async def settled(self) -> None:
        """Wait until every mark made so far is written."""
        await self._marks.submit(None)

    async def stop(self, seconds: float) -> None:
        """Start no more sends; wait for those in flight and for their marks.

        Args:
            seconds: how long sends in flight may take, and then their marks.
        """
        self._stopping = True
        await self._tasks.stop(seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.settled()

    def _queue(self, lane: Lane, outgoing: Outgoing) -> None:
        place = len(lane.outgoing)
        while place > lane.sending and lane.outgoing[place - 1].id > outgoing.id:
            place -= 1  # one that was overlooked goes out before those that came after it
        lane.outgoing.insert(place, outgoing)
        self._lanes.sends.add(outgoing.id)
        self._unsent[outgoing.channel] += 1
        if not lane.sending and len(lane.outgoing) == 1:
            self._offer(lane)

    def _offer(self, lane: Lane) -> None:
        """Let a lane's first send go out when it is due and there is room."""
        if lane.sending or not lane.outgoing or self._stopping:
            return
        head = lane.outgoing[0]
        wait = head.due - asyncio.get_running_loop().time()
        if wait > 0:
            asyncio.get_running_loop().call_later(wait, self._offer, lane)
        elif not self._room(head.channel):
            self._ready[head.channel].append(lane)
        else:
            lane.sending = True
            self._total += 1
            self._inflight[head.channel] += 1
            self._tasks.start("send", self._drain(lane, head.channel))

    async def _drain(self, lane: Lane, channel: int) -> None:
        loop = asyncio.get_running_loop()
        try:
            while lane.outgoing and lane.outgoing[0].channel == channel and lane.outgoing[0].due <= loop.time():
                if self._stopping or not self._holds():
                    break
                await self._send(lane, lane.outgoing[0])
        finally:
            lane.sending = False
            self._total -= 1
            self._inflight[channel] -= 1
            self._offer_next()
            if self._holds():
                self._offer(lane)
            elif lane.outgoing:
                loop.call_later(0.25, self._offer, lane)

    def _room(self, channel: int) -> bool:
        """Whether a channel may send one more at once: never more than are free, so that however many are slow, some are."""
        return self._inflight[channel] < min(SENDERS_PER_CHANNEL, SENDERS - self._total)

    def _offer_next(self) -> None:
        for channel in list(self._ready):
            if self._total >= SENDERS:
                return
            ready = self._ready[channel]
            if ready and self._room(channel):
                self._offer(ready.popleft())
            if not ready:
                self._ready.pop(channel, None)

    async def _send(self, lane: Lane, item: Outgoing) -> None:
        account = self._directory.account(item.channel)
        kind = self._kinds.get(account.kind) if account else None
        if account is None or kind is None or not account.enabled:
            item.due = asyncio.get_running_loop().time() + DISABLED_WAIT
            return
        if not item.reserved:
            item.reserved = True
            wait = await self._governor.wait(account, lane.conversation, now=time.monotonic())
            if wait > 0:
                item.due = asyncio.get_running_loop().time() + wait
                return
        item.reserved = False
        began = time.monotonic()
        try:
            receipt = await kind.deliver(item.sending, account, self._egress)
        except Exception as error:  # noqa: BLE001  # a fault in a channel's code must not send without end
            event(
                logger,
                "send_stumbled",
                level=logging.ERROR,
                exception=error,
                message_id=item.id,
                trace=item.trace.hex,
                channel=account.kind,
            )
            receipt = Receipt(outcome=Outcome.UNKNOWN, detail=type(error).__name__)
        took = time.monotonic() - began
        measures.tried(item, account.kind, took)
        self._traces.tried(item, receipt, took)
        await self._settle(lane, item, account, receipt)

    async def _settle(self, lane: Lane, item: Outgoing, account: Account, receipt: Receipt) -> None:
        item.attempts += receipt.counted
        if receipt.outcome is Outcome.SENT:
            self._remember(item.id)
            if item.run is not None:
                measures.sent(item.run, account)
            self._finish(lane, item, receipt, Outcome.SENT)
            self._wake.publish("chat", lane.conversation)
        elif receipt.reason is Reason.MOVED and receipt.moved_to and await self._moved(lane, item, account, receipt):
            return
        elif receipt.outcome is Outcome.FAILED:
            self._give_up(lane, item, account, receipt, "send_failed")
        else:
            self._postpone(lane, item, account, receipt)

    async def _moved(self, lane: Lane, item: Outgoing, account: Account, receipt: Receipt) -> bool:
        """Follow a conversation to its new address; False when it is already there."""
        if item.sending.conversation == receipt.moved_to:
            return False
        try:
            await self._directory.move(account.id, receipt.moved_to, lane.conversation)
        except Unavailable:
            item.due = asyncio.get_running_loop().time() + 1.0
            return True
        for waiting in lane.outgoing:
            waiting.sending.conversation = receipt.moved_to
        return True

    def _postpone(self, lane: Lane, item: Outgoing, account: Account, receipt: Receipt) -> None:
        item.unknown = item.unknown or receipt.outcome is Outcome.UNKNOWN
        decision = after_send(item.attempts, age=time.time() - item.written, after=receipt.after, chance=random.random())  # noqa: S311  # jitter, not a secret
        if isinstance(decision, GiveUp):
            self._give_up(lane, item, account, receipt, "send_given_up")
            return
        measures.again("outbox", account.kind)
        item.due = asyncio.get_running_loop().time() + decision.wait
        self._mark(Postponed(item.partition, item.id, item.attempts, decision.wait, item.unknown))

    def _give_up(self, lane: Lane, item: Outgoing, account: Account, receipt: Receipt, what: str) -> None:
        event(
            logger,
            what,
            level=logging.WARNING,
            message_id=item.id,
            trace=item.trace.hex,
            channel=account.kind,
            reason=receipt.reason,  # not its words, which may quote what people wrote
        )
        outcome = Outcome.UNKNOWN if receipt.outcome is Outcome.UNKNOWN else Outcome.FAILED
        if item.run is not None:
            expired = time.time() - item.written >= SEND_AGE
            measures.given_up(item.run, account, outcome, receipt.reason or "failed", expired=expired)
        self._finish(lane, item, receipt, outcome)

    def _finish(self, lane: Lane, item: Outgoing, receipt: Receipt, outcome: Outcome) -> None:
        if lane.outgoing and lane.outgoing[0] is item:
            lane.outgoing.popleft()
        self._unsent[item.channel] -= 1
        self._traces.settled(item, outcome)
        external = storable(receipt.external_id or item.sending.external_id, limit=DETAIL_LIMIT)
        detail = storable(receipt.detail, limit=DETAIL_LIMIT)
        mark = Mark(item.partition, item.id, outcome, external, receipt.reason, detail, item.attempts)
        # Known until it is marked, or the sweep would read it again.
        self._mark(mark).add_done_callback(lambda _: self._lanes.sends.discard(item.id))

    def _dropped(self, item: Outgoing) -> None:
        self._lanes.sends.discard(item.id)
        self._unsent[item.channel] -= 1

    def _remember(self, message: int) -> None:
        self._recent[message] = None
        if len(self._recent) > REMEMBERED:
            self._recent.popitem(last=False)

    def _mark(self, mark: Mark | Postponed) -> asyncio.Future[None]:
        future = self._marks.submit(mark)
        future.add_done_callback(_seen)
        return future

    async def _flush(self, items: list[Mark | Postponed | None]) -> list[None]:
        """Write marks; until they are written, the sends of this process wait for nobody else."""
        marks = [item for item in items if isinstance(item, Mark)]
        postponed = [item for item in items if isinstance(item, Postponed)]
        while True:
            try:
                if postponed:
                    await self._marker.postpone(list({item.id: item for item in postponed}.values()))
                if marks:
                    await self._marker.marks(list({item.id: item for item in marks}.values()))
            except Unavailable:
                await asyncio.sleep(0.25)
            except RowRefused as error:
                event(logger, "marks_refused", level=logging.ERROR, error=error.message)
                await asyncio.sleep(0.25)
            else:
                return [None] * len(items)

    def _crashed(self, name: str, error: BaseException) -> None:
        event(logger, "delivery_task_failed", level=logging.ERROR, exception=error, task=name)


def _seen(future: asyncio.Future[None]) -> None:
    if not future.cancelled():
        future.exception()
