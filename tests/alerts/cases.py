"""For each condition what makes it fire, what must not, and when it is over. Written by hand, with the numbers of the real rules.

A case gives series by minute and says for some moments what fires: the labels besides severity and area, and the sentence that a
person reads. Moments that say nothing are quiet. Values lie close to the limits on both sides, so that a limit that is changed by a
third is noticed.
"""
# fmt: off
# A case is a table; spread over lines, one no longer sees the story.

from __future__ import annotations

from typing import NamedTuple

from botstead.operate.objectives.model import load_objectives
from tests.alerts.series import MINUTE, gauge


class Fires(NamedTuple):
    """An alert at a moment."""

    summary: str
    labels: dict[str, str] = {}  # noqa: RUF012  # a NamedTuple's default, never changed


class Case(NamedTuple):
    """One story about one condition."""

    alert: str
    name: str
    series: dict[str, str]
    seen: dict[str, list[Fires]]
    """Moment (`7m`, `6m30s`) to what fires then."""
    interval: str = MINUTE
    """Between two values."""
    pace: str = "30s"
    """Between two evaluations."""


def by_minute(*phases: tuple[int, float | None]) -> str:
    """So many minutes of a value, one after the other; None is not shown."""
    return gauge([value for minutes, value in phases for _ in range(minutes)])


def growing(*phases: tuple[int, float]) -> str:
    """A counter that grows so much each minute, for so many minutes, one after the other; it starts at 0."""
    value, values = 0.0, [0.0]
    for minutes, step in phases:
        for _ in range(minutes):
            value += step
            values.append(value)
    return gauge(values)


QUIET: list[Fires] = []
API = 'up{job="api",instance="api-a"}'
API_B = 'up{job="api",instance="api-b"}'
WORKER = 'up{job="worker",instance="worker-a"}'
SCHEDULER = 'up{job="scheduler",instance="scheduler-a"}'
LEADER = 'scheduler_leader{job="scheduler",instance="scheduler-a"}'
LEADER_B = 'scheduler_leader{job="scheduler",instance="scheduler-b"}'
READ = 'job="scheduler",instance="scheduler-a"'
"""Labels of what the leading scheduler reads."""

_api_down = "No API process is up, 0 of {} answer."
_worker_down = "No worker is up, 0 of {} answer."
_leader = "No scheduler leads; {} schedulers are up."

