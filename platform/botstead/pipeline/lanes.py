"""What a worker has in memory: one lane a conversation, messages in order, sends in order. No I/O."""

from __future__ import annotations

import uuid
from collections import defaultdict, deque
from collections.abc import Iterator

import msgspec

from botstead.core.messages import Action
from botstead.core.ports import Sending
from botstead.store.road import Pending, State, Unsent
from botstead.telemetry.tracing import Run

MEMORY_LIMIT = 1_000
"""Messages in memory for each bot; a total limit would starve small bots."""


class Outgoing(msgspec.Struct, kw_only=True):
    """One action on its way out. `due` is in seconds of the loop's clock; `reserved`: the governor has let it through.

    `run` is the run that said it. When the answer was found in the outbox, its own: who ran the message is not known then.
    """

    partition: int
    id: int
    channel: int
    sending: Sending
    written: float
    trace: uuid.UUID
    run: Run | None = None
    attempts: int = 0
    unknown: bool = False
    due: float = 0.0
    reserved: bool = False


class Lane:
    """One conversation: its messages run one at a time, and so do its sends."""

    __slots__ = ("bot", "conversation", "outgoing", "partition", "running", "sending", "state", "version", "waiting")

    def __init__(self, partition: int, bot: int, conversation: str) -> None:
        """Start empty, with a state that has not been read.

        Args:
            partition: where it belongs.
            bot: the bot's number.
            conversation: its key.
        """
        self.partition = partition
        self.bot = bot
        self.conversation = conversation
        self.waiting: deque[Pending] = deque()
        self.running = False
        self.outgoing: deque[Outgoing] = deque()
        self.sending = False
        self.state: str | None = None
        self.version = 0

    def learn(self, stored: State | None) -> None:
        """Take over the state that the database has; None: it has none yet."""
        self.state, self.version = (stored.state, stored.version) if stored else ("{}", 0)

    @property
    def empty(self) -> bool:
        """Whether the lane may be forgotten."""
        return not (self.waiting or self.running or self.outgoing or self.sending)


class Lanes:
    """All lanes of this worker, and what is known of them."""

    def __init__(self, *, keep: int = 10_000) -> None:
        """Start empty.

        Args:
            keep: lanes kept with their state after they ran empty, so that a busy conversation is not read again.
        """
        self._keep = keep
        self._lanes: dict[str, Lane] = {}
        self.known: set[int] = set()
        """Ids of messages in memory."""
        self.sends: set[int] = set()
        """Ids of sends in memory."""
        self._ready: defaultdict[int, deque[Lane]] = defaultdict(deque)
        self._in_memory: defaultdict[int, int] = defaultdict(int)
        self.running: defaultdict[int, int] = defaultdict(int)
        """Handlers running, by bot."""

    def lane(self, partition: int, bot: int, conversation: str) -> Lane:
        """Return the lane of a conversation, a new one if need be."""
        found = self._lanes.get(conversation)
        if found is None:
            found = self._lanes[conversation] = Lane(partition, bot, conversation)
            if len(self._lanes) > self._keep:
                self._forget_some()
        return found

    def add(self, row: Pending) -> Lane:
        """Queue a message that was read; its lane becomes ready if it was at rest."""
        lane = self.lane(row.partition, row.bot, row.conversation)
        self.known.add(row.id)
        self._in_memory[row.bot] += 1
        lane.waiting.append(row)
        if not lane.running and len(lane.waiting) == 1:
            self._ready[row.bot].append(lane)
        return lane

    def full(self) -> list[int]:
        """Bots that may have no more messages in memory."""
        return [bot for bot, count in self._in_memory.items() if count >= MEMORY_LIMIT]

    def take(self, bot: int) -> Lane | None:
        """Take the bot's next ready lane and mark it running."""
        ready = self._ready[bot]
        while ready:
            lane = ready.popleft()
            if lane.waiting and not lane.running:
                lane.running = True
                self.running[bot] += 1
                return lane
        return None

    def ready_bots(self) -> list[int]:
        """Bots with a lane that could run."""
        return [bot for bot, ready in self._ready.items() if ready]

    def finished(self, lane: Lane, row: Pending) -> None:
        """Forget the message at the head of a lane; the next one becomes ready."""
        if lane.waiting and lane.waiting[0] is row:
            lane.waiting.popleft()
        self.known.discard(row.id)
        self._in_memory[row.bot] -= 1
        self.rest(lane)

    def rest(self, lane: Lane) -> None:
        """End a run; whatever waits in the lane may run next."""
        self.pause(lane)
        self.resume(lane)

    def pause(self, lane: Lane) -> None:
        """End a run without the next one becoming ready; see `resume`."""
        if lane.running:
            lane.running = False
            self.running[lane.bot] -= 1

    def resume(self, lane: Lane) -> None:
        """Make a paused lane ready again, unless it was emptied or taken meanwhile."""
        if lane.waiting and not lane.running:
            self._ready[lane.bot].append(lane)

    def drop(self, partitions: set[int]) -> None:
        """Forget the waiting messages of partitions that are given away; running ones go on."""
        for lane in [lane for lane in self._lanes.values() if lane.partition in partitions]:
            keep = 1 if lane.running else 0
            while len(lane.waiting) > keep:
                row = lane.waiting.pop()
                self.known.discard(row.id)
                self._in_memory[row.bot] -= 1
            if not lane.running:  # a run that was taken may not have read it yet, and its outcome still counts
                lane.state = None
            if lane.empty:
                del self._lanes[lane.conversation]

    def busy(self, partitions: set[int]) -> bool:
        """Whether anything of these partitions still runs or is being sent."""
        return any(lane.running or lane.sending for lane in self._lanes.values() if lane.partition in partitions)

    def active(self) -> dict[int, int]:
        """Conversations with something in hand, counted by bot."""
        counts: dict[int, int] = defaultdict(int)
        for lane in self._lanes.values():
            if lane.waiting or lane.running or lane.outgoing:
                counts[lane.bot] += 1
        return counts

    def of(self, partitions: set[int]) -> Iterator[Lane]:
        """Lanes of some partitions."""
        return (lane for lane in list(self._lanes.values()) if lane.partition in partitions)

    @property
    def unanswered(self) -> int:
        """Messages in memory that are not yet handled."""
        return len(self.known)

    def _forget_some(self) -> None:
        for conversation in [key for key, lane in self._lanes.items() if lane.empty][: self._keep // 10]:
            del self._lanes[conversation]


def heads(rows: list[Pending], partitions: set[int]) -> list[Pending]:
    """Return the first message of each conversation: after somebody died, only these may be what killed it.

    Args:
        rows: in id order.
        partitions: those that are to be read with care.
    """
    first: dict[str, Pending] = {}
    for row in rows:
        if row.partition in partitions:
            first.setdefault(row.conversation, row)
    return list(first.values())


def outgoing_of(row: Unsent, action: Action, address: str, *, now: float, promise: float) -> Outgoing:
    """Turn a row of the outbox into a send.

    Args:
        row: what was read.
        action: its decoded payload.
        address: the provider's current id of the conversation.
        now: the loop's clock.
        promise: seconds within which the bot promises to answer.
    """
    return Outgoing(
        partition=row.partition,
        id=row.id,
        channel=row.channel,
        sending=Sending(id=row.id, conversation=address, action=action, trace=row.trace),
        written=row.at,
        trace=row.trace,
        run=Run(row.id, row.trace, 0, row.received, 0.0, promise, left=1),
        attempts=row.attempts,
        unknown=row.unknown,
        due=now + max(0.0, row.wait),
    )
