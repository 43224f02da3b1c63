"""The embedded Prometheus, where one is installed: it scrapes each process under its stable name, and loads our rules."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from botstead.processes.embedded import probes
from botstead.processes.embedded.child import Program
from botstead.processes.embedded.folder import write_whole

SCRAPE_SECONDS = 15.0
RETENTION_DAYS = 35
"""Budgets are of 30 days."""
RETENTION_BYTES = 2_000_000_000
RETENTION_SHARE = 0.1
"""Of the disk, where that is less."""
RESEND_SECONDS = 10
"""After so long Alertmanager is told again of an alert; it may have been starting. The usual minute is long."""
MOST_SAMPLES = 20_000_000
"""Samples that one query may load: on a machine of 1 GB a careless one must not take everything."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A process that serves `/metrics` on loopback.

    Args:
        job: its role.
        instance: its stable name; not its pid and not its port, so that a restart makes no new series.
        port: where.
    """

    job: str
    instance: str
    port: int


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """What Prometheus is told.

    Args:
        port: loopback port to listen on.
        targets: what is scraped, itself not included.
        rules: rule files, name to content.
        alertmanager: loopback port of Alertmanager, 0 for none.
        scrape_seconds: between two scrapes, and between two evaluations of rules that say nothing else.
    """

    port: int
    targets: tuple[Target, ...]
    rules: Mapping[str, str]
    alertmanager: int = 0
    scrape_seconds: float = SCRAPE_SECONDS


def prepare(data: Path, site: Site, *, program: str) -> Program:
    """Return how Prometheus is run.

    Args:
        data: the data folder.
        site: what it is told.
        program: its path.
    """
    folder = data / "prometheus"
    folder.mkdir(exist_ok=True, mode=0o700)
    _write_rules(folder / "rules", site.rules)
    write_whole(folder / "targets.json", targets(site))
    settings = folder / "prometheus.yml"
    write_whole(settings, yaml.safe_dump(configuration(folder, site), sort_keys=False).encode())
    size = int(min(RETENTION_BYTES, RETENTION_SHARE * shutil.disk_usage(folder).total))
    return Program(
        role="prometheus",
        instance="prometheus",
        command=(
            program,
            f"--config.file={settings}",
            f"--storage.tsdb.path={folder / 'series'}",
            f"--storage.tsdb.retention.time={RETENTION_DAYS}d",
            f"--storage.tsdb.retention.size={size // 1_000_000}MB",
            f"--query.max-samples={MOST_SAMPLES}",
            f"--web.listen-address=127.0.0.1:{site.port}",
            f"--web.external-url=http://127.0.0.1:{site.port}",
            "--enable-feature=exemplar-storage",
            f"--rules.alert.resend-delay={RESEND_SECONDS}s",
            "--log.level=warn",
        ),
        environment={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
        folder=folder,
        ready=probes.http(site.port, "/-/ready"),
        stop_seconds=20.0,
        essential=False,
    )


def configuration(folder: Path, site: Site) -> dict[str, Any]:
    """Return its configuration (https://prometheus.io/docs/prometheus/2.42/configuration/configuration/).

    Args:
        folder: of its files.
        site: what it is told.
    """
    every = f"{round(site.scrape_seconds * 1000)}ms"
    found: dict[str, Any] = {
        "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
        "rule_files": [str(folder / "rules" / "*.rules.yml")],
        "scrape_configs": [{"job_name": "appliance", "file_sd_configs": [{"files": [str(folder / "targets.json")]}]}],
    }
    if site.alertmanager:
        found["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{site.alertmanager}"]}]}]}
    return found


def targets(site: Site) -> bytes:
    """Return the file of targets, each under its own job and instance; Prometheus reads it again when it changes.

    Args:
        site: what it is told.
    """
    own = [Target(job="prometheus", instance="prometheus", port=site.port)]
    if site.alertmanager:
        own.append(Target(job="alertmanager", instance="alertmanager", port=site.alertmanager))
    groups = [_group(target) for target in (*site.targets, *own)]
    return msgspec.json.format(msgspec.json.encode(groups), indent=2) + b"\n"


def _group(target: Target) -> dict[str, Any]:
    return {"targets": [f"127.0.0.1:{target.port}"], "labels": {"job": target.job, "instance": target.instance}}


def _write_rules(folder: Path, rules: Mapping[str, str]) -> None:
    """Write the rule files, and remove those that are no more."""
    folder.mkdir(exist_ok=True, mode=0o700)
    for name in _stale(folder, rules):
        (folder / name).unlink()
    for name, text in rules.items():
        write_whole(folder / name, text.encode())


def _stale(folder: Path, rules: Mapping[str, str]) -> Iterable[str]:
    return [path.name for path in folder.iterdir() if path.name not in rules]