PROCESSES = [
    Case("ApiDown", "all of them, and back", {API: by_minute((6, 1), (11, 0), (5, 1)), API_B: by_minute((5, 1), (12, 0), (5, 1))}, {
        "5m": QUIET, "6m": QUIET, "6m30s": QUIET, "7m": [Fires(_api_down.format(2))], "16m": [Fires(_api_down.format(2))], "17m": QUIET,
    }),
    Case("ApiDown", "one of two", {API: by_minute((20, 0)), API_B: by_minute((20, 1)), WORKER: by_minute((20, 0))}, {"19m": QUIET}),
    Case("ApiDown", "no target at all", {WORKER: by_minute((20, 1))}, {"30s": QUIET, "1m": [Fires(_api_down.format(0))]}),
    Case("WorkerDown", "all of them, and back", {WORKER: by_minute((6, 1), (11, 0), (5, 1)), API: by_minute((22, 1))}, {
        "6m": QUIET, "6m30s": QUIET, "7m": [Fires(_worker_down.format(1))], "16m": [Fires(_worker_down.format(1))], "17m": QUIET,
    }),
    Case("WorkerDown", "one of two", {WORKER: by_minute((9, 1)), 'up{job="worker",instance="worker-b"}': by_minute((9, 0))}, {"8m": QUIET}),
    Case("WorkerDown", "no target at all", {API: by_minute((20, 1))}, {"30s": QUIET, "1m": [Fires(_worker_down.format(0))]}),
    Case("ProcessDown", "one of two", {API: by_minute((6, 1), (9, 0), (5, 1)), API_B: by_minute((20, 1)), 'up{job="edge",instance="edge"}': by_minute((20, 0))}, {
        "7m30s": QUIET,
        "8m": [Fires("api-a does not answer; the api role has 1 processes left.", {"job": "api", "instance": "api-a"})],
        "14m": [Fires("api-a does not answer; the api role has 1 processes left.", {"job": "api", "instance": "api-a"})],
        "15m": QUIET,
    }),
    Case("ProcessDown", "a scheduler", {SCHEDULER: by_minute((9, 0)), WORKER: by_minute((9, 0))}, {
        "1m30s": QUIET,
        "3m": [
            Fires("scheduler-a does not answer; the scheduler role has 0 processes left.", {"job": "scheduler", "instance": "scheduler-a"}),
            Fires("worker-a does not answer; the worker role has 0 processes left.", {"job": "worker", "instance": "worker-a"}),
        ],
    }),
    Case("SchedulerLeaderMissing", "none leads", {LEADER: by_minute((6, 1), (9, 0), (5, 1)), SCHEDULER: by_minute((20, 1))}, {
        "5m": QUIET, "6m30s": QUIET, "7m": [Fires(_leader.format(1))], "14m": [Fires(_leader.format(1))], "15m": QUIET,
    }),
    Case("SchedulerLeaderMissing", "none is there", {LEADER: by_minute((6, 1), (20, None)), SCHEDULER: by_minute((6, 1), (20, 0))}, {
        "5m": QUIET, "13m": [Fires(_leader.format(0))],
    }),
    Case("SchedulerLeaderMissing", "it moves", {LEADER: by_minute((6, 1), (9, 0)), LEADER_B: by_minute((6, 0), (9, 1))}, {"5m": QUIET, "10m": QUIET}),
    Case("SchedulerSplit", "two lead", {LEADER: by_minute((20, 1)), LEADER_B: by_minute((6, 0), (9, 1), (5, 0))}, {
        "5m": QUIET, "6m30s": QUIET, "7m": [Fires("2 schedulers lead; it must be one.")], "15m": QUIET,
    }),
    Case("RestartLoop", "four starts in a quarter of an hour", {
        'process_start_time_seconds{job="worker",instance="worker-a"}': by_minute((5, 1), (2, 2), (2, 3), (2, 4), (20, 5)),
        'process_start_time_seconds{job="api",instance="api-a"}': by_minute((5, 1), (2, 2), (2, 3), (22, 4)),
        'process_start_time_seconds{job="node",instance="n"}': by_minute((5, 1), (2, 2), (2, 3), (2, 4), (20, 5)),
    }, {
        "10m": QUIET,
        "11m": [Fires("worker-a started 4 times again in 15 minutes; up to 3 may be somebody at work.", {"job": "worker", "instance": "worker-a"})],
        "18m": [Fires("worker-a started 4 times again in 15 minutes; up to 3 may be somebody at work.", {"job": "worker", "instance": "worker-a"})],
        "21m": QUIET,
    }),
    Case("EventLoopBlocked", "1 of 50 looks is late", {
        'event_loop_lag_seconds_bucket{job="worker",instance="worker-a",le="0.1"}': growing((10, 600), (20, 592.8), (20, 600)),
        'event_loop_lag_seconds_bucket{job="worker",instance="worker-a",le="0.5"}': growing((50, 600)),
        'event_loop_lag_seconds_bucket{job="worker",instance="worker-a",le="+Inf"}': growing((50, 600)),
    }, {
        "10m": QUIET, "18m": QUIET, "20m": [Fires("The event loop of worker-a is 166.7ms late in 1 of 100 looks; up to 0.1 s is well.", {"job": "worker", "instance": "worker-a"})],
        "40m": QUIET,
    }),
    Case("EventLoopBlocked", "1 of 200 looks is late", {
        'event_loop_lag_seconds_bucket{job="worker",instance="worker-a",le="0.05"}': growing((50, 590)),
        'event_loop_lag_seconds_bucket{job="worker",instance="worker-a",le="0.1"}': growing((50, 597)),
        'event_loop_lag_seconds_bucket{job="worker",instance="worker-a",le="0.5"}': growing((50, 600)),
        'event_loop_lag_seconds_bucket{job="worker",instance="worker-a",le="+Inf"}': growing((50, 600)),
    }, {"30m": QUIET}),
    Case("HandlerBlocks", "twice", {
        'bot_loop_blocked_total{job="worker",instance="worker-a",bot="weather"}': growing((5, 0), (2, 1), (30, 0)),
        'bot_loop_blocked_total{job="worker",instance="worker-a",bot="echo"}': growing((37, 0)),
    }, {
        "5m": QUIET, "16m": [Fires("A handler of the bot weather blocked the event loop 2 times in 15 minutes, for more than a second each.", {"bot": "weather"})],
        "23m": QUIET,
    }),
]

