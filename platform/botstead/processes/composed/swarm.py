"""The same appliance for several machines: Docker Swarm stacks, made from the compose files, so that the two cannot drift.

A stack knows less than Compose: no `include`, `extends`, profiles, `depends_on` with conditions, or bind mounts that exist on
each node; and it does more: it places, replaces by rolling, and goes back. Ports that Compose would bind to 127.0.0.1 are open
to the world in a stack, so only the edge keeps any.
Format: https://docs.docker.com/reference/compose-file/legacy-versions/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

Json = dict[str, Any]
STACKS = {
    "migrate": ("migrate",),
    "data": ("postgres", "valkey"),
    "stack": ("api-a", "api-b", "api-c", "api-d", "worker", "scheduler", "edge"),
}
"""File to its services. Each is deployed by itself: migrate before a new release, data only where no outside servers are used."""
KEPT = (
    "image", "user", "command", "environment", "read_only", "init", "cap_add", "cap_drop", "healthcheck", "networks", "logging",
    "sysctls", "ulimits", "oom_score_adj", "stop_grace_period", "stop_signal", "ports",
)  # fmt: skip
"""Keys that mean the same in a stack."""
SLOTTED = ("worker", "scheduler")
"""Services with several tasks; the stable name of each is its number in the service."""
PINNED = {"postgres": "data", "valkey": "data", "edge": "edge"}
"""Service to the label of nodes that it may run on: its volume is there, or its ports, or it holds the balance of all."""
KEY_RING = "/run/secrets/key_ring"
STATE = "/data"


def stacks(config: Json, files: Mapping[str, tuple[str, ...]]) -> dict[str, Json]:
    """Make the stacks. Pure.

    Args:
        config: `docker compose config --no-interpolate --no-path-resolution --format json`, with every profile.
        files: folder that is mounted, as it stands in the config, to the names of its files.

    Returns:
        Name of a stack file to its content.
    """
    return {name: _stack(config, services, files) for name, services in STACKS.items()}


def _stack(config: Json, names: tuple[str, ...], files: Mapping[str, tuple[str, ...]]) -> Json:
    services = {name: _service(name, config["services"][name], files) for name in names}
    used = {network for service in services.values() for network in service["networks"]}
    secrets = {each["source"] for service in services.values() for each in service.get("secrets", ())}
    configs = {each: file for name in names for each, file, _ in _configs(config["services"][name], files)}
    volumes = {mount["source"] for each in services.values() for mount in each.get("volumes", ()) if mount["type"] == "volume"}
    owned = {_volume_name(name, path): options for name in names for path, options in _tmpfs(config["services"][name]) if options}
    given = {name: each["file"] for name, each in config["secrets"].items()} | {"key_ring": "secrets/key_ring"}
    found: Json = {"services": services, "networks": {name: _network(config, name) for name in sorted(used)}}
    found["secrets"] = {name: _versioned(name, given[name]) for name in sorted(secrets)}
    found["configs"] = {name: _versioned(name, file) for name, file in sorted(configs.items())}
    found["volumes"] = {name: _in_memory(owned[name]) if name in owned else {} for name in sorted(volumes)}
    return {key: value for key, value in found.items() if value}


def _network(config: Json, name: str) -> Json:
    internal = {"internal": True} if (config["networks"].get(name) or {}).get("internal") else {}
    # Attachable, so that what observes can run beside the swarm, and a backup can be taken by hand.
    return {"driver": "overlay", "attachable": True, **internal}


def _versioned(name: str, file: str) -> Json:
    """Name a secret or configuration by its version, for the swarm cannot change one: a new one replaces it."""
    return {"name": f"botstead_{name}_${{BOTSTEAD_FILES:-1}}", "file": f"../../{file.removeprefix('./')}"}


def _service(name: str, service: Json, files: Mapping[str, tuple[str, ...]]) -> Json:
    kept = {key: service[key] for key in KEPT if service.get(key) not in (None, [], {})}
    kept["networks"] = sorted(kept["networks"])
    if service.get("secrets"):
        kept["secrets"] = [_secret(each) for each in service["secrets"]]
    if "ports" in kept:
        kept["ports"] = [{**port, "mode": "host"} for port in kept["ports"]]
    if _holds_state(service):
        kept["environment"] = _own_environment(kept["environment"])
        kept["secrets"].append({"source": "key_ring", "target": KEY_RING, "uid": "65532", "gid": "65532", "mode": 0o400})
    if name in SLOTTED:
        kept["command"] = ["run", name]
        kept["environment"]["BOTSTEAD_INSTANCE"] = f"{name}-{{{{.Task.Slot}}}}"
    if configs := [{"source": each, "target": target} for each, _, target in _configs(service, files)]:
        kept["configs"] = configs
    kept["volumes"] = [*_volumes(name, service)]
    kept["deploy"] = {**service["deploy"], **_deploy(name)}
    return {key: kept[key] for key in kept if kept[key] not in ([], {})}


def _holds_state(service: Json) -> bool:
    return any(mount["target"] == STATE and mount["type"] == "volume" for mount in service.get("volumes", ()))


def _own_environment(environment: Json) -> Json:
    """Bots come in an image of their own on a swarm, and the key ring is a secret."""
    kept = {name: value for name, value in environment.items() if name != "BOTSTEAD_BOTS"}
    return {**kept, "BOTSTEAD_KEY_RING": KEY_RING}


def _secret(used: Json) -> Json:
    target = used.get("target") or used["source"]
    return {"source": used["source"], "target": target if target.startswith("/") else f"/run/secrets/{target}"}


def _volumes(name: str, service: Json) -> Iterator[Json]:
    """Keep named volumes; folders and files of the repository become configurations."""
    for mount in service.get("volumes", ()):
        if mount["type"] == "volume":
            yield {"type": "volume", "source": mount["source"], "target": mount["target"]}
    for path, options in _tmpfs(service):
        if options:
            yield {"type": "volume", "source": _volume_name(name, path), "target": path}
        else:
            yield {"type": "tmpfs", "target": path, "tmpfs": {"size": 16_777_216}}
    if service.get("shm_size"):
        yield {"type": "tmpfs", "target": "/dev/shm", "tmpfs": {"size": _bytes(service["shm_size"])}}  # noqa: S108  # in a container


def _tmpfs(service: Json) -> Iterator[tuple[str, str]]:
    """Find folders in memory, each with its owner and mode. Without those the folder is as it is in the image."""
    for path, _, options in (each.partition(":") for each in service.get("tmpfs", ())):
        yield path, options


def _volume_name(service: str, path: str) -> str:
    return service + path.replace("/", "_")


def _in_memory(options: str) -> Json:
    """A swarm's own tmpfs knows no owner, but a volume in memory does."""
    return {"driver": "local", "driver_opts": {"type": "tmpfs", "device": "tmpfs", "o": options}}


