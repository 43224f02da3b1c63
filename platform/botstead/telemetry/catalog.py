"""Every metric, once: `MESSAGES.at("weather", "telegram", "delivered").inc()`, `LOOP_LAG.at().observe(0.002)`.

`at` takes the label values in the declared order and is cheap enough for the hot path. Values of open labels must have been
named by `register("bot", "weather")` before; others count as `_other`. `EXPOSITION.page(accept)` is what `/metrics` serves.
`roles` says which processes emit a metric; other processes do not show it.

Names: those of OpenTelemetry where it has a stable one; else `bot_`, `channel_`, `job_`, `integration_` and so on for what the
platform is for, `postgres_`, `valkey_` and `host_` for what it stands on, and `botstead_` for itself. Base units; the instant
instead of an age. Identifiers of people, chats and messages are never labels: they are in traces and logs.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import GCCollector, ProcessCollector

from botstead.core.messages import Reason
from botstead.telemetry.exposition import Exposition
from botstead.telemetry.metrics import OPEN, Metrics
from botstead.telemetry.vitals import Vitals

METRICS: Final = Metrics()
ProcessCollector(registry=METRICS.registry)
GCCollector(registry=METRICS.registry)
VITALS: Final = Vitals(METRICS.registry)
"""Readings of the whole installation; the leading scheduler fills them."""

register = METRICS.register

_HTTP_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Buckets of OpenTelemetry's `http.server.request.duration` and `http.client.request.duration`."""

API: Final = ("api",)
WORKER: Final = ("worker",)
SCHEDULER: Final = ("scheduler",)
"""Of several schedulers only the leading one shows what is true of the whole appliance, so that nothing is counted twice."""
INGEST: Final = ("api", "scheduler")
"""Takes messages: the scheduler polls channels that have no public address."""

# Messages

MESSAGES: Final = METRICS.counter(
    "bot_messages_total",
    "Messages that were finished: answered and the answer delivered, given up, too old to be answered, or ignored.",
    roles=WORKER,
    max_sets=1200,
    bot=OPEN,
    channel=OPEN,
    outcome=("delivered", "failed", "expired", "ignored"),
)
LATE: Final = METRICS.counter(
    "bot_messages_late_total", "Messages whose answer came later than their bot promises.", roles=WORKER, max_sets=300, bot=OPEN
)
DURATION: Final = METRICS.histogram(
    "bot_message_duration_seconds",
    "From the acknowledgement of a message to the provider's receipt of the answer.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
    roles=WORKER,
    max_sets=300,
    bot=OPEN,
    channel=OPEN,
)
STAGE: Final = METRICS.histogram(
    "bot_message_stage_duration_seconds",
    "How long each stage of the road took: waiting in the queue, handling, committing the outcome, sending.",
    buckets=(0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0),
    roles=WORKER,
    max_sets=96,
    stage=("queue", "handle", "commit", "send"),
    channel=OPEN,
)
DUPLICATES: Final = METRICS.counter(
    "bot_message_duplicates_total",
    "Deliveries of a message that had been taken before.",
    roles=INGEST,
    max_sets=24,
    channel=OPEN,
)
RETRIES: Final = METRICS.counter(
    "bot_message_retries_total", "Runs and sends that failed and are tried again.", roles=WORKER, max_sets=24, channel=OPEN
)
UNDERSTOOD: Final = METRICS.counter(
    "bot_understood_total",
    "Messages by whether a handler was written for them, or nothing but the bot's last resort fitted.",
    roles=WORKER,
    max_sets=400,
    bot=OPEN,
    result=("matched", "fallback"),
)
CONVERSATIONS_ACTIVE: Final = METRICS.gauge(
    "bot_conversations_active", "Conversations with a message in hand: waiting, running or being answered.", roles=WORKER,
    max_sets=200, bot=OPEN,
)  # fmt: skip

# Channels

ACK: Final = METRICS.histogram(
    "channel_ack_duration_seconds",
    "From the arrival of a delivery to its acknowledgement, which follows the commit; those that were turned away are not here.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0),
    roles=API,
    max_sets=24,
    channel=OPEN,
)
REJECTED: Final = METRICS.counter(
    "channel_rejected_total",
    "Deliveries that were turned away, by why; unavailable: it was our fault, and the network delivers again.",
    roles=API,
    max_sets=240,
    channel=OPEN,
    reason=("missing", "malformed", "signature", "replay", "clock", "unknown", "size", "rate", "unavailable"),
)

# HTTP

HTTP_DURATION: Final = METRICS.histogram(
    "http_server_request_duration_seconds",
    "How long requests took, probes and deliveries of channels apart; of an event stream, until it began.",
    buckets=_HTTP_SECONDS,
    roles=API,
    max_sets=80,
    http_route=OPEN,
    http_request_method=OPEN,
    http_response_status_code=OPEN,
)
"""http.server.request.duration, its buckets included. Status codes by their class: 2xx."""
HTTP_ACTIVE: Final = METRICS.gauge("http_server_active_requests", "Requests that are being answered.", roles=API)
"""http.server.active_requests."""

# Outside services

INTEGRATION_REQUESTS: Final = METRICS.counter(
    "integration_requests_total",
    "Requests to outside services, by how they ended.",
    roles=WORKER,
    max_sets=168,
    integration=OPEN,
    outcome=("ok", "cached", "stale", "error", "timeout", "refused", "limited"),
)
INTEGRATION_DURATION: Final = METRICS.histogram(
    "integration_request_duration_seconds",
    "How long outside services took to answer.",
    buckets=_HTTP_SECONDS,
    roles=WORKER,
    max_sets=24,
    integration=OPEN,
)
"""http.client.request.duration."""
CACHE_REQUESTS: Final = METRICS.counter(
    "cache_requests_total",
    "Questions to caches, by what came back.",
    roles=WORKER,
    max_sets=96,
    cache=OPEN,
    result=("hit", "miss", "stale", "bypass"),
)

