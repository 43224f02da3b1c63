"""Which bot is in trouble? All of them beside each other, the worst first."""

from __future__ import annotations

from dashboards.design import MESSAGES, RATIO, SECONDS, Board, Column, Limits, Query, Row, Series, Stat, Table
from dashboards.limits import BUDGET, failing
from dashboards.queries import SHOWN, against, counted, increase, quantile, rate, share

FAILED = 'outcome=~"failed|expired"'
PEOPLE = 'bot!="canary"'
"""The canary is no bot that anybody writes to."""
COUNTED = f'{PEOPLE},outcome!="ignored"'
ANSWERED = f'{PEOPLE},outcome="delivered"'
LATE = against(rate("bot_messages_late_total", "bot"), rate("bot_messages_total", "bot", where=ANSWERED), zero=True)

LATE_SHOWN = against(increase("bot_messages_late_total", "bot"), increase("bot_messages_total", "bot", where=ANSWERED), zero=True)

VERDICT = Row(
    "Do the bots answer?",
    (
        Stat(
            "Bots",
            says="Bots that are deployed. Fewer than you deployed: read the worker's log for the one that does not load.",
            queries=(Query(f"count(count by (bot) (bot_messages_total{{{PEOPLE}}}))"),),
            trend=False,
        ),
        Stat(
            "Without an answer",
            says="Messages in the time shown that failed or came too late to be answered. Their people wait for you.",
            queries=(Query(counted("bot_messages_total", where=f"{PEOPLE},{FAILED}")),),
            limits=Limits(warn=1),
            runbook="DeliveryBurn",
        ),
        Stat(
            "Failing share",
            says="Of the messages of the last minutes. The budget allows the first limit all the time.",
            queries=(Query(share("bot_messages_total", FAILED, where=COUNTED)),),
            unit=RATIO,
            limits=failing("delivery"),
            runbook="DeliveryBurn",
        ),
        Stat(
            "Late share",
            says="Answers that came later than their bot promises.",
            queries=(Query(against(rate("bot_messages_late_total"), rate("bot_messages_total", where=ANSWERED), zero=True)),),
            unit=RATIO,
            limits=failing("promptness"),
            runbook="PromptnessBurn",
        ),
        Stat(
            "Dead letters",
            says="Messages given up, waiting for a person. `botstead dead-letters list` says why.",
            queries=(Query("sum(job_dead_letters)"),),
            limits=Limits(warn=1),
            runbook="DeadLetters",
            opens="queues-and-schedules",
        ),
        Stat(
            "Blocked handlers",
            says="How often a handler held up its whole worker for more than a second, in the time shown. 0 is normal.",
            queries=(Query(counted("bot_loop_blocked_total")),),
            limits=Limits(warn=1),
            runbook="HandlerBlocks",
            empty_ok="no handler blocked",
        ),
    ),
)

TABLE = Row(
    "Which one?",
    (
        Table(
            "Bots now",
            says="In the time shown, the largest failing share first. Choose a bot to see it alone.",
            keys={"bot": "Bot"},
            columns=(
                Column("Messages", counted("bot_messages_total", "bot", where=PEOPLE)),
                Column(
                    "Failing",
                    share("bot_messages_total", FAILED, "bot", where=COUNTED, over=SHOWN),
                    RATIO,
                    failing("delivery_bot"),
                ),
                Column(
                    "Late",
                    LATE_SHOWN,
                    RATIO,
                    failing("promptness"),
                ),
                Column("p95", quantile(0.95, "bot_message_duration_seconds", "bot", where=PEOPLE, over=SHOWN), SECONDS),
                Column("Budget left", 'min by (bot) (slo:budget_left:ratio{slo="delivery_bot"})', RATIO, BUDGET),
                Column("Active", f"sum by (bot) (bot_conversations_active{{{PEOPLE}}})"),
            ),
            worst="Failing",
            opens="bot",
            follow="bot",
            high=10,
        ),
    ),
)

TRAFFIC = Row(
    "Since when?",
    (
        Series(
            "Outcomes",
            says="All bots together. Red and orange are people without an answer.",
            queries=(Query(rate("bot_messages_total", "outcome", where=PEOPLE), "{{outcome}}"),),
            unit=MESSAGES,
            stacked=True,
            runbook="DeliveryBurn",
        ),
        Series(
            "Failing share by bot",
            says="The ten worst. One line that rises alone is that bot; all of them together are the platform.",
            queries=(Query(f"topk(10, {share('bot_messages_total', FAILED, 'bot', where=COUNTED)})", "{{bot}}"),),
            unit=RATIO,
            limits=failing("delivery_bot"),
            runbook="DeliveryBotBurn",
        ),
        Series(
            "Messages by bot",
            says="The ten busiest. A flood of one does not hold up the others.",
            queries=(Query(f"topk(10, {rate('bot_messages_total', 'bot', where=PEOPLE)})", "{{bot}}"),),
            unit=MESSAGES,
        ),
        Series(
            "Answer time by bot, p95",
            says="The ten slowest.",
            queries=(Query(f"topk(10, {quantile(0.95, 'bot_message_duration_seconds', 'bot', where=PEOPLE)})", "{{bot}}"),),
            unit=SECONDS,
            runbook="PromptnessBurn",
        ),
        Series(
            "Parked by reason",
            says="Messages given up a second. Failed is the handler's error; blocked and crashed took their worker with them.",
            queries=(Query(rate("job_parked_total", "reason") + " > 0", "{{reason}}"),),
            unit=MESSAGES,
            runbook="DeadLetters",
            empty_ok="no message was given up",
        ),
        Series(
            "Late answers by bot",
            says="The ten with most, as a share of what they answered.",
            queries=(Query(f"topk(10, {LATE})", "{{bot}}"),),
            unit=RATIO,
            limits=failing("promptness"),
            runbook="PromptnessBurn",
        ),
    ),
)

BOARD = Board(
    uid="bots",
    title="Bots",
    asks=("Which bot is in trouble?", "Is it one bot or all of them?", "Which bot has the traffic?"),
    rows=(VERDICT, TABLE, TRAFFIC),
)
