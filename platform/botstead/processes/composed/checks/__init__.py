"""What `botstead doctor` looks at on Compose: small pure functions of the facts, each for some of the failure classes.

compose/README.md has the table of classes. Nothing here asks anybody anything: see `facts`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from botstead.processes.checking import Check
from botstead.processes.composed.checks import data, host, services, watching
from botstead.processes.composed.facts import Facts

Look: TypeAlias = Callable[[Facts], tuple[str, str]]
"""Says status and detail."""
CHECKS: dict[str, Look] = {
    "engine": host.engine,
    "memory": host.memory,
    "disk": host.disk,
    "clock": host.clock,
    "name": host.name,
    "settings": host.settings,
    "secrets": host.secrets,
    "compose files": services.files,
    "containers": services.containers,
    "restarts": services.restarts,
    "release": services.release,
    "drift": services.drift,
    "ports": services.ports,
    "logs": services.logs,
    "volumes": data.volumes,
    "database": data.database,
    "collation": data.collation,
    "passwords": data.passwords,
    "write-ahead log": data.slots,
    "backup": data.backup,
    "road": watching.road,
    "metrics": watching.metrics,
    "alerts": watching.alerts,
    "heartbeat": watching.heartbeat,
}
"""In the order in which they are told: what others stand on comes first."""


def checks(facts: Facts) -> list[Check]:
    """Judge an installation. Pure.

    Args:
        facts: what was seen of it.
    """
    found = ((name, look(facts)) for name, look in CHECKS.items())
    return [Check(check=name, status=status, detail=detail) for name, (status, detail) in found]
