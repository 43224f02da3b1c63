"""What `scripts/doctor --gather` saw of an appliance on Compose, typed. Checks look at nothing else.

The script writes a tar with the output of one command a file, since it has the engine and this program, in its image, has not.
A file that is absent or empty means that the command could not be run here; its reason is in `<name>.err`.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec
import yaml

from botstead.processes.composed import sizes
from botstead.processes.composed.lint import Composed
from botstead.processes.composed.lint import read as read_config

PROJECT, SERVICE, HASH, ONEOFF = (f"com.docker.compose.{name}" for name in ("project", "service", "config-hash", "oneoff"))
LARGEST = 32_000_000
"""Bytes that are read of one fact."""


class Memory(msgspec.Struct, frozen=True):
    """Of the machine, in bytes."""

    total: int
    available: int
    swap: int


class Disk(msgspec.Struct, frozen=True):
    """A file system. Sizes in bytes; `inodes` is the share that is free, 1 where there is no such bound."""

    place: str
    size: int
    free: int
    inodes: float = 1.0


class SecretFile(msgspec.Struct, frozen=True):
    """A file or folder of secrets, never its content."""

    name: str
    mode: int
    size: int
    folder: bool = False


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """A container, as `docker inspect` tells."""

    service: str
    image: str = ""
    hash: str = ""
    status: str = ""
    health: str = ""
    said: str = ""
    exit_code: int = 0
    killed_for_memory: bool = False
    restarts: int = 0
    log_bounded: bool = True
    published: tuple[str, ...] = ()
    anonymous: tuple[str, ...] = ()


class Database(msgspec.Struct, frozen=True):
    """Of Postgres: `recorded` and `actual` are versions of the collation; `slots` is the WAL that is held back, in bytes."""

    version: str
    provider: str
    recorded: str | None = None
    actual: str | None = None
    failures: int = 0
    slots: int = 0
    size: int = 0
    unsafe: list[str] | None = None


class Watched(msgspec.Struct, frozen=True):
    """What Prometheus says of itself."""

    down: tuple[str, ...]
    targets: int
    broken: tuple[str, ...]
    rules: int
    tellers: int


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that checks look at. What is None could not be found out."""

    engine: str = ""
    compose: str = ""
    warnings: tuple[str, ...] = ()
    memory: Memory | None = None
    disks: tuple[Disk, ...] = ()
    synchronized: bool | None = None
    env: tuple[str, ...] | None = None
    secrets: tuple[SecretFile, ...] = ()
    domain: str = ""
    authority: str = ""
    resolves: bool | None = None
    config: Composed | None = None
    config_error: str = ""
    containers: tuple[Container, ...] = ()
    hashes: Mapping[str, str] = msgspec.field(default_factory=dict)
    database: Database | None = None
    refusals: int = 0
    canary: tuple[int, int] | None = None
    watched: Watched | None = None
    receivers: tuple[str, ...] | None = None
    pending: bool = False


def unpack(archive: bytes) -> dict[str, bytes]:
    """Return the files of a tar, name to content.

    Args:
        archive: what `scripts/doctor --gather` writes.

    Raises:
        tarfile.TarError: it is no tar.
    """
    found = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            if member.isfile() and member.size <= LARGEST and (content := tar.extractfile(member)):
                found[member.name.removeprefix("./")] = content.read()
    return found


def read(files: Mapping[str, bytes]) -> Facts:
    """Read what was gathered. Pure; what cannot be read is left out.

    Args:
        files: name of a fact to the output of its command.
    """
    texts = {name: content.decode(errors="replace").strip() for name, content in files.items()}
    config, error = _config(files)
    env = tuple(texts["env"].splitlines()) if "env" in texts else None
    settings = sizes.parse(texts.get("env", ""))
    return Facts(
        engine=texts.get("engine", ""),
        compose=texts.get("compose", "").removeprefix("v"),
        warnings=tuple(_info(files).get("Warnings") or ()),
        memory=read_memory(texts.get("memory", "")),
        disks=_disks(texts.get("disk", ""), texts.get("inodes", "")),
        synchronized=read_clock(texts.get("clock", "")),
        env=env,
        secrets=_secrets(texts.get("secrets", "")),
        domain=settings.get("BOTSTEAD_DOMAIN", ""),
        authority=settings.get("BOTSTEAD_TLS", ""),
        resolves=bool(texts["addresses"]) if "addresses" in texts else None,
        config=config,
        config_error=error,
        containers=_containers(_json(files, "containers") or []),
        hashes=dict(line.split(" ", 1) for line in texts.get("hashes", "").splitlines() if " " in line),
        database=_database(files),
        refusals=int(texts["refusals"]) if texts.get("refusals", "").isdigit() else 0,
        canary=_canary(texts.get("metrics", "")),
        watched=_watched(files),
        receivers=_receivers(files),
        pending="pending" in files,
    )


def _json(files: Mapping[str, bytes], name: str) -> Any:
    with suppress(msgspec.DecodeError):
        return msgspec.json.decode(files.get(name, b""))
    return None


def _info(files: Mapping[str, bytes]) -> dict[str, Any]:
    found = _json(files, "info")
    return found if isinstance(found, dict) else {}


def _config(files: Mapping[str, bytes]) -> tuple[Composed | None, str]:
    try:
        return read_config(files.get("config", b"")), ""
    except msgspec.DecodeError:
        return None, files.get("config.err", b"").decode(errors="replace").strip()


