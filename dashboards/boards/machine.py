"""Is the machine too small? Use, waits and errors of what everything runs on, and of each of our processes."""

from __future__ import annotations

from dashboards.design import BYTES, EVENTS, RATIO, SECONDS, Board, Limits, Query, Row, Series, Stat, Variable
from dashboards.limits import limit
from dashboards.queries import quantile, rate

CHOSEN = 'instance=~"$instance"'
MODES = 'sum by (mode) (rate(host_cpu_seconds_total{mode!="idle"}[$__rate_interval]))'
BUSY = (
    '1 - sum(rate(host_cpu_seconds_total{mode="idle"}[$__rate_interval])) / sum(rate(host_cpu_seconds_total[$__rate_interval]))'
)
FULL = "1 - host_disk_free_bytes / host_disk_size_bytes"
LAG = "event_loop_lag_seconds"

VERDICT = Row(
    "Is it enough?",
    (
        Stat("Processors used", says="Of all. Full is no fault while nothing waits for it.", queries=(Query(BUSY),), unit=RATIO),
        Stat(
            "Waiting for processors",
            says="Share of time in which something waited for a processor. This is what people feel, not the use.",
            queries=(Query('max(rate(host_pressure_waiting_seconds_total{resource="cpu"}[$__rate_interval]))'),),
            unit=RATIO,
            empty_ok="this kernel does not measure pressure",
        ),
        Stat(
            "Memory used",
            says="What programs cannot get any more. Above nine tenths the kernel soon kills something.",
            queries=(Query("1 - host_memory_available_bytes / host_memory_total_bytes"),),
            unit=RATIO,
            limits=Limits(warn=0.9),
            runbook="OomKill",
        ),
        Stat(
            "Disk used",
            says="Of the file system with our data. A full one stops Postgres.",
            queries=(Query(FULL),),
            unit=RATIO,
            limits=Limits(warn=limit("DiskFull4h", "used"), bad=1 - limit("DiskFull", "left")),
            runbook="DiskFull",
        ),
        Stat(
            "Processes missing",
            says="Of ours, those that Prometheus cannot read. 0 is normal.",
            queries=(Query('count(up{job=~"api|worker|scheduler"} == 0) or vector(0)'),),
            limits=Limits(bad=1),
            runbook="ProcessDown",
            opens="on-call",
        ),
        Stat(
            "Clock skew",
            says="Ours minus that of Postgres. Beyond some seconds signatures of networks stop to fit.",
            queries=(Query("max(abs(host_clock_skew_seconds))"),),
            unit=SECONDS,
            limits=Limits(bad=limit("ClockSkew", "skew")),
            runbook="ClockSkew",
        ),
    ),
)

HOST = Row(
    "What is used, what waits?",
    (
        Series(
            "Processor time",
            says="Processors in use. Steal is what the host gave to others: ask for a better place.",
            queries=(Query(MODES, "{{mode}}"),),
            stacked=True,
            runbook="CpuSteal",
        ),
        Series(
            "Pressure",
            says="Share of time in which something waited for a processor, for memory, or for the disk.",
            queries=(Query("rate(host_pressure_waiting_seconds_total[$__rate_interval])", "{{resource}}"),),
            unit=RATIO,
            limits=Limits(warn=limit("MemoryPressure", "waits")),
            runbook="MemoryPressure",
            empty_ok="this kernel does not measure pressure",
        ),
        Series(
            "Memory",
            says="What programs can still get, and what there is.",
            queries=(Query("host_memory_available_bytes", "available"), Query("host_memory_total_bytes", "all")),
            unit=BYTES,
            runbook="OomKill",
        ),
        Series(
            "Disk",
            says="Use now, and where the last hour leads to in four hours. Make room before the second line meets the top.",
            queries=(
                Query(FULL, "used"),
                Query("clamp(1 - predict_linear(host_disk_free_bytes[1h], 14400) / host_disk_size_bytes, 0, 1)", "in 4 hours"),
            ),
            unit=RATIO,
            most=1,
            limits=Limits(warn=limit("DiskFull4h", "used"), bad=1 - limit("DiskFull", "left")),
            runbook="DiskFull4h",
        ),
        Series(
            "Killed for want of memory",
            says="By the kernel. Not even one is normal.",
            queries=(Query("increase(host_oom_kills_total[$__rate_interval])", "killed"),),
            runbook="OomKill",
        ),
        Series(
            "Clock",
            says="Ours minus that of Postgres. Beyond the limit signatures of networks stop to fit.",
            queries=(Query("max(abs(host_clock_skew_seconds))", "skew"),),
            unit=SECONDS,
            limits=Limits(bad=limit("ClockSkew", "skew")),
            runbook="ClockSkew",
        ),
    ),
)

OURS = Row(
    "Which process?",
    (
        Series(
            "Processor time of each process",
            says="1 is one processor. A process uses one at most: at 0.8 start another one.",
            queries=(Query(f"rate(process_cpu_seconds_total{{{CHOSEN}}}[$__rate_interval])", "{{instance}}"),),
            limits=Limits(warn=0.8),
        ),
        Series(
            "Memory of each process",
            says="It climbs for some minutes after a start, and then stays.",
            queries=(Query(f"process_resident_memory_bytes{{{CHOSEN}}}", "{{instance}}"),),
            unit=BYTES,
            runbook="MemoryPressure",
        ),
        Series(
            "Event loop lag",
            says="p99: how late a process runs what is due. Above the limit a handler does what belongs in a thread.",
            queries=(Query(quantile(0.99, LAG, "instance", where=CHOSEN), "{{instance}}"),),
            unit=SECONDS,
            limits=Limits(warn=limit("EventLoopBlocked", "lag")),
            runbook="EventLoopBlocked",
        ),
        Series(
            "Open files of each process",
            says="Connections are files. A line that only climbs is a leak.",
            queries=(Query(f"process_open_fds{{{CHOSEN}}} / process_max_fds{{{CHOSEN}}}", "{{instance}}"),),
            unit=RATIO,
        ),
        Series(
            "Garbage collections",
            says="A second, by generation; generation 2 looks at everything and stops the process meanwhile.",
            queries=(Query(rate("python_gc_collections_total", "generation", where=CHOSEN), "generation {{generation}}"),),
            unit=EVENTS,
        ),
        Series(
            "Virtual memory of each process",
            says="Address space, not memory: only its growth says something.",
            queries=(Query(f"process_virtual_memory_bytes{{{CHOSEN}}}", "{{instance}}"),),
            unit=BYTES,
        ),
    ),
)

BOARD = Board(
    uid="machine",
    title="Machine",
    asks=("Is the machine too small?", "What do things wait for?", "Which process eats it?", "When is the disk full?"),
    variables=(Variable("instance", "Process", "process_start_time_seconds", "instance"),),
    rows=(VERDICT, HOST, OURS),
)