_no_canary = "No canary message came through for 2 minutes{}."


def _probes(**outcomes: str) -> dict[str, str]:
    return {f'canary_probes_total{{{READ},outcome="{outcome}"}}': values for outcome, values in outcomes.items()}


ROAD = [
    Case("CanaryDown", "a hop breaks", _probes(ok=growing((40, 1), (40, 0), (40, 1)), worker=growing((40, 0), (40, 1), (40, 0)), edge=growing((120, 0))), {
        "10m": QUIET, "12m30s": QUIET,
        "13m": [Fires(_no_canary.format("; the broken hop is worker"))],
        "20m": [Fires(_no_canary.format("; the broken hop is worker"))],
        "22m": QUIET,
    }, "15s"),
    Case("CanaryDown", "none is sent", _probes(ok=growing((40, 1), (40, 0)), worker=growing((80, 0))), {
        "10m": QUIET, "12m30s": QUIET, "13m": [Fires(_no_canary.format(", and none was sent"))],
    }, "15s"),
    Case("CanaryDown", "one in four fails", _probes(ok=growing((80, 0.75)), worker=growing((80, 0.25))), {"15m": QUIET}, "15s"),
    Case("CanaryDown", "it is switched off", _probes(ok=growing((80, 0)), worker=growing((80, 0))), {"15m": QUIET}, "15s"),
    Case("QueueStuck", "the oldest does not move", {
        f'job_queue_oldest_timestamp_seconds{{{READ},queue="inbox"}}': by_minute((20, 60), (10, 1200)),
        f'job_queue_oldest_timestamp_seconds{{{READ},queue="outbox"}}': by_minute((30, 60)),
    }, {
        "6m": QUIET, "7m": QUIET, "8m": QUIET,
        "9m": [Fires("The oldest message in the inbox could be worked on and has waited 8m 0s; 5 minutes is the limit.", {"queue": "inbox"})],
        "19m": [Fires("The oldest message in the inbox could be worked on and has waited 18m 0s; 5 minutes is the limit.", {"queue": "inbox"})],
        "20m": QUIET,
    }),
    Case("QueueStuck", "nothing waits", {f'job_queue_depth{{{READ},queue="inbox"}}': by_minute((20, 0))}, {"15m": QUIET}),
    Case("OutboxStuck", "the oldest is not sent", {
        f'bot_outbox_oldest_timestamp_seconds{{{READ},channel="telegram"}}': by_minute((12, 60), (10, 720)),
        f'bot_outbox_oldest_timestamp_seconds{{{READ},channel="webchat"}}': "30+60x20",
    }, {
        "3m": QUIET, "5m": QUIET,
        "6m": [Fires("An answer on telegram is ready and has not been sent for 5m 0s; 2 minutes is the limit.", {"channel": "telegram"})],
        "11m": [Fires("An answer on telegram is ready and has not been sent for 10m 0s; 2 minutes is the limit.", {"channel": "telegram"})],
        "12m": QUIET,
    }),
    Case("DeadLetters", "some, then none", {
        f'job_dead_letters{{{READ},queue="inbox"}}': by_minute((3, 0), (4, 2), (3, 0)),
        f'job_dead_letters{{{READ},queue="outbox"}}': by_minute((10, 0)),
    }, {"2m": QUIET, "3m": [Fires("2 messages of the inbox were given up and wait for a person.", {"queue": "inbox"})], "7m": QUIET}),
]

