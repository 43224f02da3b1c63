"""What the rules see of a rendered compose file (`docker compose config --format json`), typed; they need no more of it.

The format: https://docs.docker.com/reference/compose-file/. Compose renders short forms as long ones, sizes as bytes, and
durations as Go writes them (`1m30s`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import msgspec

OWN = "botstead"
"""What rules call our own image."""
OURS = ("worker", "api-a")
"""Services that run it, under whatever name."""
UNITS = {"h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 0.000_001, "µs": 0.000_001, "ns": 0.000_000_001}
DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|us|µs|ns|m|s)")


class Port(msgspec.Struct, frozen=True):
    """A port of a container; published when the host listens for it."""

    target: int
    published: str = ""
    host_ip: str = ""


class Mount(msgspec.Struct, frozen=True):
    """A file or folder in a container. `type` is volume, bind or tmpfs; a volume without a source is anonymous."""

    type: str
    target: str
    source: str = ""
    read_only: bool = False


class Probe(msgspec.Struct, frozen=True):
    """A healthcheck."""

    test: list[str] | None = None
    interval: str = ""
    start_interval: str = ""
    start_period: str = ""
    disable: bool = False

    @property
    def words(self) -> list[str]:
        """The command without the word that says how it is run; empty where there is no check."""
        return [] if self.disable or not self.test or self.test[0] == "NONE" else self.test[1:]


class Dependency(msgspec.Struct, frozen=True):
    """An edge of the graph in which services start."""

    condition: str = "service_started"
    restart: bool = False


class Limits(msgspec.Struct, frozen=True):
    """Upper bounds of a container."""

    memory: str | int = ""
    pids: int = 0


class Resources(msgspec.Struct, frozen=True):
    """Of a container."""

    limits: Limits = Limits()


class Deploy(msgspec.Struct, frozen=True):
    """What Compose and Swarm both read."""

    resources: Resources = Resources()


class Logging(msgspec.Struct, frozen=True):
    """Where a container's output goes."""

    driver: str = ""
    options: dict[str, str] = {}


class Service(msgspec.Struct, frozen=True):
    """A service. Fields that no rule asks for are left out."""

    image: str = ""
    pull_policy: str = ""
    user: str = ""
    command: list[str] | None = None
    environment: dict[str, str | None] = {}
    read_only: bool = False
    init: bool = False
    privileged: bool = False
    cap_add: list[str] = []
    cap_drop: list[str] = []
    security_opt: list[str] = []
    network_mode: str = ""
    pid: str = ""
    ipc: str = ""
    healthcheck: Probe = Probe()
    ports: list[Port] = []
    volumes: list[Mount] = []
    tmpfs: list[str] = []
    depends_on: dict[str, Dependency] = {}
    deploy: Deploy = Deploy()
    logging: Logging = Logging()
    networks: dict[str, Any] | None = None
    restart: str = "no"
    stop_grace_period: str = ""
    own: bool = False

    @property
    def repository(self) -> str:
        """The image's name without tag and digest."""
        name = self.image.partition("@")[0]
        head, colon, tail = name.rpartition(":")
        return head if colon and "/" not in tail else name

    @property
    def tag(self) -> str:
        """The image's tag; empty without one."""
        name = self.image.partition("@")[0]
        return name[len(self.repository) + 1 :]

    @property
    def short(self) -> str:
        """The image's name without its registry and folder: postgres, caddy, prometheus; ours, whatever an operator calls it."""
        return OWN if self.own else self.repository.rpartition("/")[2]

    @property
    def one_shot(self) -> bool:
        """Whether it is meant to end."""
        return self.restart == "no"

    def covered(self, path: str) -> str:
        """Return what lies at a path, or at a folder above it: volume, anonymous, bind, tmpfs, or nothing.

        Args:
            path: in the container.
        """
        under = [mount for mount in self.volumes if f"{path}/".startswith(f"{mount.target.rstrip('/')}/")]
        if under:
            found = max(under, key=lambda mount: len(mount.target))
            return "anonymous" if found.type == "volume" and not found.source else found.type
        return "tmpfs" if any(f"{path}/".startswith(f"{each.partition(':')[0].rstrip('/')}/") for each in self.tmpfs) else ""


class Network(msgspec.Struct, frozen=True):
    """A network. An internal one has no way out."""

    internal: bool = False


class Secret(msgspec.Struct, frozen=True):
    """Where a secret comes from."""

    file: str = ""
    environment: str = ""
    content: str = ""


class Composed(msgspec.Struct, frozen=True):
    """A rendered compose file."""

    services: dict[str, Service] = {}
    networks: dict[str, Network | None] = {}
    secrets: dict[str, Secret] = {}

    def internal(self, network: str) -> bool:
        """Return whether a network has no way out.

        Args:
            network: its name in the file.
        """
        found = self.networks.get(network)
        return found is not None and found.internal


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something wrong.

    Args:
        rule: whose words.
        service: where; empty when it is about the whole file.
        detail: what is wrong and how to repair it, a sentence each.
    """

    rule: str
    service: str
    detail: str


Look: TypeAlias = Callable[[Composed], Iterator[tuple[str, str]]]
"""Looks for one kind of fault: service and sentence for each."""


class Rule(msgspec.Struct, frozen=True):
    """One rule.

    Args:
        name: short, with dashes.
        classes: failure classes that it prevents, see compose/README.md.
        look: finds what breaks it.
    """

    name: str
    classes: tuple[int, ...]
    look: Look


def read(rendered: bytes) -> Composed:
    """Read what `docker compose config --format json` writes.

    Args:
        rendered: its output.

    Raises:
        msgspec.DecodeError: it is something else.
    """
    found = msgspec.json.decode(rendered, type=Composed, strict=False)
    ours = {found.services[name].repository for name in OURS if name in found.services}
    services = {
        name: msgspec.structs.replace(each, own=True) if each.repository in ours else each
        for name, each in found.services.items()
    }
    return msgspec.structs.replace(found, services=services)


def seconds(duration: str) -> float:
    """Read a duration as Go writes it. An empty one is 0.

    Args:
        duration: such as 1m30s.

    Raises:
        ValueError: it is none.
    """
    parts = DURATION.findall(duration)
    if "".join(number + unit for number, unit in parts) != duration:
        raise ValueError(f"{duration!r} is no duration")
    return sum(float(number) * UNITS[unit] for number, unit in parts)
