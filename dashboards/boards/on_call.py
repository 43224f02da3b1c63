"""What wakes people, does it reach them, was it worth it? And who watches the watchers?"""

from __future__ import annotations

from dashboards.design import (
    BAD,
    EVENTS,
    GOOD,
    SECONDS,
    WARN,
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
from dashboards.limits import limit
from dashboards.queries import quantile, rate

OPEN = 'ALERTS{severity=~"page|ticket"}'
FIRING = 'ALERTS{alertstate="firing",severity=~"page|ticket"}'
PAGES = 'ALERTS{alertstate="firing",severity="page"}'
SERIES = limit("SeriesBudget", "series")
LABELS = {
    "alertname": "Alert",
    "severity": "Severity",
    "alertstate": "State",
    "slo": "Objective",
    "bot": "Bot",
    "channel": "Channel",
    "instance": "Process",
}

VERDICT = Row(
    "Who is needed?",
    (
        Stat(
            "Pages",
            says="Alerts that woke somebody and are not over.",
            queries=(Query(f"count({PAGES}) or vector(0)"),),
            limits=Limits(bad=1),
        ),
        Stat(
            "Tickets",
            says="What somebody must look at in the morning.",
            queries=(Query('count(ALERTS{alertstate="firing",severity="ticket"}) or vector(0)'),),
            limits=Limits(warn=1),
        ),
        Stat(
            "About to fire",
            says="Alerts that are true and wait until their time is up.",
            queries=(Query('count(ALERTS{alertstate="pending"}) or vector(0)'),),
        ),
        Stat(
            "Hidden",
            says="Alerts that somebody silenced, or that a graver one hides.",
            queries=(Query('sum(alertmanager_alerts{state="suppressed"})'),),
            limits=Limits(warn=1),
        ),
        Stat(
            "Not delivered",
            says="Messages to people that failed in the time shown. The way to you is broken.",
            queries=(Query("round(sum(increase(alertmanager_notifications_failed_total[$__range])))"),),
            limits=Limits(bad=1),
            runbook="NotificationsFailing",
        ),
        Stat(
            "Not read",
            says="Targets that Prometheus cannot read. Their figures are missing on every board.",
            queries=(Query("count(up == 0) or vector(0)"),),
            limits=Limits(bad=1),
            runbook="ScrapeFailing",
        ),
    ),
)

NOW = Row(
    "What is it, and since when?",
    (
        Table(
            "Alerts now",
            says="Firing or about to. The text and the links are in the message that was sent.",
            keys=LABELS,
            columns=(Column("Alerts", f"count by ({', '.join(LABELS)}) ({OPEN})"),),
            worst="Severity",
            rising=True,
            empty_ok="nothing is wrong",
        ),
        States(
            "Alerts by time",
            says="A bar is the time in which an alert fired. Many short bars are noise: mend the rule.",
            queries=(Query(f"max by (alertname, slo) ({FIRING})", "{{alertname}} {{slo}}"),),
            words={1: ("fires", BAD)},
            empty_ok="nothing fired",
            wide=12,
        ),
        Series(
            "Minutes of pages in a day",
            says="The ten alerts that kept people busy longest in the last day.",
            queries=(Query(f"topk(10, sum by (alertname) (count_over_time({PAGES}[1d:1m])))", "{{alertname}}"),),
            unit="m",
            empty_ok="nothing woke anybody for a day",
        ),
    ),
)

PATH = Row(
    "Does it reach a person?",
    (
        Series(
            "Notifications",
            says="Messages to people, by receiver, and those that failed. Failed ones are never normal.",
            queries=(
                Query(
                    "sum by (integration) (increase(alertmanager_notifications_total[$__rate_interval])) > 0", "{{integration}}"
                ),
                Query(
                    "sum by (integration) (increase(alertmanager_notifications_failed_total[$__rate_interval])) > 0",
                    "{{integration}} failed",
                ),
            ),
            runbook="NotificationsFailing",
            empty_ok="no message had to be sent",
        ),
        States(
            "Heartbeat",
            says="The watchdog fires always, and some Alertmanager is there to take it. In a gap no alert could come.",
            queries=(
                Query('max(ALERTS{alertname="Watchdog",alertstate="firing"})', "watchdog"),
                Query("clamp_max(max(prometheus_notifications_alertmanagers_discovered), 1)", "Alertmanager"),
            ),
            words={0: ("away", BAD), 1: ("there", GOOD)},
            runbook="Watchdog",
            wide=12,
        ),
        Series(
            "Alerts that Alertmanager holds",
            says="Active ones go out; suppressed ones are silenced or hidden by a graver one.",
            queries=(Query("sum by (state) (alertmanager_alerts)", "{{state}}"),),
        ),
        Series(
            "Silences",
            says="In force and coming. A silence without an end is a fault that waits.",
            queries=(Query('sum by (state) (alertmanager_silences{state!="expired"})', "{{state}}"),),
        ),
    ),
)

WATCHERS = Row(
    "Can the figures be trusted?",
    (
        States(
            "Targets",
            says="What Prometheus reads. A gap is a restart of Prometheus itself.",
            queries=(Query("up", "{{instance}}"),),
            words={0: ("away", BAD), 1: ("read", GOOD)},
            runbook="ScrapeFailing",
            wide=12,
        ),
        States(
            "Configuration",
            says="Whether Prometheus and Alertmanager took their last one. If not, they go on with the one before.",
            queries=(
                Query(
                    "prometheus_config_last_reload_successful or alertmanager_config_last_reload_successful",
                    "{{job}} {{instance}}",
                ),
            ),
            words={0: ("refused", WARN), 1: ("taken", GOOD)},
            runbook="ConfigReloadFailed",
            wide=12,
        ),
        Series(
            "Rules",
            says="Time of the slowest group as a share of its interval, and failures. At 1 evaluations are missed.",
            queries=(
                Query(
                    "max(prometheus_rule_group_last_duration_seconds / prometheus_rule_group_interval_seconds)", "slowest group"
                ),
                Query("sum(increase(prometheus_rule_evaluation_failures_total[$__rate_interval]))", "failed evaluations"),
            ),
            limits=Limits(bad=1),
            runbook="RuleEvaluationFailing",
        ),
        Series(
            "Series",
            says="Of each target. It climbs with bots and channels, and then stays; the limit is the budget of a process.",
            queries=(Query("max by (job, instance) (scrape_samples_scraped)", "{{instance}}"),),
            limits=Limits(warn=SERIES),
            runbook="SeriesBudget",
        ),
    ),
)

DETAIL = Row(
    "Metrics of the metrics",
    (
        Series(
            "Label overflow",
            says="Label values that nobody had registered, by metric. A bug, or somebody who tries to fill the memory.",
            queries=(Query("sum by (metric) (increase(botstead_label_overflow_total[$__rate_interval])) > 0", "{{metric}}"),),
            runbook="LabelOverflow",
            empty_ok="no label overflowed",
        ),
        Series(
            "Series in Prometheus",
            says="All of the appliance. Prometheus takes some 4 KB of memory for each; the limit is eight full processes.",
            queries=(Query("max(prometheus_tsdb_head_series)", "series"),),
            limits=Limits(warn=8 * SERIES),
            runbook="SeriesBudget",
        ),
        Series(
            "Time to write a page of metrics",
            says="p95 of each process, in a thread of its own; the event loop does not wait for it.",
            queries=(Query(quantile(0.95, "botstead_scrape_duration_seconds", "instance"), "{{instance}}"),),
            unit=SECONDS,
        ),
        Series(
            "Traces",
            says="Spans for a collector, and hops that are remembered, a second. What is refused or dropped is missing later.",
            queries=(
                Query(rate("botstead_trace_spans_total", "outcome") + " > 0", "spans {{outcome}}"),
                Query(rate("botstead_trace_hops_total", "outcome") + " > 0", "hops {{outcome}}"),
            ),
            unit=EVENTS,
            empty_ok="no message was slow, failed or sampled",
        ),
        Table(
            "Versions and settings",
            says="What runs where. Digests of settings differ where processes were started differently.",
            keys={"job": "Role", "instance": "Process", "version": "Version", "python": "Python", "digest": "Settings"},
            columns=(
                Column(
                    "Up for",
                    "(time() - process_start_time_seconds) * on (job, instance) group_left (version, python) botstead_build_info"
                    " * on (job, instance) group_left (digest) botstead_config_info",
                    SECONDS,
                ),
            ),
            worst="Up for",
            rising=True,
            wide=12,
        ),
    ),
    closed=True,
)

BOARD = Board(
    uid="on-call",
    title="On call",
    asks=(
        "What fires, and since when?",
        "Does an alert reach a person?",
        "Which alert is noise?",
        "Can the figures be trusted?",
        "Which version runs where?",
    ),
    rows=(VERDICT, NOW, PATH, WATCHERS, DETAIL),
)
