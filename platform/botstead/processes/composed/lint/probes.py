"""Healthchecks that the public images can really run, at a price that a small machine can pay."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from botstead.processes.composed.lint.model import OWN, Composed, Rule, Service, seconds

SHELL = frozenset({"sh", "test", "[", "exit", "true", "false", "echo"})
BUSYBOX = SHELL | {"wget", "nc", "grep"}
CAN_RUN: dict[str, frozenset[str]] = {
    OWN: frozenset({"python"}),
    "postgres": SHELL | {"pg_isready", "psql", "grep"},
    "valkey": SHELL | {"valkey-cli", "grep"},
    "caddy": BUSYBOX | {"caddy"},
    "nginx": SHELL | {"bash", "curl", "grep"},
    "haproxy": SHELL | {"haproxy", "bash", "grep"},
    "grafana": BUSYBOX | {"curl"},
}
"""Image to what its public build holds (looked up in their Dockerfiles and issues, see compose/README.md, class 8). What is not
listed is taken for distroless: it can run nothing, and Prometheus's `up` is its check."""
ALPINE = BUSYBOX
"""What every image on Alpine holds besides."""
SLOWEST, FASTEST = 20.0, 5.0
"""Seconds: at least between two checks of a service that runs, at most between two of one that starts."""
SEPARATORS = re.compile(r"\|\||&&|\||;")


def runnable(composed: Composed) -> Iterator[tuple[str, str]]:
    """A check of a program that the image lacks never succeeds, and whoever waits for it waits for ever."""
    for name, service in composed.services.items():
        lacking = sorted(set(_programs(service)) - _can_run(service))
        if lacking:
            yield name, f"{service.image} holds no {', '.join(lacking)}. Check it with what it holds, or leave it to `up`."


def present(composed: Composed) -> Iterator[tuple[str, str]]:
    """What can be checked is checked: the next service waits for it. What ends by itself is not."""
    for name, service in composed.services.items():
        if service.one_shot and service.healthcheck.words:
            yield name, "It is meant to end, and a check could end it earlier. Take the healthcheck away."
        if not service.one_shot and _can_run(service) and not service.healthcheck.words:
            yield name, f"Nobody sees whether it works. Add a healthcheck; it can run {', '.join(sorted(_can_run(service)))}."


def addresses(composed: Composed) -> Iterator[tuple[str, str]]:
    """Names that resolve to ::1, and sockets that answer before the server does."""
    for name, service in composed.services.items():
        line = " ".join(service.healthcheck.words)
        if "localhost" in line:
            yield name, "`localhost` may be ::1, where nothing listens. Write 127.0.0.1."
        if "pg_isready" in line and "-h 127.0.0.1" not in line:
            yield name, "During initdb the socket answers already. Add `-h 127.0.0.1` to pg_isready."
        if "valkey-cli" in line and "PONG" not in line:
            yield name, "valkey-cli ends with 0 although it was refused. Compare its answer with PONG."


def pace(composed: Composed) -> Iterator[tuple[str, str]]:
    """Each check starts a process: seldom while it runs, often while it starts."""
    for name, service in composed.services.items():
        probe = service.healthcheck
        if not probe.words:
            continue
        if seconds(probe.interval) < SLOWEST:
            yield name, f"It is checked every {probe.interval or '30s'}. At least {SLOWEST:.0f} s, or checks eat the CPU."
        if not 0 < seconds(probe.start_interval) <= FASTEST or not seconds(probe.start_period):
            yield name, "Its start waits for the slow check. Set start_interval: 1s and a start_period."


def _can_run(service: Service) -> frozenset[str]:
    base = CAN_RUN.get(service.short, frozenset())
    return base | ALPINE if base and "alpine" in service.tag else base


def _programs(service: Service) -> Iterator[str]:
    words = service.healthcheck.words
    if not words:
        return
    if (service.healthcheck.test or [""])[0] != "CMD-SHELL":
        yield words[0].rpartition("/")[2]
        return
    yield "sh"
    for part in SEPARATORS.split(words[0]):
        found = [word for word in shlex.split(part) if not re.fullmatch(r"\w+=.*", word)]
        if found:
            yield found[0].rpartition("/")[2]


RULES = (
    Rule("probe-runnable", (8,), runnable),
    Rule("probe-present", (6, 8), present),
    Rule("probe-address", (9, 10), addresses),
    Rule("probe-pace", (11,), pace),
)
