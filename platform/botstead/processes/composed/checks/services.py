"""The containers, and whether they are what the files say."""

from __future__ import annotations

from botstead.processes.checking import MISSING, OK, WARNING, WRONG
from botstead.processes.composed.facts import Container, Facts
from botstead.processes.composed.lint import lint

OFTEN = 3
"""Restarts above which something is wrong; a machine's own restart counts none."""
EDGE = "edge"


def files(facts: Facts) -> tuple[str, str]:
    """The compose files can be read and keep every rule, also with the operator's overrides."""
    if facts.config is None:
        return WRONG, facts.config_error or "The compose files cannot be read. Run docker compose config."
    found = lint(facts.config)
    if found:
        more = f" ({len(found) - 1} more)" if len(found) > 1 else ""
        return WARNING, f"{found[0].service or 'compose'}: {found[0].detail}{more}"
    return OK, f"{len(facts.config.services)} services keep every rule"


def containers(facts: Facts) -> tuple[str, str]:
    """What should run runs, and is healthy. Compose itself never restarts what is unhealthy."""
    if not facts.containers:
        return MISSING, "Nothing runs. Start it: docker compose up -d --wait."
    here = {each.service for each in facts.containers}
    wanted = set(facts.config.services) if facts.config else set()
    bad = [text for each in facts.containers if (text := _ailing(each, facts))]
    bad += [f"{each} is not there" for each in sorted(wanted - here)]
    if bad:
        return WRONG, f"{'; '.join(bad)}. See docker compose logs, then docker compose up -d --wait."
    return OK, f"{len(facts.containers)} containers"


def _ailing(container: Container, facts: Facts) -> str:
    service = facts.config.services.get(container.service) if facts.config else None
    ends = service.one_shot if service else container.status == "exited" and container.exit_code == 0
    if ends:
        return "" if container.exit_code == 0 else f"{container.service} ended with status {container.exit_code}"
    if container.status != "running":
        return f"{container.service} is {container.status}{f' ({container.said})' if container.said else ''}"
    return f"{container.service} is unhealthy ({container.said or 'no reason given'})" if container.health == "unhealthy" else ""


def restarts(facts: Facts) -> tuple[str, str]:
    """Nobody crashes again and again."""
    often = [f"{each.service} {each.restarts} times" for each in facts.containers if each.restarts > OFTEN]
    if often:
        return WARNING, f"Restarted by itself: {', '.join(often)}. See docker compose logs of it."
    return OK, f"{sum(each.restarts for each in facts.containers)} restarts"


def release(facts: Facts) -> tuple[str, str]:
    """All of ours run one image, and no upgrade was cut short."""
    if facts.pending:
        return WRONG, "An upgrade was interrupted. Run scripts/rollback, or the upgrade again."
    slots = [each for each in facts.containers if _ours(each.service) and each.status == "running"]
    if not slots:
        return MISSING, "Nothing of ours runs."
    if len({each.image for each in slots}) > 1:
        return WRONG, "Processes run different images. Run scripts/upgrade --current."
    if sum(each.service.startswith("api-") for each in slots) < 2:
        return WARNING, "One API process runs, so requests wait while it restarts. Start api-a and api-b."
    return OK, slots[0].image.removeprefix("sha256:")[:12]


def _ours(service: str) -> bool:
    return service.startswith("api-") or service in {"worker", "scheduler"}


def drift(facts: Facts) -> tuple[str, str]:
    """Containers are as the files say; otherwise the next `up` surprises."""
    known = {each.service: each.hash for each in facts.containers if each.status == "running"}
    other = sorted(name for name, digest in facts.hashes.items() if known.get(name, digest) != digest)
    if other:
        return WARNING, f"The files say otherwise of {', '.join(other)}. Run scripts/upgrade --current."
    return OK, f"{len(known)} containers are as the files say"


def ports(facts: Facts) -> tuple[str, str]:
    """Only the edge is open, for Docker's rules come before the host's firewall."""
    open_ = {each.service: each.published for each in facts.containers if each.published}
    strangers = sorted(name for name in open_ if name != EDGE)
    if strangers:
        return WRONG, f"Open to the network past any firewall: {', '.join(strangers)}. Take their `ports` away."
    return OK, ", ".join(open_.get(EDGE, ())) or "none is open"


def logs(facts: Facts) -> tuple[str, str]:
    """Logs of containers have an end."""
    endless = [each.service for each in facts.containers if not each.log_bounded]
    if endless:
        return WRONG, f"Logs of {', '.join(endless)} grow for ever. Set `logging`, and recreate the container."
    return OK, "all have an end"
