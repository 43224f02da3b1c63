"""Do the networks reach us, and do we reach them?"""

from __future__ import annotations

from dashboards.design import (
    BAD,
    GOOD,
    MESSAGES,
    RATIO,
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
    Variable,
)
from dashboards.limits import failing, limit, within
from dashboards.queries import SHOWN, counted, quantile, rate, share, slower

CHOSEN = 'channel=~"$channel"'
PEOPLE = f'{CHOSEN},bot!="canary"'
COUNTED = f'{CHOSEN},bot!="canary",outcome!="ignored"'
FAILED = 'outcome=~"failed|expired"'
ACK = "channel_ack_duration_seconds"
CONNECTED = {0: ("away", BAD), 1: ("connected", GOOD)}

VERDICT = Row(
    "Do messages come in and go out?",
    (
        Stat(
            "Channels away",
            says="Channels on which nothing can come in, as far as their provider and we can tell. The table names the hop.",
            queries=(Query(f"count(channel_connected{{{CHOSEN}}} == 0) or vector(0)"),),
            limits=Limits(bad=1),
            runbook="ChannelDisconnected",
        ),
        Stat(
            "Slow acknowledgements",
            says=f"Share of deliveries that we acknowledged after {within('ingress_ack'):g} s. Networks then deliver again.",
            queries=(Query(slower(ACK, within("ingress_ack"), where=CHOSEN)),),
            unit=RATIO,
            limits=failing("ingress_ack"),
            runbook="IngressAckBurn",
        ),
        Stat(
            "Failing share",
            says="Of the messages of these channels, in the last minutes.",
            queries=(Query(share("bot_messages_total", FAILED, where=COUNTED)),),
            unit=RATIO,
            limits=failing("delivery_channel"),
            runbook="DeliveryChannelBurn",
        ),
        Stat(
            "Turned away",
            says="Deliveries that we refused in the time shown. A wrong signature is a wrong secret, or a stranger.",
            queries=(Query(counted("channel_rejected_total", where=CHOSEN)),),
            limits=Limits(warn=limit("SignatureRejects", "rejects")),
            runbook="SignatureRejects",
        ),
        Stat(
            "To be sent",
            says="Answers that wait to be sent, all channels together.",
            queries=(Query(f"sum(bot_outbox_pending{{{CHOSEN}}}) or vector(0)"),),
            runbook="OutboxStuck",
        ),
        Stat(
            "Oldest answer",
            says="How long the oldest answer waits that could be sent now. None is 0.",
            queries=(Query(f"time() - min(bot_outbox_oldest_timestamp_seconds{{{CHOSEN}}}) or vector(0)"),),
            unit=SECONDS,
            limits=Limits(bad=limit("OutboxStuck", "waiting")),
            runbook="OutboxStuck",
        ),
    ),
)

HEALTH = Row(
    "Which one?",
    (
        Table(
            "Channels now",
            says="Those that miss most by their usual rhythm first. `botstead channels health ID` names the broken hop.",
            keys={"channel": "Channel", "bot": "Bot"},
            columns=(
                Column("State", f"min by (channel, bot) (channel_connected{{{CHOSEN}}})", words=CONNECTED),
                Column(
                    "Last message", f"time() - max by (channel, bot) (channel_last_event_timestamp_seconds{{{CHOSEN}}})", SECONDS
                ),
                Column("Missing", f"max by (channel, bot) (channel_missing_events{{{CHOSEN}}})"),
                Column("Messages", counted("bot_messages_total", "channel", "bot", where=PEOPLE)),
                Column(
                    "Failing",
                    share("bot_messages_total", FAILED, "channel", "bot", where=COUNTED, over=SHOWN),
                    RATIO,
                    failing("delivery_channel"),
                ),
            ),
            worst="Missing",
            high=10,
        ),
        States(
            "Connected",
            says="Whether messages could come in. A gap means that nobody looked: see who leads on the queues board.",
            queries=(Query(f"min by (channel, bot) (channel_connected{{{CHOSEN}}})", "{{channel}} {{bot}}"),),
            words=CONNECTED,
            runbook="ChannelDisconnected",
            wide=12,
        ),
        Series(
            "Missing messages",
            says="What a channel would have brought since its last message, by its rhythm. Above the limit it is silent.",
            queries=(Query(f"topk(10, channel_missing_events{{{CHOSEN}}})", "{{channel}} {{bot}}"),),
            limits=Limits(warn=limit("ChannelSilent", "missing")),
            runbook="ChannelSilent",
            empty_ok="a channel that is new has no usual rhythm yet",
        ),
    ),
)

IN = Row(
    "Coming in",
    (
        Series(
            "Acknowledgement time",
            says="p95 by channel. The limit is ours; Slack gives up after 3 s.",
            queries=(Query(quantile(0.95, ACK, "channel", where=CHOSEN), "{{channel}}"),),
            unit=SECONDS,
            limits=Limits(warn=within("ingress_ack"), bad=3),
            runbook="IngressAckBurn",
        ),
        Series(
            "Rejected deliveries",
            says="A second, by reason. Signature: compare the secret at the provider with ours.",
            queries=(Query(rate("channel_rejected_total", "reason", where=CHOSEN) + " > 0", "{{reason}}"),),
            unit=MESSAGES,
            stacked=True,
            runbook="SignatureRejects",
            empty_ok="nothing was turned away",
        ),
        Series(
            "Delivered twice",
            says="Deliveries that had been taken before. Many of them: we acknowledge too late.",
            queries=(Query(rate("bot_message_duplicates_total", "channel", where=CHOSEN), "{{channel}}"),),
            unit=MESSAGES,
        ),
        Series(
            "Outcomes",
            says="Messages a second by how they ended.",
            queries=(Query(rate("bot_messages_total", "outcome", where=PEOPLE), "{{outcome}}"),),
            unit=MESSAGES,
            stacked=True,
            runbook="DeliveryChannelBurn",
        ),
    ),
)

OUT = Row(
    "Going out",
    (
        Series(
            "Time of a send, p95",
            says="From taking an answer to the provider's receipt, waits for its rate limit included.",
            queries=(
                Query(
                    quantile(0.95, "bot_message_stage_duration_seconds", "channel", where=f'{CHOSEN},stage="send"'), "{{channel}}"
                ),
            ),
            unit=SECONDS,
            runbook="OutboxStuck",
        ),
        Series(
            "Waiting to be sent",
            says="By channel. A provider that limits us makes this grow for its channel alone.",
            queries=(Query(f"bot_outbox_pending{{{CHOSEN}}}", "{{channel}}"),),
            runbook="OutboxStuck",
        ),
        Series(
            "Failing share by channel",
            says="One alone is that network, or its token.",
            queries=(Query(share("bot_messages_total", FAILED, "channel", where=COUNTED), "{{channel}}"),),
            unit=RATIO,
            limits=failing("delivery_channel"),
            runbook="DeliveryChannelBurn",
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
    uid="channels",
    title="Channels",
    asks=("Is a network silent, or disconnected?", "Do we acknowledge in time?", "Who refuses whom?", "Do answers get out?"),
    variables=(Variable("channel", "Channel", "bot_messages_total", "channel"),),
    rows=(VERDICT, HEALTH, IN, OUT),
)
