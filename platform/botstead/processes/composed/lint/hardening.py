"""What a container may do, use and write."""

from __future__ import annotations

import re
from collections.abc import Iterator

from botstead.processes.composed.lint.model import Composed, Rule

MAY_ADD = {"edge": {"NET_BIND_SERVICE"}}
"""Service to capabilities that it may keep: the edge binds ports below 1024."""
NO_NEW = {"no-new-privileges", "no-new-privileges:true", "no-new-privileges=true"}
SECRET_NAME = re.compile(r"(PASSWORD|PASSWD|SECRET|TOKEN|PRIVATE_KEY|API_KEY|CREDENTIALS)(?!.*_(FILE|PATH)$)")
"""Variables whose value is a secret, unless they name a file. Such a value shows in `docker inspect` and in every child."""


def privileges(composed: Composed) -> Iterator[tuple[str, str]]:
    """No container is root, keeps capabilities, or can gain privileges."""
    for name, service in composed.services.items():
        user = service.user.partition(":")[0]
        if user in ("", "0", "root"):
            yield name, "It runs as root. Set `user` to the image's own user."
        if "ALL" not in service.cap_drop:
            yield name, "It keeps capabilities. Set `cap_drop: [ALL]`."
        if extra := set(service.cap_add) - MAY_ADD.get(name, set()):
            yield name, f"It adds the capabilities {', '.join(sorted(extra))}. Run it without them."
        if not NO_NEW & set(service.security_opt):
            yield name, "It may gain privileges. Set `security_opt: [no-new-privileges:true]`."
        if service.privileged or "host" in (service.network_mode, service.pid, service.ipc):
            yield name, "It shares the host's kernel interfaces. Take away `privileged` and `host` namespaces."


def frozen(composed: Composed) -> Iterator[tuple[str, str]]:
    """Images are not written to, and zombies are reaped."""
    for name, service in composed.services.items():
        if not service.read_only:
            yield name, "Its image is writable. Set `read_only: true`, with a tmpfs or a volume for what it writes."
        if not service.init:
            yield name, "Nobody reaps its orphans. Set `init: true`."


def limits(composed: Composed) -> Iterator[tuple[str, str]]:
    """A container has bounds, where Swarm reads them too."""
    for name, service in composed.services.items():
        bounds = service.deploy.resources.limits
        if not int(bounds.memory or 0):
            yield name, "It may take all memory. Set `deploy.resources.limits.memory`."
        if bounds.pids <= 0:
            yield name, "It may start any number of processes. Set `deploy.resources.limits.pids`."


def socket(composed: Composed) -> Iterator[tuple[str, str]]:
    """Nobody holds the engine: whoever does is root on the host."""
    for name, service in composed.services.items():
        for mount in service.volumes:
            if "docker.sock" in mount.source or "docker.sock" in mount.target or mount.source in ("/", "/var/run", "/run"):
                yield name, f"It holds {mount.source}, with which it is root on the host. Take the mount away."


def secrets(composed: Composed) -> Iterator[tuple[str, str]]:
    """Secrets are files: variables show in `docker inspect`, in crash reports and in every child process."""
    for name, service in composed.services.items():
        for variable, value in service.environment.items():
            if value and SECRET_NAME.search(variable):
                yield name, f"{variable} holds a secret. Give it as a file in `secrets`, named by {variable}_FILE."
    for name, secret in composed.secrets.items():
        if not secret.file:
            yield "", f"The secret {name} is no file. Let `scripts/init` write it into secrets/."


RULES = (
    Rule("privileges", (), privileges),
    Rule("frozen", (), frozen),
    Rule("limits", (27,), limits),
    Rule("engine-socket", (), socket),
    Rule("secrets-are-files", (4, 25), secrets),
)
