"""Does money come in, and does everybody get something for it?"""

from __future__ import annotations

from dashboards.design import MESSAGES, SECONDS, Board, Limits, Query, Row, Series, Stat
from dashboards.limits import limit
from dashboards.queries import counted, rate

STATES = "payments_total"
TRIES = "payment_attempts_total"

VERDICT = Row(
    "Does everybody get something for their money?",
    (
        Stat(
            "Paid and not answered for",
            says="Payments that are paid, or do not match what was asked for. A paid one is here for some seconds.",
            queries=(Query("sum(payments_unfulfilled)"),),
            runbook="PaymentUnfulfilled",
        ),
        Stat(
            "Longest since paid",
            says="How long the oldest of them has waited for its bot. None is 0.",
            queries=(Query("time() - min(payments_unfulfilled_oldest_timestamp_seconds) or vector(0)"),),
            unit=SECONDS,
            limits=Limits(bad=limit("PaymentUnfulfilled", "waiting")),
            runbook="PaymentUnfulfilled",
        ),
        Stat(
            "Unknown tries",
            says="Requests to providers whose end nobody knows yet. They are repeated under their key, and asked about.",
            queries=(Query("sum(payment_attempts_unknown)"),),
            runbook="PaymentUnknown",
        ),
        Stat(
            "Longest unknown",
            says="Since when the oldest of them is unknown. None is 0.",
            queries=(Query("time() - min(payment_attempts_unknown_oldest_timestamp_seconds) or vector(0)"),),
            unit=SECONDS,
            limits=Limits(warn=limit("PaymentUnknown", "waiting")),
            runbook="PaymentUnknown",
        ),
        Stat(
            "Paid",
            says="Payments that were paid in the time shown. Which ones: `botstead payments list`.",
            queries=(Query(counted(STATES, where='state="paid"')),),
        ),
    ),
)

DETAIL = Row(
    "Since when?",
    (
        Series(
            "Oldest paid and not answered for",
            says="It falls back to nothing when the bot has done its part.",
            queries=(Query("max(time() - payments_unfulfilled_oldest_timestamp_seconds) or vector(0)", "oldest"),),
            unit=SECONDS,
            limits=Limits(bad=limit("PaymentUnfulfilled", "waiting")),
            runbook="PaymentUnfulfilled",
        ),
        Series(
            "Oldest unknown try",
            says="A try is unknown for as long as its provider is away.",
            queries=(Query("max(time() - payment_attempts_unknown_oldest_timestamp_seconds) or vector(0)", "oldest"),),
            unit=SECONDS,
            limits=Limits(warn=limit("PaymentUnknown", "waiting")),
            runbook="PaymentUnknown",
        ),
        Series(
            "Payments",
            says="Payments a second, by the state that they came to.",
            queries=(Query(rate(STATES, "state"), "{{state}}"),),
            unit=MESSAGES,
        ),
        Series(
            "Providers",
            says="Payments that were paid, a second, by provider; testpay moves no money.",
            queries=(Query(rate(STATES, "provider", where='state="paid"'), "{{provider}}"),),
            unit=MESSAGES,
        ),
        Series(
            "Tries",
            says="Requests to providers a second, by how they ended.",
            queries=(Query(rate(TRIES, "kind", "outcome"), "{{kind}} {{outcome}}"),),
            unit=MESSAGES,
            runbook="PaymentUnknown",
        ),
    ),
)

BOARD = Board(
    uid="payments",
    title="Payments",
    asks=("Does everybody get something for their money?", "Do payment providers answer?"),
    rows=(VERDICT, DETAIL),
)
