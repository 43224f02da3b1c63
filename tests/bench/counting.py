"""What all counting and noting of one message costs by itself: `python -m tests.bench.counting`.

The echo job with telemetry and without differs by less than a busy machine's noise, so the calls that a message makes on its way are
also measured alone, by the CPU time of the thread.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from botstead.core.messages import Outcome, Receipt
from botstead.core.ports import Limits
from botstead.pipeline import measures
from botstead.pipeline.traces import Traces
from botstead.telemetry.catalog import ACK, DB_DURATION, METRICS
from botstead.telemetry.tracing import Run

STATEMENTS = 5
"""Ingest, read, states, outcome and marks; in a burst many messages share one of each."""
OFTEN = 20_000
KIND, BOT = "telegram", "echo"

ACCOUNT: Any = SimpleNamespace(bot_name=BOT, kind=KIND)
ROW: Any = SimpleNamespace(attempts=0, claims=0, at=time.time(), id=1, trace=uuid.uuid4())
RECEIPT = Receipt(outcome=Outcome.SENT)
LIMITS = Limits()
TRACES = Traces()


def message() -> tuple[Run, Any, Any]:
    """What a message has on its way: its run, its answer, its outcome."""
    run = TRACES.begin(ROW, time.time(), LIMITS)
    run.ended = time.time()
    run.left = 1
    item = SimpleNamespace(attempts=0, unknown=False, written=time.time(), run=run, id=2, trace=ROW.trace)
    return run, item, SimpleNamespace(parked=None, run=run, actions=(1,))


def counted(run: Run, item: Any, outcome: Any) -> None:
    """Count and note a message as the road does."""
    ACK.at(KIND).observe(0.001)
    measures.began(ROW, KIND)
    measures.handled(KIND, 0.01)
    measures.understood(BOT, result=True)
    measures.done(outcome, ACCOUNT)
    TRACES.done(run, 1)
    measures.tried(item, KIND, 0.01)
    TRACES.tried(item, RECEIPT, 0.01)
    measures.sent(run, ACCOUNT)
    TRACES.settled(item, Outcome.SENT)
    for _ in range(STATEMENTS):
        began = time.perf_counter()
        DB_DURATION.at("postgresql", "read").observe(time.perf_counter() - began)


def microseconds(call: Callable[[], object]) -> float:
    """CPU time of a call, the best of some rounds."""
    best = float("inf")
    for _ in range(5):
        began = time.thread_time()
        for _ in range(OFTEN):
            call()
        best = min(best, (time.thread_time() - began) / OFTEN * 1e6)
    return best


def a_message() -> float:
    """Microseconds that the telemetry of one message takes."""
    for label, value in (("bot", BOT), ("channel", KIND), ("db_system_name", "postgresql"), ("db_operation_name", "read")):
        METRICS.register(label, value)
    return microseconds(lambda: counted(*message())) - microseconds(message)


if __name__ == "__main__":
    print(json.dumps({"microseconds": a_message()}))