# Money

PAYMENTS: Final = METRICS.counter(
    "payments_total",
    "Payments by the state that they came to.",
    roles=WORKER,
    max_sets=18,
    provider=("stripe", "paypal", "testpay"),
    state=("pending", "approved", "paid", "failed", "expired", "refunded"),
)
PAYMENT_ATTEMPTS: Final = METRICS.counter(
    "payment_attempts_total",
    "Tries at payment providers by how they ended; unknown: no answer came, and the provider is asked.",
    roles=WORKER,
    max_sets=9,
    kind=("open", "capture", "refund"),
    outcome=("done", "failed", "unknown"),
)

LLM_TOKENS: Final = METRICS.counter(
    "bot_llm_tokens_total",
    "Tokens of language models, sent (in) and answered (out).",
    roles=WORKER,
    max_sets=12,
    bot=OPEN,
    model=OPEN,
    direction=("in", "out"),
)
LLM_COST: Final = METRICS.counter(
    "bot_llm_cost_total",
    "What answers of language models cost, by the prices and in the currency of the bot's [llm].",
    roles=WORKER,
    max_sets=6,
    bot=OPEN,
    model=OPEN,
)
LLM_REFUSALS: Final = METRICS.counter(
    "bot_llm_refusals_total",
    "Questions that were not asked of a language model, because the budget was used up.",
    roles=WORKER,
    max_sets=6,
    bot=OPEN,
    model=OPEN,
)

# Work that waits: messages to be handled (inbox) and answers to be sent (outbox)

_QUEUES = ("inbox", "outbox")
_JOB_SECONDS = (0.01, 0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0)
JOB_RUNS: Final = METRICS.counter(
    "job_runs_total",
    "Runs of handlers (inbox) and sends (outbox): done, to be tried again, given up, or lost (nobody knows how it ended).",
    roles=WORKER,
    max_sets=8,
    queue=_QUEUES,
    outcome=("done", "retry", "dead", "lost"),
)
JOB_PARKED: Final = METRICS.counter(
    "job_parked_total",
    "Messages that were parked for a person to look at, by why.",
    roles=WORKER,
    max_sets=60,
    queue=_QUEUES,
    reason=("failed", "crashed", "blocked", "deadline", "exhausted", *(reason for reason in Reason if reason)),
)
JOB_WAIT: Final = METRICS.histogram(
    "job_queue_wait_seconds",
    "From the commit of a job to the beginning of its first run.",
    buckets=_JOB_SECONDS,
    roles=WORKER,
    max_sets=2,
    queue=_QUEUES,
)
JOB_DURATION: Final = METRICS.histogram(
    "job_duration_seconds",
    "How long a run took, whatever came out.",
    buckets=_JOB_SECONDS,
    roles=WORKER,
    max_sets=2,
    queue=_QUEUES,
)
LOOP_LAG: Final = METRICS.histogram(
    "event_loop_lag_seconds",
    "How late the event loop runs what is due.",
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0),
)

LOOP_BLOCKED: Final = METRICS.counter(
    "bot_loop_blocked_total",
    "How often a bot's handler blocked the event loop of its worker for more than a second.",
    roles=WORKER,
    max_sets=200,
    bot=OPEN,
)

# The database as its clients see it

DB_DURATION: Final = METRICS.histogram(
    "db_client_operation_duration_seconds",
    "How long statements and commands took, by name; of those that failed, only the ones that timed out.",
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0),
    max_sets=45,
    db_system_name=OPEN,
    db_operation_name=OPEN,
)
"""db.client.operation.duration."""
DB_CONNECTIONS: Final = METRICS.gauge(
    "db_client_connections",
    "Connections of the pool, and tasks that wait for one.",
    max_sets=3,
    state=("used", "idle", "waiting"),
)
"""db.client.connection.count."""

# The whole appliance, as the leading scheduler sees it; what it reads of others is in vitals.py

CANARY_PROBES: Final = METRICS.counter(
    "canary_probes_total",
    "Messages that went the whole road to prove that it is open, by how they ended: ok, or the hop that broke.",
    roles=SCHEDULER,
    max_sets=9,
    outcome=("ok", "edge", "api", "database", "worker", "handler", "outbox", "delivery"),
)
CANARY_ROUND_TRIP: Final = METRICS.histogram(
    "canary_round_trip_seconds",
    "From the sending of a canary's message to the proof that its answer was delivered.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    roles=SCHEDULER,
)

# The platform itself

BUILD: Final = METRICS.gauge("botstead_build_info", "1, with what runs here.", max_sets=2, version=OPEN, python=OPEN)
CONFIG: Final = METRICS.gauge(
    "botstead_config_info",
    "1, with a digest of the settings that are no secrets: alike where settings are.",
    max_sets=2,
    digest=OPEN,
)
SCRAPE: Final = METRICS.histogram(
    "botstead_scrape_duration_seconds",
    "How long it took to write this page, the last time and before.",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5),
)

TRACE_SPANS: Final = METRICS.counter(
    "botstead_trace_spans_total",
    "Spans for the collector: taken by it, refused by it, failed to arrive, or dropped because too many waited.",
    roles=WORKER,
    max_sets=4,
    outcome=("exported", "refused", "failed", "dropped"),
)
TRACE_HOPS: Final = METRICS.counter(
    "botstead_trace_hops_total",
    "Runs and sends of messages worth remembering: kept, or dropped because too many waited.",
    roles=WORKER,
    max_sets=2,
    outcome=("kept", "dropped"),
)

EXPOSITION: Final = Exposition(METRICS).timed(SCRAPE)
