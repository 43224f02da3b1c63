"""Is it fine? One screen for whoever looks up in the morning, or was just woken."""

from __future__ import annotations

from dashboards.design import (
    BAD,
    COUNT,
    GOOD,
    MESSAGES,
    RATIO,
    REQUESTS,
    SECONDS,
    Board,
    Column,
    Limits,
    Query,
    Row,
    Series,
    Stat,
    States,
    Table,
)
from dashboards.limits import BUDGET, good, limit, within
from dashboards.queries import quantile, quantiles, rate, share
from dashboards.slo import SPENT, bad_share, burn

IDLE = 'mode="idle"'
PEOPLE = 'bot!="canary"'

VERDICT = Row(
    "Is it fine?",
    (
        Stat(
            "Pages",
            says="Alerts that woke somebody and are not over. 0 is normal; the on-call board names them.",
            queries=(Query('count(ALERTS{alertstate="firing",severity="page"}) or vector(0)'),),
            limits=Limits(bad=1),
            opens="on-call",
        ),
        Stat(
            "Answered",
            says="Share of messages of the last hour that were answered. Below the promise, the bots board says whose were not.",
            queries=(Query(f"1 - {bad_share('delivery', '1h')}"),),
            unit=RATIO,
            limits=good("delivery"),
            runbook="DeliveryBurn",
            opens="bots",
        ),
        Stat(
            "Canary kept",
            says="Share of the canary's messages of the last hour that went the whole road. It is 100 % also when nobody writes.",
            queries=(Query(f"1 - {bad_share('canary', '1h')}"),),
            unit=RATIO,
            limits=good("canary"),
            runbook="CanaryBurn",
            opens="road",
        ),
        Stat(
            "Answer time, p95",
            says="19 of 20 answers are faster than this. The road board says where the time goes.",
            queries=(Query(quantile(0.95, "bot_message_duration_seconds", where=PEOPLE)),),
            unit=SECONDS,
            opens="road",
        ),
        Stat(
            "Messages a second",
            says="Finished messages, the canary's apart. None at a busy hour is a fault that nothing else shows.",
            queries=(Query(rate("bot_messages_total", where=PEOPLE)),),
            unit=MESSAGES,
            opens="bots",
        ),
        Stat(
            "Waiting",
            says="Messages that wait to be handled or sent. It returns to 0 within seconds of a burst.",
            queries=(Query("sum(job_queue_depth)"),),
            opens="queues-and-schedules",
        ),
    ),
)

PROMISES = Row(
    "Are the promises kept?",
    (
        Table(
            "Budgets",
            says="Every objective, the one with the least left first. A burn of 1 spends the budget in exactly its period; "
            f"{SPENT[0]} for an hour wakes somebody.",
            keys={"slo": "Objective", "service": "Service"},
            columns=(
                Column("Budget left", "min by (slo, service) (slo:budget_left:ratio)", RATIO, BUDGET),
                Column("Burn, 1 h", f"max by (slo, service) ({burn('1h')})", COUNT, Limits(warn=SPENT[-1], bad=SPENT[0])),
                Column("Burn, 6 h", f"max by (slo, service) ({burn('6h')})", COUNT, Limits(warn=SPENT[-1], bad=SPENT[1])),
                Column("Bad, 1 h", "round(sum by (slo, service) (slo:bad:count1h))"),
                Column("All, 1 h", "round(sum by (slo, service) (slo:total:count1h))"),
            ),
            worst="Budget left",
            rising=True,
            opens="objectives",
            follow="slo",
            high=10,
        ),
    ),
)

NOW = Row(
    "What is going on?",
    (
        Series(
            "Outcomes",
            says="Messages a second by how they ended. Red and orange are people without an answer.",
            queries=(Query(rate("bot_messages_total", "outcome", where=PEOPLE), "{{outcome}}"),),
            unit=MESSAGES,
            stacked=True,
            opens="bots",
        ),
        Series(
            "Canary",
            says="Probes a second by how they ended: ok, or the hop that broke. One comes each 15 s.",
            queries=(Query(rate("canary_probes_total", "outcome") + " > 0", "{{outcome}}"),),
            unit=MESSAGES,
            stacked=True,
            runbook="CanaryBurn",
            opens="road",
        ),
        Series(
            "API answers",
            says="Requests a second by class of status. 5xx are our faults; a stranger can only cause 4xx.",
            queries=(
                Query(
                    rate("http_server_request_duration_seconds_count", "http_response_status_code"),
                    "{{http_response_status_code}}",
                ),
            ),
            unit=REQUESTS,
            stacked=True,
            runbook="ApiAvailabilityBurn",
            opens="api",
        ),
        Series(
            "API time",
            says="How long requests take. The limit is what is promised for a write.",
            queries=quantiles("http_server_request_duration_seconds"),
            unit=SECONDS,
            limits=Limits(warn=within("api_latency")),
            runbook="ApiLatencyBurn",
            opens="api",
        ),
        Series(
            "Acknowledgement time",
            says="From the last byte of a delivery to our 200, which waits for a commit. Networks retry when it takes seconds.",
            queries=quantiles("channel_ack_duration_seconds"),
            unit=SECONDS,
            limits=Limits(warn=within("ingress_ack")),
            runbook="IngressAckBurn",
            opens="channels",
        ),
        States(
            "Processes",
            says="Ours, as Prometheus reads them. A red bar is one that was away; the log of that name says why.",
            queries=(Query('up{job=~"api|worker|scheduler"}', "{{instance}}"),),
            words={0: ("away", BAD), 1: ("up", GOOD)},
            runbook="ProcessDown",
            opens="machine",
            wide=12,
        ),
        Series(
            "Starts",
            says="Of each process, in a quarter of an hour. Deploys show here; more than the limit is a loop.",
            queries=(
                Query(
                    'max by (job, instance) (changes(process_start_time_seconds{job=~"api|worker|scheduler"}[15m]))',
                    "{{instance}}",
                ),
            ),
            limits=Limits(bad=limit("RestartLoop", "restarts")),
            runbook="RestartLoop",
        ),
        Series(
            "Machine",
            says="Shares in use of the processors, the memory and the disk. The machine board has what waits for them.",
            queries=(
                Query(
                    f"1 - {share('host_cpu_seconds_total', IDLE)}",
                    "processors",
                ),
                Query("1 - host_memory_available_bytes / host_memory_total_bytes", "memory"),
                Query("1 - host_disk_free_bytes / host_disk_size_bytes", "disk"),
            ),
            unit=RATIO,
            most=1,
            opens="machine",
        ),
    ),
)

BOARD = Board(
    uid="home",
    title="Home",
    asks=("Is it fine?", "Which promise is in danger?", "Does a message get through at all?"),
    rows=(VERDICT, PROMISES, NOW),
)
