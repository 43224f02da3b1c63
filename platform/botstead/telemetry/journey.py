"""The whole road of one message, as it is found in the database afterwards. Times are Unix seconds.

There is no place in it for what people wrote, nor for the words of an error, which may quote it: so neither can reach a span.
"""

from __future__ import annotations

import math
import uuid

import msgspec

from botstead.telemetry.tracing import CallMade, Try


class RunNoted(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the handler.

    Args:
        attempt: from 1; counted anew after a replay.
        began: when.
        ended: when; None while only its beginning is known.
        error: the kind of failure, empty when there was none.
        calls: to outside services.
    """

    attempt: int
    began: float
    ended: float | None = None
    error: str = ""
    calls: tuple[CallMade, ...] = ()


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was said in answer.

    Args:
        id: its message id.
        at: when it was kept.
        tries: attempts to send it, as far as they were noted.
        outcome: sent, failed or unknown; empty while it is not settled.
        reason: why not.
        attempts: how many there were.
        ended: when it was settled.
        waits: whether it stands in the outbox.
        due: when the next attempt is due.
    """

    id: int
    at: float
    tries: tuple[Try, ...] = ()
    outcome: str = ""
    reason: str = ""
    attempts: int = 0
    ended: float | None = None
    waits: bool = False
    due: float | None = None


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A message that stands in the inbox.

    Args:
        failures: runs that failed.
        crashes: runs that ended their process.
        due: when it runs again; None when it may run now.
    """

    failures: int = 0
    crashes: int = 0
    due: float | None = None


class Parked(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was given up.

    Args:
        reason: from a closed list.
        attempts: how often it ran.
        at: when.
        replayed: when it was put back on the road.
    """

    reason: str
    attempts: int
    at: float
    replayed: float | None = None


class Journey(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a message that came in, or was asked for inside.

    Args:
        message: its id.
        trace: its trace id; None for one that was kept without.
        acked: when it was kept.
        arrived: when its delivery arrived; None when that is not known.
        parent: the caller's span, 16 hex digits, or empty.
        origin: the message whose handler asked for this one.
        bot: the bot's name.
        channel: the channel's kind.
        asked: whether it was asked for inside.
        runs: in order.
        replies: in order.
        waiting: while it stands in the inbox.
        parked: when it was given up, its last failure.
        seen: when all this was read, by the clock that the rest was written by.
    """

    message: int
    trace: uuid.UUID | None
    acked: float
    bot: str
    channel: str
    arrived: float | None = None
    parent: str = ""
    origin: int | None = None
    asked: bool = False
    runs: tuple[RunNoted, ...] = ()
    replies: tuple[Reply, ...] = ()
    waiting: Waiting | None = None
    parked: Parked | None = None
    seen: float = 0.0

    @property
    def began(self) -> float:
        """When it arrived, as far as that is known."""
        return self.acked if self.arrived is None else self.arrived

    def ended(self, run: RunNoted) -> float:
        """Return when a run ended; of one of which only the beginning is known, when its first answer was kept.

        Args:
            run: one of its runs.
        """
        return max(run.began, self.said_after(run) or 0.0) if run.ended is None else run.ended

    def said_after(self, run: RunNoted) -> float | None:
        """Return when the first answer of a run was kept; None when it gave none.

        Args:
            run: one of its runs.
        """
        following = min((other.began for other in self.runs if other.began > run.began), default=math.inf)
        return min((reply.at for reply in self.replies if run.began <= reply.at < following), default=None)

    @property
    def settled(self) -> bool:
        """Whether nothing of it is still to be done, as far as is known."""
        return self.waiting is None and all(reply.outcome or not reply.waits for reply in self.replies)
