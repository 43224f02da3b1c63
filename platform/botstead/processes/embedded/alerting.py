"""What the appliance starts besides, so that somebody hears of faults: Prometheus with our rules, Alertmanager with our routes.

Nothing else waits for them or ends with them: bots run the same without.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from botstead.operate.alerting.files import rule_files
from botstead.operate.alerting.receivers import load_receivers, placed
from botstead.operate.alerting.routing import alertmanager as configuration_of
from botstead.operate.alerting.routing import load_routing
from botstead.operate.alerting.rules import Links, Time
from botstead.processes.embedded import alertmanager, distribution, prometheus
from botstead.processes.embedded.child import Program
from botstead.processes.embedded.prometheus import Target

NONE = "none"
"""The setting that turns it off."""


class Alerting(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be started.

    Args:
        programs: in this order; empty when nothing is installed.
        prometheus: its URL, or None.
        alertmanager: its URL, or None.
        notes: sentences for the operator: what is not installed, what nobody hears.
    """

    programs: tuple[Program, ...] = ()
    prometheus: str | None = None
    alertmanager: str | None = None
    notes: tuple[str, ...] = ()


def prepare(  # noqa: PLR0913  # each by name
    data: Path,
    targets: Iterable[Target],
    *,
    prometheus_port: int,
    alertmanager_port: int,
    time: Time | None = None,
    links: Links | None = None,
    scrape_seconds: float = prometheus.SCRAPE_SECONDS,
) -> Alerting:
    """Write their files and return how they are run.

    Args:
        data: the data folder; the operator's `receivers.yml` is there.
        targets: what is scraped.
        prometheus_port: loopback port.
        alertmanager_port: loopback port.
        time: scale of rules and routes; 1 when it is None.
        links: where the links of alerts lead.
        scrape_seconds: between two scrapes.

    Raises:
        ConfigurationError: a file is wrong, the operator's or ours; the message names it and the line.
    """
    programs: list[Program] = []
    notes = [note] if (note := distribution.missing()) else []
    teller, watcher = distribution.find("alertmanager"), distribution.find("prometheus")
    if teller:
        program, unheard = _teller(data, teller, alertmanager_port, time)
        programs.append(program)
        notes += unheard
    if watcher:
        site = prometheus.Site(
            port=prometheus_port,
            targets=tuple(targets),
            rules=rule_files(time, links),
            alertmanager=alertmanager_port if teller else 0,
            scrape_seconds=scrape_seconds,
        )
        programs.append(prometheus.prepare(data, site, program=watcher))
    return Alerting(
        programs=tuple(programs),
        prometheus=f"http://127.0.0.1:{prometheus_port}" if watcher else None,
        alertmanager=f"http://127.0.0.1:{alertmanager_port}" if teller else None,
        notes=tuple(notes),
    )


def _teller(data: Path, path: str, port: int, time: Time | None) -> tuple[Program, list[str]]:
    receivers = data / alertmanager.RECEIVERS
    made = configuration_of(
        load_routing(),
        placed(load_receivers(receivers), data),
        version=distribution.version(path),
        read=lambda path: Path(path).read_text("utf-8"),
        time=time,
        path=str(receivers),
    )
    unheard = (
        [] if not made.unheard else [f"Nobody hears of everything yet: name receivers in {receivers}, see alerts/README.md."]
    )
    return alertmanager.prepare(data, port=port, program=path, configuration=made.text), unheard
