"""Does the API answer, and which route does not?"""

from __future__ import annotations

from dashboards.design import RATIO, REQUESTS, SECONDS, Board, Column, Limits, Query, Row, Series, Stat, Table, Variable
from dashboards.limits import failing, within
from dashboards.queries import SHOWN, counted, quantile, quantiles, rate, share, slower

HTTP = "http_server_request_duration_seconds"
CHOSEN = 'http_route=~"$route"'
OURS = 'http_response_status_code="5xx"'

VERDICT = Row(
    "Does it answer?",
    (
        Stat(
            "Failing share",
            says="Answers with 5xx. They are our faults: a stranger can only cause 4xx.",
            queries=(Query(share(f"{HTTP}_count", OURS, where=CHOSEN, zero=True)),),
            unit=RATIO,
            limits=failing("api_availability"),
            runbook="ApiAvailabilityBurn",
        ),
        Stat(
            "Slow share",
            says=f"Requests that took more than {within('api_latency'):g} s.",
            queries=(Query(slower(HTTP, within("api_latency"), where=CHOSEN)),),
            unit=RATIO,
            limits=failing("api_latency"),
            runbook="ApiLatencyBurn",
        ),
        Stat(
            "Answer time, p95",
            says="Of all requests to these routes.",
            queries=(Query(quantile(0.95, HTTP, where=CHOSEN)),),
            unit=SECONDS,
        ),
        Stat(
            "Requests a second",
            says="Of people, scripts and probes.",
            queries=(Query(rate(f"{HTTP}_count", where=CHOSEN)),),
            unit=REQUESTS,
        ),
        Stat(
            "Being answered",
            says="Requests that are inside now, in all API processes. It stays low; a rising line is something that hangs.",
            queries=(Query("sum(http_server_active_requests)"),),
        ),
    ),
)

TABLE = Row(
    "Which route?",
    (
        Table(
            "Routes",
            says="In the time shown, the slowest first.",
            keys={"http_route": "Route", "http_request_method": "Method"},
            columns=(
                Column("Requests", counted(f"{HTTP}_count", "http_route", "http_request_method", where=CHOSEN)),
                Column(
                    "5xx",
                    share(f"{HTTP}_count", OURS, "http_route", "http_request_method", where=CHOSEN, over=SHOWN, zero=True),
                    RATIO,
                    failing("api_availability"),
                ),
                Column(
                    "p95",
                    quantile(0.95, HTTP, "http_route", "http_request_method", where=CHOSEN, over=SHOWN),
                    SECONDS,
                    Limits(warn=within("api_latency")),
                ),
            ),
            worst="p95",
            high=10,
        ),
    ),
)

DETAIL = Row(
    "Since when?",
    (
        Series(
            "Answers",
            says="A second, by class of status.",
            queries=(Query(rate(f"{HTTP}_count", "http_response_status_code", where=CHOSEN), "{{http_response_status_code}}"),),
            unit=REQUESTS,
            stacked=True,
            runbook="ApiAvailabilityBurn",
        ),
        Series(
            "Answer time",
            says="The limit is what is promised for a write.",
            queries=quantiles(HTTP, where=CHOSEN),
            unit=SECONDS,
            limits=Limits(warn=within("api_latency")),
            runbook="ApiLatencyBurn",
        ),
        Series(
            "Reads and writes, p95",
            says="Reads are promised within a quarter of a second.",
            queries=(Query(quantile(0.95, HTTP, "http_request_method", where=CHOSEN), "{{http_request_method}}"),),
            unit=SECONDS,
            runbook="ApiLatencyBurn",
        ),
        Series(
            "Answer time by route, p95",
            says="The ten slowest.",
            queries=(Query(f"topk(10, {quantile(0.95, HTTP, 'http_route', where=CHOSEN)})", "{{http_route}}"),),
            unit=SECONDS,
        ),
    ),
)

BOARD = Board(
    uid="api",
    title="API",
    asks=("Does the API answer?", "Which route fails or is slow?"),
    variables=(Variable("route", "Route", f"{HTTP}_count", "http_route"),),
    rows=(VERDICT, TABLE, DETAIL),
)
