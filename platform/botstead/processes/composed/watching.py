"""What `botstead configure` writes for those who watch an appliance on Compose: rules, targets, routes, data sources.

Everything else of them is a file in `compose/`. These depend on the public address, on which profiles run, and on the operator's
receivers, so they are written into a volume before Prometheus, Alertmanager and Grafana start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from botstead.core.errors import ConfigurationError
from botstead.operate.alerting.files import rule_files
from botstead.operate.alerting.receivers import RECEIVERS, files_of, load_receivers, placed
from botstead.operate.alerting.routing import alertmanager, load_routing
from botstead.operate.alerting.rules import Links
from botstead.processes.embedded.folder import write_whole

PROFILES = ("scheduler", "scale", "grafana", "traces", "logs", "exporters")
"""Profiles of compose.yaml. A given file of one's name is taken while it is on; a file with another name always."""
ALERTMANAGER = (0, 33)
"""The version that is shipped: it reads each secret from its file, so none stands in what is written here."""
GIVEN = {"targets": "targets", "datasources": "grafana/datasources", "dashboards": "grafana/dashboards"}
"""Folder of given files, as they are, to where they go."""
SHIPPED_EMPTY = ("grafana/plugins/none.yml", "grafana/alerting/none.yml")
"""Grafana complains at each start about a folder of provisioning that is not there."""
EVERYBODY = 0o644
"""Containers run as different users, and nothing here is secret."""


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """Where an appliance is.

    Args:
        public_url: its address, as a browser reaches it.
        profiles: those that run.
        receivers: folder with the operator's `receivers.yml` and the files that it names, as Alertmanager sees it too.
        given: folder with what is taken as it is.
    """

    public_url: str
    profiles: tuple[str, ...]
    receivers: Path
    given: Path


class Written(msgspec.Struct, frozen=True):
    """What was written: the number of files, and sentences about what nobody hears."""

    files: int
    unheard: tuple[str, ...]


def active(text: str) -> tuple[str, ...]:
    """Return the profiles in `COMPOSE_PROFILES`.

    Args:
        text: names separated by commas.

    Raises:
        ConfigurationError: there is no such profile: what is meant would silently not be scraped.
    """
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if unknown := [name for name in names if name not in (*PROFILES, "*")]:
        raise ConfigurationError(f"There is no profile {unknown[0]}. COMPOSE_PROFILES in .env may name {', '.join(PROFILES)}.")
    return PROFILES if "*" in names else names


def links(public_url: str) -> Links:
    """Return where the links of alerts lead: boards and queries to Grafana behind the edge, runbooks to the API.

    Args:
        public_url: the appliance's address.
    """
    base = public_url.rstrip("/")
    return Links(dashboards=f"{base}/grafana", runbooks=f"{base}/runbooks/", prometheus="")


def write(folder: Path, site: Site) -> Written:
    """Write all of it, and remove what is no more.

    Args:
        folder: where to.
        site: what it depends on.

    Raises:
        ConfigurationError: the operator's receivers, or a given file, cannot be used; then nothing is written.
    """
    told = placed(load_receivers(site.receivers / RECEIVERS), site.receivers)
    absent = [path for each in told for path in files_of(each).values() if not Path(path).is_file()]
    if absent:  # Alertmanager would start, and tell nobody
        raise ConfigurationError(f"{absent[0]} is not there, but {RECEIVERS} names it: nobody would be told.")
    routes = alertmanager(
        load_routing(),
        told,
        version=ALERTMANAGER,
        read=lambda path: Path(path).read_text("utf-8"),
        path=f"secrets/receivers/{RECEIVERS}",
    )
    rules = {f"rules/{name}": text for name, text in rule_files(links=links(site.public_url)).items()}
    files = {**rules, **_given(site), **dict.fromkeys(SHIPPED_EMPTY, "apiVersion: 1\n"), "alertmanager.yml": routes.text}
    _replace(folder, files)
    return Written(len(files), routes.unheard)


def _given(site: Site) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for source, target in GIVEN.items():
        paths = sorted((site.given / source).rglob("*.yml"))
        if not paths:
            raise ConfigurationError(f"{site.given / source} is empty. It is mounted by compose/observability.yaml.")
        found |= {f"{target}/{path.name}": path.read_text("utf-8") for path in paths if _wanted(path.stem, site.profiles)}
    return found


def _wanted(name: str, profiles: Iterable[str]) -> bool:
    return name not in PROFILES or name in profiles


def _replace(folder: Path, files: Mapping[str, str]) -> None:
    """Write files, then remove others: whoever reads meanwhile finds what was or what is."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode(), mode=EVERYBODY)
    for path in [path for path in folder.rglob("*") if path.is_file() and str(path.relative_to(folder)) not in files]:
        path.unlink()
