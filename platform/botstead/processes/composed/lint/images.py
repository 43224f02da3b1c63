"""Which images, and what of them must be set so that they do no harm."""

from __future__ import annotations

import re
from collections.abc import Iterator

from botstead.processes.composed.lint.model import OWN, Composed, Rule, Service

GONE = ("minio/", "bitnami/", "promtail", "containrrr/watchtower", "willfarrell/autoheal", "cadvisor")
"""Images that were withdrawn, need the engine's socket, or run privileged."""
PINNED = re.compile(r"v?\d+\.\d+")
GZIP_LEAKS = range(3)
"""Minor releases of Grafana 13 that leak memory when they compress (grafana/grafana#123017)."""


def pinned(composed: Composed) -> Iterator[tuple[str, str]]:
    """A tag names one release, or one day's pull brings another program (and another collation)."""
    for name, service in composed.services.items():
        if service.short == OWN:
            if service.tag in ("", "latest"):
                yield name, "Our image has no version. Set BOTSTEAD_VERSION to one."
            if service.pull_policy != "never":
                yield name, "A registry may hold anybody's image under our name. Set `pull_policy: never`."
        elif not ("@sha256:" in service.image or PINNED.match(service.tag)):
            yield name, f"{service.image} floats. Pin a release, such as {service.short}:1.2.3, or a digest."


def gone(composed: Composed) -> Iterator[tuple[str, str]]:
    """One image that cannot be pulled stops all of them."""
    for name, service in composed.services.items():
        if found := [word for word in GONE if word in service.image]:
            yield name, f"{service.image} ({found[0]}) must not be shipped: it was withdrawn, or needs too many rights."


def settings(composed: Composed) -> Iterator[tuple[str, str]]:
    """Settings without which a certain image fails."""
    for name, service in composed.services.items():
        if service.short == "grafana" and _leaks(service):
            yield name, "This Grafana leaks memory with compression. Set GF_SERVER_ENABLE_GZIP=false, or take 13.3."
        if service.short == "postgres-exporter" and "--collector.stat_checkpointer" not in (service.command or []):
            yield name, "From Postgres 17 on checkpoints are missing. Add --collector.stat_checkpointer."
        if service.short == "postgres" and _database_floats(service):
            yield name, "Collation follows the image's libc. Set --locale-provider=builtin --builtin-locale=C.UTF-8."


def _leaks(service: Service) -> bool:
    version = re.match(r"13\.(\d+)", service.tag)
    gzip = (service.environment.get("GF_SERVER_ENABLE_GZIP") or "false").lower()
    return gzip != "false" and version is not None and int(version[1]) in GZIP_LEAKS


def _database_floats(service: Service) -> bool:
    arguments = service.environment.get("POSTGRES_INITDB_ARGS") or ""
    return not {"--locale-provider=builtin", "--builtin-locale=C.UTF-8"} <= set(arguments.split())


RULES = (Rule("image-pinned", (2, 22), pinned), Rule("image-gone", (22,), gone), Rule("image-settings", (2, 27, 29), settings))