MONEY = [
    Case("PaymentUnfulfilled", "paid, and the bot does not do its part", {
        f"payments_unfulfilled_oldest_timestamp_seconds{{{READ}}}": by_minute((20, 60), (10, None)),
        f"payments_unfulfilled{{{READ}}}": by_minute((20, 3), (10, 0)),
    }, {
        "10m": QUIET, "11m": QUIET, "13m": QUIET,
        "14m": [Fires("Somebody paid 13m 0s ago and no bot has answered for it; 10 minutes is the limit, 3 wait.")],
        "19m": [Fires("Somebody paid 18m 0s ago and no bot has answered for it; 10 minutes is the limit, 3 wait.")],
        "26m": QUIET,
    }),
    Case("PaymentUnfulfilled", "each waits for a while only", {
        f"payments_unfulfilled_oldest_timestamp_seconds{{{READ}}}": by_minute((11, 60), (10, 600), (10, 1140)),
        f"payments_unfulfilled{{{READ}}}": by_minute((31, 1)),
    }, {"10m": QUIET, "20m": QUIET, "28m": QUIET}),
    Case("PaymentUnknown", "a provider that does not say", {
        f"payment_attempts_unknown_oldest_timestamp_seconds{{{READ}}}": by_minute((45, 60), (10, 2640)),
        f"payment_attempts_unknown{{{READ}}}": by_minute((45, 2), (10, 1)),
    }, {
        "30m": QUIET, "32m": QUIET, "35m": QUIET, "36m": QUIET,
        "37m": [Fires("Of a try at a payment provider nobody knows since 36m 0s how it ended; 30 minutes is the limit, 2 are unknown.")],
        "44m": [Fires("Of a try at a payment provider nobody knows since 43m 0s how it ended; 30 minutes is the limit, 2 are unknown.")],
        "45m": QUIET, "50m": QUIET,
    }),
]

_connected = 'channel_connected{%s,channel="%s",bot="%s"}'
_missing = 'channel_missing_events{%s,channel="%s",bot="%s"}'
_rejected = 'channel_rejected_total{job="api",instance="api-a",channel="%s",reason="%s"}'

CHANNELS = [
    Case("ChannelDisconnected", "one of two", {
        _connected % (READ, "telegram", "weather"): by_minute((5, 1), (9, 0), (5, 1)),
        _connected % (READ, "telegram", "echo"): by_minute((19, 1)),
    }, {
        "5m": QUIET, "7m30s": QUIET,
        "8m": [Fires("Messages cannot come in for the bot weather on telegram: 0 working connections.", {"channel": "telegram", "bot": "weather"})],
        "14m": QUIET,
    }),
    Case("ChannelSilent", "by its rhythm", {
        _missing % (READ, "telegram", "weather"): by_minute((5, 9), (5, 12), (5, 0)),
        _missing % (READ, "webchat", "weather"): by_minute((15, 8)),
    }, {
        "4m": QUIET,
        "5m": [Fires("The bot weather hears nothing on telegram; by its usual rhythm 12 messages should have come since the last one, 10 is the limit.", {"channel": "telegram", "bot": "weather"})],
        "10m": QUIET,
    }),
    Case("SignatureRejects", "a secret was changed on one side", {
        _rejected % ("telegram", "signature"): growing((30, 0), (30, 3), (40, 0)),
        _rejected % ("telegram", "size"): growing((100, 9)),
        _rejected % ("webhook", "signature"): growing((30, 0), (30, 1.7), (40, 0)),
    }, {
        "30m": QUIET, "36m": QUIET, "39m": QUIET,
        "45m": [Fires("30 deliveries on telegram had a wrong signature within 10 minutes; more than 20, and 10 times the usual.", {"channel": "telegram"})],
        "75m": QUIET,
    }),
    Case("SignatureRejects", "as many as always", {_rejected % ("telegram", "signature"): growing((1500, 3))}, {"1490m": QUIET}),
    Case("SignatureRejects", "eight and twelve times the usual", {
        _rejected % ("telegram", "signature"): growing((1440, 1), (40, 8)),
        _rejected % ("webhook", "signature"): growing((1440, 1), (40, 14)),
    }, {
        "1439m": QUIET,
        "1455m": [Fires("140 deliveries on webhook had a wrong signature within 10 minutes; more than 20, and 10 times the usual.", {"channel": "webhook"})],
    }),
]


