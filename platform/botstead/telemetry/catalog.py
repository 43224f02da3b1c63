"""Every metric, once: `MESSAGES.at("weather", "telegram", "delivered").inc()`, `LOOP_LAG.at().observe(0.002)`.

`at` takes the label values in the declared order and is cheap enough for the hot path. Values of open labels must have been
named by `register("bot", "weather")` before; others count as `_other`. `exposition()` is what `/metrics` serves.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import GCCollector, ProcessCollector

from botstead.core.messages import Reason
from botstead.telemetry.metrics import OPEN, Metrics
from botstead.telemetry.vitals import Vitals

METRICS: Final = Metrics()
ProcessCollector(registry=METRICS.registry)
GCCollector(registry=METRICS.registry)
VITALS: Final = Vitals(METRICS.registry)
"""Readings of the whole installation; the leading scheduler fills them."""

register = METRICS.register
exposition = METRICS.exposition

_HTTP_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Buckets of OpenTelemetry's `http.client.request.duration`."""

MESSAGES: Final = METRICS.counter(
    "bot_messages_total",
    "Messages that were finished, by how they ended.",
    max_sets=1200,
    bot=OPEN,
    channel=OPEN,
    outcome=("delivered", "failed", "expired", "ignored"),
)
DUPLICATES: Final = METRICS.counter(
    "bot_message_duplicates_total", "Deliveries of a message that had been taken before.", max_sets=24, channel=OPEN
)
REJECTED: Final = METRICS.counter(
    "channel_rejected_total",
    "Deliveries that were turned away.",
    max_sets=240,
    channel=OPEN,
    reason=("missing", "malformed", "signature", "replay", "clock", "unknown", "size", "rate"),
)
ACK: Final = METRICS.histogram(
    "channel_ack_duration_seconds",
    "From the last byte of a delivery to its acknowledgement, which follows the commit.",
    buckets=(0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0),
    max_sets=24,
    channel=OPEN,
)
DURATION: Final = METRICS.histogram(
    "bot_message_duration_seconds",
    "From the acknowledgement of a message to the provider's receipt of the answer.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
    max_sets=150,
    bot=OPEN,
    channel=OPEN,
)
STAGE: Final = METRICS.histogram(
    "bot_message_stage_duration_seconds",
    "How long each stage of the road took.",
    buckets=(0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0),
    max_sets=120,
    stage=("ack", "queue", "route", "handle", "send"),
    channel=OPEN,
)
DEAD_LETTERS: Final = METRICS.counter(
    "job_dead_letters_total",
    "Messages that were parked for a person to look at.",
    max_sets=2000,
    bot=OPEN,
    reason=("failed", "crashed", "blocked", "deadline", *(reason for reason in Reason if reason)),
)
INBOX_WAITING: Final = METRICS.gauge("bot_inbox_waiting", "Messages that were acknowledged and are not finished.")
LOOP_LAG: Final = METRICS.histogram(
    "event_loop_lag_seconds",
    "How late the event loop runs what is due.",
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0),
)
INTEGRATION_REQUESTS: Final = METRICS.counter(
    "integration_requests_total",
    "Requests to outside services, by how they ended.",
    max_sets=240,
    integration=OPEN,
    outcome=("ok", "cached", "stale", "error", "timeout", "refused", "limited"),
)
INTEGRATION_DURATION: Final = METRICS.histogram(
    "integration_request_duration_seconds",
    "How long outside services took to answer.",
    buckets=_HTTP_SECONDS,
    max_sets=24,
    integration=OPEN,
)
CACHE_REQUESTS: Final = METRICS.counter(
    "cache_requests_total",
    "Questions to caches, by what came back.",
    max_sets=120,
    cache=OPEN,
    result=("hit", "miss", "stale", "bypass"),
)
CANARY_PROBES: Final = METRICS.counter(
    "canary_probes_total",
    "Messages that went the whole road to prove that it is open, by how they ended: ok, or the hop that broke.",
    max_sets=9,
    outcome=("ok", "edge", "api", "database", "worker", "handler", "outbox", "delivery"),
)
CANARY_ROUND_TRIP: Final = METRICS.histogram(
    "canary_round_trip_seconds",
    "From the sending of a canary's message to the proof that its answer was delivered.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
LOOP_BLOCKED: Final = METRICS.counter(
    "bot_loop_blocked_total",
    "How often a bot's handler blocked the event loop of its worker for more than a second.",
    max_sets=200,
    bot=OPEN,
)