def read_clock(text: str) -> bool | None:
    """Say whether the clock is synchronised; None where the system does not say.

    Args:
        text: output of `timedatectl show -p NTPSynchronized`.
    """
    return {"NTPSynchronized=yes": True, "NTPSynchronized=no": False}.get(text.strip())


def read_memory(text: str) -> Memory | None:
    """Read `/proc/meminfo`, which counts in kB (https://docs.kernel.org/filesystems/proc.html).

    Args:
        text: its content.
    """
    values = {line.partition(":")[0]: line.split() for line in text.splitlines()}
    with suppress(KeyError, IndexError, ValueError):
        return Memory(*(int(values[name][1]) * 1024 for name in ("MemTotal", "MemAvailable", "SwapTotal")))
    return None


def _disks(sizes: str, inodes: str) -> tuple[Disk, ...]:
    """Read `df -Pk` and `df -Pi`: a line of names, then one a file system."""
    shares: dict[str, float] = {}
    for line in inodes.splitlines()[1:]:
        _, total, _, free, _, place = line.split(None, 5)
        shares[place] = int(free) / int(total) if total.isdigit() and int(total) else 1.0
    found = []
    for line in sizes.splitlines()[1:]:
        _, size, _, free, _, place = line.split(None, 5)
        found.append(Disk(place, int(size) * 1024, int(free) * 1024, shares.get(place, 1.0)))
    return tuple(dict.fromkeys(found))


def _secrets(text: str) -> tuple[SecretFile, ...]:
    """Read lines of `stat`: mode, size, kind and name, with tabs between them."""
    found = []
    for line in text.splitlines():
        mode, size, kind, name = line.split("\t", 3)
        found.append(SecretFile(name, int(mode, 8), int(size), folder="directory" in kind))
    return tuple(found)


def _containers(inspected: list[dict[str, Any]]) -> tuple[Container, ...]:
    return tuple(_container(each) for each in inspected if each["Config"]["Labels"].get(ONEOFF, "False") == "False")


def _container(seen: dict[str, Any]) -> Container:
    """Read one element of `docker inspect` (https://docs.docker.com/reference/api/engine/, ContainerInspect)."""
    labels, state, host = seen["Config"]["Labels"], seen["State"], seen["HostConfig"]
    health = state.get("Health") or {}
    log = (health.get("Log") or [{}])[-1]
    bindings = (seen.get("NetworkSettings") or {}).get("Ports") or {}
    return Container(
        service=labels.get(SERVICE, seen["Name"].lstrip("/")),
        image=seen["Image"],
        hash=labels.get(HASH, ""),
        status=state["Status"],
        health=health.get("Status", ""),
        said=str(log.get("Output") or state.get("Error") or "").strip()[-200:],
        exit_code=state["ExitCode"],
        killed_for_memory=state["OOMKilled"],
        restarts=seen["RestartCount"],
        log_bounded=host["LogConfig"]["Type"] in ("local", "none") or "max-size" in (host["LogConfig"]["Config"] or {}),
        published=tuple(
            sorted(
                f"{each['HostIp']}:{each['HostPort']}/{port.partition('/')[2]}"
                for port in bindings
                for each in bindings[port] or ()
            )
        ),
        anonymous=tuple(
            sorted(each["Destination"] for each in seen.get("Mounts", ()) if each["Type"] == "volume" and len(each["Name"]) == 64)
        ),
    )


def _database(files: Mapping[str, bytes]) -> Database | None:
    with suppress(msgspec.DecodeError):
        return msgspec.json.decode(files.get("database", b""), type=Database, strict=False)
    return None


def _canary(page: str) -> tuple[int, int] | None:
    """Return what the canary counted: messages that came through, and others."""
    lines = [line.rpartition(" ") for line in page.splitlines() if line.startswith("canary_probes_total{")]
    if not lines:
        return None
    ok = sum(float(value) for name, _, value in lines if 'outcome="ok"' in name)
    return int(ok), int(sum(float(value) for _, _, value in lines) - ok)


def _watched(files: Mapping[str, bytes]) -> Watched | None:
    targets, rules, tellers = (_json(files, name) for name in ("targets", "rules", "tellers"))
    if not targets or not rules:
        return None
    return read_watched(targets["data"], rules["data"], (tellers or {}).get("data") or {})


def read_watched(targets: Mapping[str, Any], rules: Mapping[str, Any], tellers: Mapping[str, Any]) -> Watched:
    """Read three answers of Prometheus, of each its `data` (https://prometheus.io/docs/prometheus/latest/querying/api/).

    Args:
        targets: of `/api/v1/targets`.
        rules: of `/api/v1/rules`.
        tellers: of `/api/v1/alertmanagers`.
    """
    active = targets["activeTargets"]
    loaded = [rule for group in rules["groups"] for rule in group["rules"]]
    return Watched(
        down=tuple(each["labels"].get("instance", "?") for each in active if each["health"] == "down"),
        targets=len(active),
        broken=tuple(rule["name"] for rule in loaded if rule["health"] == "err"),
        rules=len(loaded),
        tellers=len(tellers.get("activeAlertmanagers") or ()),
    )


def _receivers(files: Mapping[str, bytes]) -> tuple[str, ...] | None:
    """Return the receivers that reach anybody, of Alertmanager's answer to `/api/v2/status`, which holds its configuration."""
    with suppress(KeyError, TypeError, yaml.YAMLError):
        config = yaml.safe_load(_json(files, "teller")["config"]["original"])
        return tuple(each["name"] for each in config["receivers"] if any(key.endswith("_configs") for key in each))
    return None