def _read(metric: str, values: str, **labels: str) -> dict[str, str]:
    more = "".join(f',{label}="{value}"' for label, value in labels.items())
    return {f"{metric}{{{READ}{more}}}": values}


DATASTORES = [
    Case("PostgresDown", "down and up", _read("postgres_up", by_minute((5, 1), (9, 0), (5, 1))), {
        "5m": QUIET, "5m30s": QUIET, "6m": [Fires("Postgres has not answered for a minute; 0 of 1 is up.")], "14m": QUIET,
    }),
    Case("PostgresDown", "not read", _read("valkey_up", by_minute((9, 0))), {"8m": QUIET}),
    Case("PostgresConnectionsHigh", "nine in ten", _read("postgres_connections_ratio", by_minute((20, 0.75), (20, 0.875), (5, 0.5))), {
        "19m": QUIET, "29m": QUIET, "30m": [Fires("Postgres uses 87.5% of its connections; 0.8 of them is the limit.")], "40m": QUIET,
    }),
    Case("PostgresLongTransaction", "six minutes and more", _read("postgres_longest_transaction_seconds", by_minute((20, 290), (20, 330), (5, 1))), {
        "19m": QUIET, "24m": QUIET,
        "25m": [Fires("A transaction has been open for 5m 30s; none of ours lasts longer than seconds, 5 minutes is the limit.")], "40m": QUIET,
    }),
    Case("PostgresDeadlocks", "a burst", _read("postgres_deadlocks_total", growing((20, 0), (5, 1), (30, 0))), {
        "20m": QUIET, "22m": QUIET, "26m": [Fires("Postgres broke up 5 deadlocks in 15 minutes; up to 3 may be chance.")], "45m": QUIET,
    }),
    Case("PostgresDeadlocks", "three", _read("postgres_deadlocks_total", growing((20, 0), (2, 1), (10, 0))), {"26m": QUIET}),
    Case("PostgresBloat", "an hour", _read("postgres_dead_tuple_ratio", by_minute((100, 0.6), (5, 0.2)), table="inbox") | _read("postgres_dead_tuple_ratio", by_minute((105, 0.45)), table="message"), {
        "59m": QUIET, "60m": [Fires("60% of the rows of inbox are dead; 0.5 of them is the limit.", {"table": "inbox"})], "100m": QUIET,
    }),
    Case("ValkeyDown", "down and up", _read("valkey_up", by_minute((5, 1), (9, 0), (5, 1))), {
        "6m30s": QUIET, "7m": [Fires("Valkey has not answered for 2 minutes; 0 of 1 is up.")], "14m": QUIET,
    }),
    Case("ValkeyMemoryHigh", "nearly full", _read("valkey_memory_used_ratio", by_minute((20, 0.85), (20, 0.95), (5, 0.5))), {
        "19m": QUIET, "29m": QUIET, "30m": [Fires("Valkey uses 95% of the memory it may use; 0.9 of it is the limit.")], "40m": QUIET,
    }),
    Case("ValkeyEvicting", "two a second", _read("valkey_evicted_keys_total", growing((10, 0), (20, 120), (20, 0))), {
        "10m": QUIET, "20m": QUIET, "22m": [Fires("Valkey gives up 2.0 keys a second for want of memory.")], "36m": QUIET,
    }),
    Case("ValkeyPersistenceFailing", "a save fails", _read("valkey_last_save_ok", by_minute((5, 1), (20, 0), (5, 1))), {
        "5m": QUIET, "14m": QUIET, "15m": [Fires("Valkey cannot save to its disk; its last save failed, and 0 have gone well since.")], "25m": QUIET,
    }),
]

