"""What becomes of messages, as metrics. The one place where the road is counted; called from the worker and from delivery.

A message ends once: when the last of its answers has arrived or the first of them is given up, when it is parked, or when nobody
had anything to say. What a person reads when their message is parked is no answer to it.
"""

from __future__ import annotations

import time

from botstead.core.messages import Outcome
from botstead.core.ports import Account
from botstead.pipeline.lanes import Lanes, Outgoing
from botstead.pipeline.outbox import Done
from botstead.store.road import Pending
from botstead.telemetry.catalog import (
    CONVERSATIONS_ACTIVE,
    DURATION,
    JOB_DURATION,
    JOB_PARKED,
    JOB_RUNS,
    JOB_WAIT,
    LATE,
    MESSAGES,
    RETRIES,
    STAGE,
    UNDERSTOOD,
)
from botstead.telemetry.metrics import OTHER
from botstead.telemetry.tracing import Run

EXPIRED = frozenset({"blocked", "deadline"})
"""Reasons of parking that say: it took too long."""
CRASHED = "crashed"


def began(row: Pending, kind: str) -> None:
    """Count that a handler is called for a message, and how long that waited for its first run.

    Args:
        row: the message.
        kind: of its channel.
    """
    if not row.attempts and not row.claims:
        waited = max(0.0, time.time() - row.at)
        STAGE.at("queue", kind).observe(waited)
        JOB_WAIT.at("inbox").observe(waited)


def handled(kind: str, took: float) -> None:
    """Count the seconds that a handler took, whatever came out."""
    STAGE.at("handle", kind).observe(took)
    JOB_DURATION.at("inbox").observe(took)


def understood(bot: str, result: bool | None) -> None:
    """Count whether a bot knew what to do, where that is a question at all."""
    if result is not None:
        UNDERSTOOD.at(bot, "matched" if result else "fallback").inc()


def done(item: Done, account: Account | None) -> None:
    """Count an outcome that is committed.

    Args:
        item: the outcome.
        account: its channel, or None when that is gone.
    """
    if item.parked is None:
        JOB_RUNS.at("inbox", "done").inc()
        if account is not None:
            if item.run is not None and item.run.ended:
                STAGE.at("commit", account.kind).observe(max(0.0, time.time() - item.run.ended))
            if not item.actions and not item.aside:
                MESSAGES.at(account.bot_name, account.kind, "ignored").inc()
        return
    reason = item.parked[0]
    JOB_RUNS.at("inbox", "lost" if reason == CRASHED else "dead").inc()
    JOB_PARKED.at("inbox", reason).inc()
    if item.aside:
        return
    bot, kind = (account.bot_name, account.kind) if account else (OTHER, OTHER)
    MESSAGES.at(bot, kind, "expired" if reason in EXPIRED else "failed").inc()


def again(queue: str, kind: str) -> None:
    """Count a run or a send that will be tried again.

    Args:
        queue: inbox or outbox.
        kind: of the channel.
    """
    JOB_RUNS.at(queue, "retry").inc()
    RETRIES.at(kind).inc()


def tried(item: Outgoing, kind: str, took: float) -> None:
    """Count one attempt to send, and how long the answer waited for its first one.

    Args:
        item: what was sent.
        kind: of its channel.
        took: seconds.
    """
    STAGE.at("send", kind).observe(took)
    JOB_DURATION.at("outbox").observe(took)
    if not item.attempts and not item.unknown:
        JOB_WAIT.at("outbox").observe(max(0.0, time.time() - took - item.written))


def sent(run: Run, account: Account) -> None:
    """Count a send that arrived. Call before `Traces.settled`, which counts down what is left.

    Args:
        run: of the message that is answered.
        account: the channel.
    """
    JOB_RUNS.at("outbox", "done").inc()
    if run.left > 1 or run.error:  # more is to come, or it has ended as failed
        return
    bot, kind = account.bot_name, account.kind
    MESSAGES.at(bot, kind, "delivered").inc()
    took = max(0.0, time.time() - run.received)
    duration = DURATION.at(bot, kind)
    if took > run.promise:
        LATE.at(bot).inc()
        duration.observe_traced(took, run.trace.hex)
    elif run.sampled or run.attempt > 1:
        duration.observe_traced(took, run.trace.hex)
    else:
        duration.observe(took)


def given_up(run: Run, account: Account, outcome: Outcome, reason: str, *, expired: bool) -> None:
    """Count a send that is given up. Call before `Traces.settled`.

    Args:
        run: of the message that is answered.
        account: the channel.
        outcome: failed, or unknown when nobody knows whether it arrived.
        reason: why.
        expired: it is too old.
    """
    JOB_RUNS.at("outbox", "lost" if outcome is Outcome.UNKNOWN else "dead").inc()
    JOB_PARKED.at("outbox", reason).inc()
    if not run.error:
        MESSAGES.at(account.bot_name, account.kind, "expired" if expired else "failed").inc()


def show_active(lanes: Lanes, names: dict[int, str]) -> None:
    """Show how many conversations of each bot have something in hand.

    Args:
        lanes: what is in memory.
        names: bot number to name.
    """
    counts = lanes.active()
    for number, name in names.items():
        CONVERSATIONS_ACTIVE.at(name).set(counts.get(number, 0))
