"""Is it us, or the service that we ask?"""

from __future__ import annotations

from dashboards.design import (
    RATIO,
    REQUESTS,
    SECONDS,
    Board,
    Column,
    Query,
    Row,
    Series,
    Stat,
    Table,
    Variable,
)
from dashboards.limits import failing
from dashboards.queries import SHOWN, against, counted, increase, quantile, quantiles, rate, share

CHOSEN = 'integration=~"$integration"'
REQUESTED = "integration_requests_total"
UNSERVED = 'outcome=~"error|timeout|refused|limited"'
ASKED = 'outcome=~"ok|stale|error|timeout|refused"'
TROUBLE = 'outcome=~"stale|error|timeout|refused"'

VERDICT = Row(
    "Do bots get what they ask for?",
    (
        Stat(
            "Not served",
            says="Share of questions answered neither live nor from a fresh enough cache. People notice these.",
            queries=(Query(share(REQUESTED, UNSERVED, where=CHOSEN)),),
            unit=RATIO,
            limits=failing("integration_served"),
            runbook="IntegrationServedBurn",
        ),
        Stat(
            "Services in trouble",
            says="Share of questions that the services did not answer. The cache may still hide it from people.",
            queries=(Query(against(rate(REQUESTED, where=f"{CHOSEN},{TROUBLE}"), rate(REQUESTED, where=f"{CHOSEN},{ASKED}"))),),
            unit=RATIO,
            limits=failing("integration"),
            runbook="IntegrationBurn",
        ),
        Stat(
            "Answer time, p95",
            says="Of the services, without our cache.",
            queries=(Query(quantile(0.95, "integration_request_duration_seconds", where=CHOSEN)),),
            unit=SECONDS,
        ),
        Stat(
            "Requests a second",
            says="Questions of bots, those answered by the cache included.",
            queries=(Query(rate(REQUESTED, where=CHOSEN)),),
            unit=REQUESTS,
        ),
    ),
)

TABLE = Row(
    "Which service?",
    (
        Table(
            "Services now",
            says="In the time shown, the one that serves worst first.",
            keys={"integration": "Service"},
            columns=(
                Column("Requests", counted(REQUESTED, "integration", where=CHOSEN)),
                Column(
                    "Not served",
                    share(REQUESTED, UNSERVED, "integration", where=CHOSEN, over=SHOWN),
                    RATIO,
                    failing("integration_served"),
                ),
                Column(
                    "From the cache", share(REQUESTED, 'outcome=~"cached|stale"', "integration", where=CHOSEN, over=SHOWN), RATIO
                ),
                Column(
                    "p95",
                    quantile(0.95, "integration_request_duration_seconds", "integration", where=CHOSEN, over=SHOWN),
                    SECONDS,
                ),
            ),
            worst="Not served",
        ),
    ),
)

DETAIL = Row(
    "Since when?",
    (
        Series(
            "Outcomes",
            says="Questions a second. Cached and ok are well; stale hides trouble; the others are trouble.",
            queries=(Query(rate(REQUESTED, "outcome", where=CHOSEN), "{{outcome}}"),),
            unit=REQUESTS,
            stacked=True,
            runbook="IntegrationBurn",
        ),
        Series(
            "Answer time",
            says="Of the services, without our cache. A point opens the trace of one message that waited for it.",
            queries=quantiles("integration_request_duration_seconds", where=CHOSEN),
            unit=SECONDS,
        ),
        Series(
            "Caches",
            says="Questions to caches a second, by what came back. Bypass is a cache that could not be asked.",
            queries=(Query(rate("cache_requests_total", "result"), "{{result}}"),),
            unit=REQUESTS,
            stacked=True,
        ),
        Series(
            "Answer time by service, p95",
            says="One slow service holds up only the bots that ask it.",
            queries=(
                Query(quantile(0.95, "integration_request_duration_seconds", "integration", where=CHOSEN), "{{integration}}"),
            ),
            unit=SECONDS,
        ),
    ),
)

MODELS = Row(
    "What do language models take?",
    (
        Series(
            "Tokens",
            says="Sent to models (in) and answered by them (out), a second, by bot.",
            queries=(Query(rate("bot_llm_tokens_total", "bot", "direction"), "{{bot}} {{direction}}"),),
            unit="count:token/s",
        ),
        Series(
            "Cost",
            says="Between two points, in the currency of each bot's [llm]. What is left of the day: botstead bots report.",
            queries=(Query(increase("bot_llm_cost_total", "bot", over="$__rate_interval"), "{{bot}}"),),
        ),
        Series(
            "Stopped by the budget",
            says="Questions a second that were not asked, because the day's budget is used up. The person was told so.",
            queries=(Query(rate("bot_llm_refusals_total", "bot"), "{{bot}}"),),
            unit=REQUESTS,
        ),
    ),
)

BOARD = Board(
    uid="integrations",
    title="Integrations",
    asks=("Is it us, or the service that we ask?", "Does the cache carry us?", "What do language models take?"),
    variables=(Variable("integration", "Service", "integration_requests_total", "integration"),),
    rows=(VERDICT, TABLE, DETAIL, MODELS),
)