def _bytes(size: str | int) -> int:
    """Read a size as Compose files have it (https://docs.docker.com/reference/compose-file/extension/#specifying-byte-values)."""
    number, unit = re.fullmatch(r"(\d+)([kmg]?)b?", str(size).lower()).groups()  # type: ignore[union-attr]  # Compose checked it
    factor: int = 1024 ** " kmg".index(unit or " ")
    return int(number) * factor


def _mounted(service: Json, files: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, str]]:
    """Find files of the repository, each with the place where the container sees it."""
    for mount in service.get("volumes", ()):
        source = mount["source"].removeprefix("./")
        if mount["type"] == "bind" and source in files:
            for file in files[source]:
                yield f"{source}/{file}", f"{mount['target']}/{file}"
        elif mount["type"] == "bind" and PurePosixPath(source).suffix:
            yield source, mount["target"]


def _configs(service: Json, files: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, str, str]]:
    """Name the configuration that each such file becomes: name, file, place."""
    for file, target in _mounted(service, files):
        yield re.sub(r"[^a-z0-9]+", "_", file.removeprefix("compose/").lower()), file, target


def _deploy(name: str) -> Json:
    """Return how a service is placed, replaced and taken back.

    A slot is started before the one that it replaces stops. Workers are not: two of one name would bury each other. The edge and
    databases cannot: their ports and volumes are taken.
    """
    if name == "migrate":
        return {"mode": "replicated-job", "restart_policy": {"condition": "on-failure", "max_attempts": 3}}
    change = {"parallelism": 1, "order": "start-first" if name.startswith("api-") else "stop-first", "monitor": "20s"}
    found: Json = {
        "replicas": "${BOTSTEAD_" + name.upper() + "S:-2}" if name in SLOTTED else 1,
        "endpoint_mode": "dnsrr",
        "update_config": {**change, "failure_action": "rollback"},
        "rollback_config": change,
        "restart_policy": {"condition": "any", "delay": "2s"},
    }
    if name in ("api-c", "api-d"):
        found["replicas"] = "${BOTSTEAD_MORE_SLOTS:-0}"
    if label := PINNED.get(name):
        found["placement"] = {"constraints": [f"node.labels.botstead.{label} == true"]}
    elif name in SLOTTED:
        found["placement"] = {"preferences": [{"spread": "node.id"}], "max_replicas_per_node": 1}
    return found
