"""Where does the time go? The road of a message, stage by stage, and where a message waits."""

from __future__ import annotations

from dashboards.design import MESSAGES, RATIO, SECONDS, Board, Heat, Limits, Query, Row, Series, Stat, Variable
from dashboards.limits import good, within
from dashboards.queries import heat, mean, quantile, rate
from dashboards.slo import bad_share

CHOSEN = 'channel=~"$channel"'
STAGE = "bot_message_stage_duration_seconds"
ROUND = "canary_round_trip_seconds"

VERDICT = Row(
    "Is the road open?",
    (
        Stat(
            "Canary kept",
            says="Share of the canary's messages of the last hour that went the whole road. Less than all: see which hop below.",
            queries=(Query(f"1 - {bad_share('canary', '1h')}"),),
            unit=RATIO,
            limits=good("canary"),
            runbook="CanaryBurn",
        ),
        Stat(
            "Canary round trip",
            says="Mean time of a message through the whole road, to a channel that answers at once.",
            queries=(Query(mean(ROUND)),),
            unit=SECONDS,
        ),
        Stat(
            "Acknowledged, p95",
            says="From the last byte of a delivery to our 200. It waits for one commit, so it is Postgres' time.",
            queries=(Query(quantile(0.95, "channel_ack_duration_seconds", where=CHOSEN)),),
            unit=SECONDS,
            limits=Limits(warn=within("ingress_ack")),
            runbook="IngressAckBurn",
        ),
        Stat(
            "Answered, p95",
            says="From our acknowledgement to the provider's receipt of the answer.",
            queries=(Query(quantile(0.95, "bot_message_duration_seconds", where=CHOSEN)),),
            unit=SECONDS,
        ),
        Stat(
            "Waiting",
            says="Messages that were acknowledged and are not finished, and answers not sent.",
            queries=(Query("sum(job_queue_depth)"),),
            opens="queues-and-schedules",
        ),
    ),
)

TIME = Row(
    "Where does the time go?",
    (
        Series(
            "Mean time in each stage",
            says="Stacked: the height is the mean time of a message. Queue is workers, handle is the bot, send is the network.",
            queries=(Query(mean(STAGE, "stage", where=CHOSEN), "{{stage}}"),),
            unit=SECONDS,
            stacked=True,
        ),
        Series(
            "Each stage, p95",
            says="What the slow ones wait for. `botstead messages show ID` says the same of one message.",
            queries=(Query(quantile(0.95, STAGE, "stage", where=CHOSEN), "{{stage}}"),),
            unit=SECONDS,
        ),
        Series(
            "Messages through each stage",
            says="Handle and send count each try, so retries lift them. Where commit falls behind queue, messages wait.",
            queries=(Query(rate(f"{STAGE}_count", "stage", where=CHOSEN), "{{stage}}"),),
            unit=MESSAGES,
        ),
        Heat(
            "Spread of answer times",
            says="How many answers took how long. A point opens one message's trace.",
            queries=(heat("bot_message_duration_seconds", where=CHOSEN),),
            unit=SECONDS,
        ),
    ),
)

CANARY = Row(
    "Which hop breaks?",
    (
        Series(
            "Canary by outcome",
            says="Probes a second: ok, or the hop that broke. One each 15 s.",
            queries=(Query(rate("canary_probes_total", "outcome") + " > 0", "{{outcome}}"),),
            unit=MESSAGES,
            stacked=True,
            runbook="CanaryBurn",
        ),
        Series(
            "Canary round trip, p95",
            says="Without any network, so it is our own time.",
            queries=(Query(quantile(0.95, ROUND), "p95"), Query(mean(ROUND), "mean")),
            unit=SECONDS,
            runbook="CanaryBurn",
        ),
        Series(
            "Delivered twice by networks",
            says="Deliveries that had been taken before. Some are normal; many mean that our acknowledgement comes too late.",
            queries=(Query(rate("bot_message_duplicates_total", "channel", where=CHOSEN), "{{channel}}"),),
            unit=MESSAGES,
        ),
        Series(
            "Tried again",
            says="Handlers and sends that were repeated after a failure.",
            queries=(Query(rate("bot_message_retries_total", "channel", where=CHOSEN), "{{channel}}"),),
            unit=MESSAGES,
        ),
    ),
)

BOARD = Board(
    uid="road",
    title="Road of a message",
    asks=("Where does the time go?", "Which hop is broken?", "Do messages wait, and before which stage?"),
    variables=(Variable("channel", "Channel", "bot_messages_total", "channel"),),
    rows=(VERDICT, TIME, CANARY),
)
