"""Does work wait? What is due, how long it has been, and who does it. Schedules will stand here when there are any."""

from __future__ import annotations

from dashboards.design import BAD, GOOD, MESSAGES, QUIET, RATIO, SECONDS, Board, Limits, Query, Row, Series, Stat, States
from dashboards.limits import failing, limit, within
from dashboards.queries import quantile, rate, share, slower

WAIT = "job_queue_wait_seconds"

VERDICT = Row(
    "Does work wait?",
    (
        Stat(
            "Waiting",
            says="Messages to be handled or sent. It returns to 0 within seconds of a burst.",
            queries=(Query("sum(job_queue_depth)"),),
            runbook="QueueStuck",
        ),
        Stat(
            "Oldest wait",
            says="How long the oldest waits that could be worked on. None is 0. It is read each 10 s: up to that is no wait.",
            queries=(Query("time() - min(job_queue_oldest_timestamp_seconds) or vector(0)"),),
            unit=SECONDS,
            limits=Limits(bad=limit("QueueStuck", "waiting")),
            runbook="QueueStuck",
        ),
        Stat(
            "Late starts",
            says=f"Share of work that waited more than {within('queue_freshness'):g} s.",
            queries=(Query(slower(WAIT, within("queue_freshness"))),),
            unit=RATIO,
            limits=failing("queue_freshness"),
            runbook="QueueFreshnessBurn",
        ),
        Stat(
            "Given up",
            says="Share of work that ended as a dead letter, or was lost.",
            queries=(Query(share("job_runs_total", 'outcome=~"dead|lost"', where='outcome!="retry"')),),
            unit=RATIO,
            limits=failing("job_success"),
            runbook="JobSuccessBurn",
        ),
        Stat(
            "Given up, not put back",
            says="Dead letters. `botstead dead-letters list` says why, `replay` puts them back.",
            queries=(Query("sum(job_dead_letters)"),),
            limits=Limits(warn=1),
            runbook="DeadLetters",
        ),
        Stat(
            "Leaders",
            says="Schedulers that lead. Exactly 1; 0 means that no one looks after the database and the channels.",
            queries=(Query("sum(scheduler_leader)"),),
            words={0: ("none", BAD), 1: ("1", GOOD), 2: ("2", BAD)},
            runbook="SchedulerLeaderMissing",
            trend=False,
        ),
    ),
)

WORK = Row(
    "Which queue, and since when?",
    (
        Series(
            "Depth",
            says="Inbox waits for workers, outbox for networks.",
            queries=(Query("job_queue_depth", "{{queue}}"),),
            runbook="QueueStuck",
        ),
        Series(
            "Waiting time",
            says="p95 from when work was due to its start.",
            queries=(Query(quantile(0.95, WAIT, "queue"), "{{queue}}"),),
            unit=SECONDS,
            limits=Limits(warn=within("queue_freshness")),
            runbook="QueueFreshnessBurn",
        ),
        Series(
            "Outcomes",
            says="Runs a second: done, to be tried again, given up, or lost with its process.",
            queries=(Query(rate("job_runs_total", "outcome"), "{{outcome}}"),),
            unit=MESSAGES,
            stacked=True,
            runbook="JobSuccessBurn",
        ),
        Series(
            "Time of a run, p95",
            says="From start to outcome: inbox is handlers, outbox is sends.",
            queries=(Query(quantile(0.95, "job_duration_seconds", "queue"), "{{queue}}"),),
            unit=SECONDS,
        ),
        Series(
            "Oldest message",
            says="How long the oldest waits that could be worked on. It is read each 10 s: a saw with small teeth is no wait.",
            queries=(Query("max by (queue) (time() - job_queue_oldest_timestamp_seconds)", "{{queue}}"),),
            unit=SECONDS,
            limits=Limits(bad=limit("QueueStuck", "waiting")),
            runbook="QueueStuck",
            empty_ok="nothing waits",
        ),
        Series(
            "Oldest unsent answer",
            says="How long the oldest answer waits that its network would take. It is read each 10 s: small teeth are no wait.",
            queries=(Query("max by (channel) (time() - bot_outbox_oldest_timestamp_seconds)", "{{channel}}"),),
            unit=SECONDS,
            limits=Limits(bad=limit("OutboxStuck", "waiting")),
            runbook="OutboxStuck",
            empty_ok="nothing waits",
        ),
        Series(
            "Work by process",
            says="Runs a second of each worker. One that does nothing beside busy others owns no partitions.",
            queries=(Query(rate("job_runs_total", "instance"), "{{instance}}"),),
            unit=MESSAGES,
            stacked=True,
        ),
        Series(
            "Dead letters",
            says="Not yet put back, by queue: inbox was not handled, outbox was not sent.",
            queries=(Query("sum by (queue) (job_dead_letters)", "{{queue}}"),),
            runbook="DeadLetters",
        ),
        Series(
            "Parked by reason",
            says="Messages given up a second. `botstead dead-letters list` has the error of each.",
            queries=(Query(rate("job_parked_total", "queue", "reason") + " > 0", "{{queue}}: {{reason}}"),),
            unit=MESSAGES,
            runbook="DeadLetters",
            empty_ok="no message was given up",
        ),
        States(
            "Scheduler that leads",
            says="One at any time. A change is a restart or a takeover.",
            queries=(Query("scheduler_leader", "{{instance}}"),),
            words={0: ("stands by", QUIET), 1: ("leads", GOOD)},
            runbook="SchedulerLeaderMissing",
            wide=12,
        ),
    ),
)

BOARD = Board(
    uid="queues-and-schedules",
    title="Queues",
    asks=("Does work wait, and for whom?", "Was something given up?", "Who leads, and who works?"),
    rows=(VERDICT, WORK),
)