GB = 2**30


def _disk(free: str, minutes: int) -> dict[str, str]:
    return _read("host_disk_free_bytes", free) | _read("host_disk_size_bytes", by_minute((minutes, 100 * GB)))


_full = "The data folder's disk is {}% full, and at the rate of the last {} it is full within {}."

HOST = [
    Case("DiskFull", "nearly", _disk(by_minute((5, 6 * GB), (5, 4 * GB), (5, 9 * GB)), 15), {
        "4m": QUIET, "5m": QUIET, "6m": [Fires("The data folder's disk has 4% left; 0.05 of it is the limit.")], "10m": QUIET,
    }),
    Case("DiskFull4h", "10 GB an hour, 15 GB left", _disk(gauge([(35 - minute / 6) * GB for minute in range(180)]), 180), {
        "80m": QUIET,
        "105m": QUIET,
        "106m": [Fires(_full.format("82.67", "hour", "4 hours"))],
    }),
    Case("DiskFull4h", "2 GB an hour", _disk(gauge([(15 - minute / 30) * GB for minute in range(150)]), 150), {"140m": QUIET}),
    Case("DiskFull4h", "much used, and shrinking", _disk(gauge([(10 + minute / 30) * GB for minute in range(90)]), 90), {"80m": QUIET}),
    Case("DiskFull4h", "a burst", _disk(gauge([16 * GB] * 120 + [(16 - minute / 5) * GB for minute in range(10)] + [14 * GB] * 60), 190), {
        "137m": QUIET, "140m": QUIET, "142m": QUIET, "143m": QUIET, "144m": QUIET, "145m": QUIET, "150m": QUIET, "155m": QUIET,
    }),
    Case("DiskFull4h", "it ends", _disk(gauge([(35 - minute / 4) * GB for minute in range(101)] + [10 * GB] * 80), 181), {
        "100m": [Fires(_full.format("90", "hour", "4 hours"))], "170m": QUIET,
    }),
    Case("DiskFull3d", "half a GB an hour", _disk(gauge([(22 - minute / 120) * GB for minute in range(600)] + [50 * GB] * 20), 620), {
        "230m": QUIET, "295m": QUIET, "305m": [Fires(_full.format("80.54", "6 hours", "3 days"))], "610m": QUIET,
    }),
    Case("DiskFull3d", "a burst", _disk(gauge([16 * GB] * 480 + [(16 - minute / 20) * GB for minute in range(10)] + [15.5 * GB] * 200), 690), {
        "560m": QUIET, "580m": QUIET, "590m": QUIET,
    }),
    Case("DiskFull3d", "a tenth of a GB an hour", _disk(gauge([(15 - minute / 600) * GB for minute in range(500)]), 500), {"480m": QUIET}),
    Case("MemoryPressure", "a fifth of the time", _read("host_pressure_waiting_seconds_total", growing((10, 5), (30, 8), (20, 0)), resource="memory") | _read("host_pressure_waiting_seconds_total", growing((60, 50)), resource="cpu"), {
        "10m": QUIET, "21m30s": QUIET, "24m": [Fires("In 13.33% of the time something waited for memory; 0.1 of it is the limit.")], "50m": QUIET,
    }),
    Case("OomKill", "one", _read("host_oom_kills_total", growing((5, 0), (1, 1), (30, 0))), {
        "5m": QUIET, "17m": [Fires("The kernel killed 1 processes for want of memory in 15 minutes.")], "22m": QUIET,
    }),
    Case("CpuSteal", "an eighth", _read("host_cpu_seconds_total", growing((10, 10), (30, 15), (20, 0)), mode="steal") | _read("host_cpu_seconds_total", growing((10, 110), (30, 105), (20, 120)), mode="idle"), {
        "10m": QUIET, "21m30s": QUIET, "24m": [Fires("12.5% of this machine's processor time goes to its neighbours; 0.1 of it is the limit.")], "50m": QUIET,
    }),
    Case("ClockSkew", "behind", _read("host_clock_skew_seconds", by_minute((5, -25), (5, -40), (5, 0))), {
        "4m": QUIET, "6m30s": QUIET, "7m": [Fires("This machine's clock and that of Postgres are 40s apart; 30 s is the limit.")], "10m": QUIET,
    }),
    Case("ClockSkew", "ahead", _read("host_clock_skew_seconds", by_minute((5, 33))), {"4m": [Fires("This machine's clock and that of Postgres are 33s apart; 30 s is the limit.")]}),
]

