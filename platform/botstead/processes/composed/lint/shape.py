"""How services hang together: who is reached, who waits for whom, who comes back, how long they may take to stop."""

from __future__ import annotations

from collections.abc import Iterator

from botstead.processes.composed.lint.model import OWN, Composed, Rule, Service, seconds

EDGE = "edge"
DATA = ("postgres", "valkey")
OBSERVES = ("prom/", "grafana/", "otel/", "exporter", "prometheuscommunity/")
"""Images of observability, by a part of their name. Bots never wait for them."""
GRACE = {"postgres": 60.0, "api": 35.0, "worker": 30.0, "scheduler": 15.0}
"""Image, or first word of a service of ours, to seconds that it needs to stop in order: Postgres writes a checkpoint; an API
drains for 5 s and ends its requests within 25; a worker ends its handlers within 25."""


def published(composed: Composed) -> Iterator[tuple[str, str]]:
    """Only the edge is reached from outside: Docker's rules come before the host's firewall."""
    for name, service in composed.services.items():
        for port in service.ports:
            if name != EDGE and port.published:
                yield name, f"Port {port.target} is open on the host, whatever its firewall says. Only the edge publishes."


def isolated(composed: Composed) -> Iterator[tuple[str, str]]:
    """Databases have no way out, and nobody has a way in who need not."""
    for name, service in composed.services.items():
        if service.short in DATA and (open_ := [each for each in service.networks or {} if not composed.internal(each)]):
            yield name, f"It has a way out over the network {', '.join(open_)}. Put it on internal networks only."


def unaware(composed: Composed) -> Iterator[tuple[str, str]]:
    """Bots answer although nobody watches: none of theirs waits for observability, at however many removes."""
    for name, service in composed.services.items():
        if not _observes(service):
            for other in sorted(_waits_for(composed, name)):
                if _observes(composed.services[other]):
                    yield name, f"It waits for {other}, which only watches. Take the dependency away."


def adopted(composed: Composed) -> Iterator[tuple[str, str]]:
    """`up --wait` fails at a service that ends, unless one that runs waits for its success (docker/compose#10596)."""
    for name, service in composed.services.items():
        waited = (other.depends_on[name] for other in composed.services.values() if name in other.depends_on)
        if service.one_shot and not any(each.condition == "service_completed_successfully" for each in waited):
            yield name, "It ends, and nobody waits for its success. Give one service `service_completed_successfully` on it."
        for other, dependency in service.depends_on.items():
            if dependency.restart:
                yield name, f"It restarts with {other}, so all slots would at once. Take `restart: true` away."


def returns(composed: Composed) -> Iterator[tuple[str, str]]:
    """What ends by accident comes back, and what is stopped may end in order."""
    for name, service in composed.services.items():
        if not service.one_shot and service.restart.partition(":")[0] not in ("unless-stopped", "always"):
            yield name, "It does not come back for ever. Set `restart: unless-stopped`."
        need = GRACE.get(name.partition("-")[0] if service.short == OWN else service.short, 0.0)
        if not service.one_shot and seconds(service.stop_grace_period or "10s") < need:
            yield name, f"It is killed before it is done. Set stop_grace_period to {need:.0f}s or more."


def _observes(service: Service) -> bool:
    return service.short != OWN and any(part in service.image for part in OBSERVES)


def _waits_for(composed: Composed, name: str) -> set[str]:
    found: set[str] = set()
    ahead = [name]
    while ahead:
        for other in composed.services[ahead.pop()].depends_on:
            if other in composed.services and other not in found:
                found.add(other)
                ahead.append(other)
    return found


RULES = (
    Rule("only-edge-published", (20,), published),
    Rule("data-isolated", (20,), isolated),
    Rule("never-on-observability", (7,), unaware),
    Rule("one-shot-adopted", (5, 14), adopted),
    Rule("restart-and-grace", (12, 15), returns),
)
