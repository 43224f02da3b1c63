"""How does this bot do? The performance numbers of one bot, or of the chosen ones together."""

from __future__ import annotations

from dashboards.design import MESSAGES, RATIO, SECONDS, Board, Heat, Query, Row, Series, Stat, Variable
from dashboards.limits import BUDGET, failing
from dashboards.queries import SHOWN, against, counted, heat, increase, quantile, quantiles, rate, share

CHOSEN = 'bot=~"$bot"'
ANSWERED = f'{CHOSEN},outcome="delivered"'
COUNTED = f'{CHOSEN},outcome!="ignored"'
FAILED = 'outcome=~"failed|expired"'
LATE = against(rate("bot_messages_late_total", where=CHOSEN, over=SHOWN), rate("bot_messages_total", where=ANSWERED, over=SHOWN))
DURATION = "bot_message_duration_seconds"

VERDICT = Row(
    "Is it well?",
    (
        Stat(
            "Failing share",
            says="Of the messages in the time shown. Everyone of them is a person without an answer.",
            queries=(Query(share("bot_messages_total", FAILED, where=COUNTED, over=SHOWN)),),
            unit=RATIO,
            limits=failing("delivery_bot"),
            runbook="DeliveryBotBurn",
        ),
        Stat(
            "Late share",
            says="Answers in the time shown that came later than the bot promises in its bot.toml.",
            queries=(Query(LATE),),
            unit=RATIO,
            limits=failing("promptness"),
            runbook="PromptnessBurn",
        ),
        Stat(
            "Budget left",
            says="Of the failures that this bot may have. The least, when several are chosen.",
            queries=(Query(f'min(slo:budget_left:ratio{{slo="delivery_bot",{CHOSEN}}})'),),
            unit=RATIO,
            limits=BUDGET,
            opens="objectives",
        ),
        Stat(
            "Answer time, p95",
            says="From our acknowledgement to the provider's receipt, in the time shown.",
            queries=(Query(quantile(0.95, DURATION, where=CHOSEN, over=SHOWN)),),
            unit=SECONDS,
        ),
        Stat(
            "Messages",
            says="Finished in the time shown.",
            queries=(Query(counted("bot_messages_total", where=CHOSEN)),),
        ),
        Stat(
            "Not understood",
            says="Share of messages for which only the bot's last resort fitted. What did these people want?",
            queries=(Query(share("bot_understood_total", 'result="fallback"', where=CHOSEN, over=SHOWN)),),
            unit=RATIO,
        ),
    ),
)

PEOPLE = Row(
    "What do people see?",
    (
        Series(
            "Outcomes",
            says="Messages a second by how they ended.",
            queries=(Query(rate("bot_messages_total", "outcome", where=CHOSEN), "{{outcome}}"),),
            unit=MESSAGES,
            stacked=True,
            runbook="DeliveryBotBurn",
        ),
        Series(
            "Answer time",
            says="From our acknowledgement to the provider's receipt of the answer. A point opens one message's trace.",
            queries=quantiles(DURATION, where=CHOSEN),
            unit=SECONDS,
            runbook="PromptnessBurn",
        ),
        Series(
            "Failing share by channel",
            says="One channel alone is the network or its token; all of them are the bot.",
            queries=(Query(share("bot_messages_total", FAILED, "channel", where=COUNTED), "{{channel}}"),),
            unit=RATIO,
            limits=failing("delivery_channel"),
            runbook="DeliveryChannelBurn",
            opens="channels",
        ),
        Heat(
            "Spread of answer times",
            says="How many answers took how long. Two bands are two kinds of work; look at a point of the slow one.",
            queries=(heat(DURATION, where=CHOSEN),),
            unit=SECONDS,
        ),
    ),
)

WORK = Row(
    "Why?",
    (
        Series(
            "Messages by channel",
            says="Finished messages a second.",
            queries=(Query(rate("bot_messages_total", "channel", where=CHOSEN), "{{channel}}"),),
            unit=MESSAGES,
            stacked=True,
        ),
        Series(
            "Late answers",
            says="Answers a second that came later than the bot promises. Find the stage on the road board.",
            queries=(Query(rate("bot_messages_late_total", "bot", where=CHOSEN), "{{bot}}"),),
            unit=MESSAGES,
            opens="road",
        ),
        Series(
            "Conversations in hand",
            says="With a message that waits, runs or is being answered. A line that climbs is a bot that cannot keep up.",
            queries=(Query(f"sum by (bot) (bot_conversations_active{{{CHOSEN}}})", "{{bot}}"),),
        ),
        Series(
            "Understood",
            says="Messages for which a handler was written, and those that only the last resort fitted.",
            queries=(Query(rate("bot_understood_total", "result", where=CHOSEN), "{{result}}"),),
            unit=MESSAGES,
            stacked=True,
        ),
        Series(
            "Blocked event loop",
            says="How often a handler held up its worker for more than a second. Give long work to a thread.",
            queries=(Query(increase("bot_loop_blocked_total", "bot", where=CHOSEN, over="$__rate_interval"), "{{bot}}"),),
            runbook="HandlerBlocks",
            empty_ok="no handler blocked",
        ),
    ),
)

BOARD = Board(
    uid="bot",
    title="Bot",
    asks=("How does this bot do?", "Is it the bot, or a channel?", "Does it keep its own promise?"),
    variables=(Variable("bot", "Bot", "bot_messages_total", "bot"),),
    rows=(VERDICT, PEOPLE, WORK),
)