_blind = "Nothing is known about the promise {} any more; its figures were there within 3 days and 0 of them are left."

PAGING = [objective.name for objective in load_objectives() if "page" in objective.alerts]


def _blinded(slo: str) -> Fires:
    return Fires(_blind.format(slo), {"slo": slo})


def _promises(ledger: str, count: str) -> dict[str, str]:
    """The figures of every promise that pages."""
    names = {"slo:total:ledger5m": ledger, "slo:total:count5m": count}
    return {f'{name}{{slo="{slo}",service="x"}}': values for slo in PAGING for name, values in names.items()}


WATCH = [
    Case("SloBlind", "its figures disappear", {
        'slo:total:ledger5m{slo="delivery",service="bots"}': by_minute((10, 5), (40, None)),
        'slo:total:count5m{slo="delivery",service="bots"}': by_minute((10, 5), (25, None), (15, 5)),
        'slo:total:ledger5m{slo="promptness",service="bots",bot="a"}': by_minute((50, 5)),
        'slo:total:count5m{slo="promptness",service="bots",bot="a"}': by_minute((50, 0)),
        'slo:total:count5m{slo="canary",service="platform"}': by_minute((50, 0)),
    }, {"12m": QUIET, "23m": QUIET, "25m": [Fires(_blind.format("delivery"), {"slo": "delivery"})], "36m": QUIET}),
    Case("SloBlind", "each of them", _promises(by_minute((10, 5), (40, None)), by_minute((10, 5), (40, None))), {"19m": QUIET, "26m": [_blinded(slo) for slo in PAGING]}),
    Case("SloBlind", "none was ever there, but others", {
        'slo:total:ledger5m{slo="other",service="platform"}': by_minute((50, 0)), 'slo:total:count5m{slo="another",service="platform"}': by_minute((50, 0)),
    }, {"40m": QUIET}),
    Case("SloBlind", "others are there", _promises(by_minute((10, 5), (40, None)), by_minute((10, 5), (40, None))) | {'slo:total:count5m{slo="other",service="platform"}': by_minute((50, 0))}, {
        "26m": [_blinded(slo) for slo in PAGING],
    }),
    Case("SloBlind", "for days", _promises(by_minute((24, 5), (120, None)), by_minute((24, 5), (120, None))), {
        "20h": QUIET, "60h": [_blinded(slo) for slo in PAGING], "90h": [_blinded(slo) for slo in PAGING], "100h": QUIET,
    }, "1h", "1h"),
    Case("LabelOverflow", "for a while", {
        'botstead_label_overflow_total{job="api",instance="api-a",metric="bot_messages_total"}': growing((10, 0), (15, 1), (40, 0)),
        'botstead_label_overflow_total{job="api",instance="api-a",metric="cache_requests_total"}': growing((65, 0)),
    }, {
        "10m": QUIET, "19m": QUIET, "25m": [Fires("15 values of labels of bot_messages_total were counted as _other in 15 minutes.", {"metric": "bot_messages_total"})], "45m": QUIET,
    }),
    Case("SeriesBudget", "too many", {
        'scrape_samples_scraped{job="worker",instance="worker-a"}': by_minute((20, 4500), (20, 6000), (5, 4500)),
        'scrape_samples_scraped{job="node",instance="n"}': by_minute((45, 9000)),
    }, {"19m": QUIET, "29m": QUIET, "30m": [Fires("worker-a shows 6000 series; the budget is 5000.", {"job": "worker", "instance": "worker-a"})], "40m": QUIET}),
    Case("ConfigReloadFailed", "either", {
        'prometheus_config_last_reload_successful{job="prometheus",instance="p"}': by_minute((5, 1), (30, 0), (5, 1)),
        'alertmanager_config_last_reload_successful{job="alertmanager",instance="a"}': by_minute((40, 1)),
    }, {
        "15m": QUIET, "24m": [Fires("prometheus did not take its new configuration and goes on with the old one; 0 reloads went well.", {"job": "prometheus", "instance": "p"})], "36m": QUIET,
    }),
    Case("ConfigReloadFailed", "Alertmanager's", {'alertmanager_config_last_reload_successful{job="alertmanager",instance="a"}': by_minute((30, 0))}, {
        "9m": QUIET, "20m": [Fires("alertmanager did not take its new configuration and goes on with the old one; 0 reloads went well.", {"job": "alertmanager", "instance": "a"})],
    }),
    Case("ConfigReloadFailed", "not for long", {'alertmanager_config_last_reload_successful{job="alertmanager",instance="a"}': by_minute((4, 0), (1, 1), (4, 0), (1, 1), (4, 0), (1, 1), (4, 0), (1, 1))}, {"19m": QUIET}),
    Case("RuleEvaluationFailing", "one group", {
        'prometheus_rule_evaluation_failures_total{job="prometheus",instance="p",rule_group="x"}': growing((10, 0), (20, 2), (20, 0)),
        'prometheus_rule_evaluation_failures_total{job="prometheus",instance="p",rule_group="y"}': growing((50, 0)),
    }, {"10m": QUIET, "19m": QUIET, "25m": [Fires("10 evaluations of rules failed in 5 minutes in x.", {"rule_group": "x"})], "37m": QUIET}),
    Case("ScrapeFailing", "an exporter", {
        'up{job="exporter",instance="e"}': by_minute((5, 1), (20, 0), (5, 1)), API: by_minute((30, 0)),
    }, {"14m": QUIET, "15m": [Fires("Prometheus cannot read e (exporter); 0 readings in 10 minutes.", {"job": "exporter", "instance": "e"})], "25m": QUIET}),
    Case("NotificationsFailing", "one way", {
        'alertmanager_notifications_failed_total{job="alertmanager",instance="a",integration="telegram"}': growing((10, 0), (10, 2), (20, 0)),
        'alertmanager_notifications_failed_total{job="alertmanager",instance="a",integration="email"}': growing((40, 0)),
    }, {
        "10m": QUIET, "11m": QUIET, "17m": [Fires("Alertmanager cannot deliver by telegram; 10 messages failed in 5 minutes.", {"integration": "telegram"})], "27m": QUIET,
    }),
    Case("AlertmanagerMissing", "none is known", {'prometheus_notifications_alertmanagers_discovered{job="prometheus",instance="p"}': by_minute((5, 1), (20, 0), (5, 1))}, {
        "9m": QUIET, "10m": [Fires("Prometheus knows 0 Alertmanagers; alerts go nowhere.")], "25m": QUIET,
    }),
    Case("Watchdog", "always", {}, {
        "0m": [Fires("Prometheus evaluates rules and Alertmanager delivers; this alert always fires, 1 is its value.")],
        "9m": [Fires("Prometheus evaluates rules and Alertmanager delivers; this alert always fires, 1 is its value.")],
    }),
]

CASES = [*PROCESSES, *ROAD, *MONEY, *CHANNELS, *DATASTORES, *HOST, *WATCH]
