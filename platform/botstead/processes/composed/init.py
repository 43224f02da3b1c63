"""`botstead init`: looks at a machine, decides, and writes `.env` and `secrets/`. Asks nobody anything.

What exists is never written over: a second run adds what is missing (a newer release may need another variable), and changes
only what an option names.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from ipaddress import ip_address
from pathlib import Path

import msgspec

from botstead.core.errors import ConfigurationError
from botstead.processes.checking import MISSING, WRONG, Check
from botstead.processes.composed import machine, secrets, sizes
from botstead.processes.composed.checks import host
from botstead.processes.composed.machine import Machine, Told
from botstead.processes.embedded.folder import write_whole

ENV, SECRETS, BOTS = ".env", "secrets", "bots"
HEAD = "# Written by scripts/init, and yours from now on: it adds what is missing, and changes what you name.\n"
HTTP, HTTPS = 80, 443
LOCAL = "localhost"


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator says. None: find out, or leave it as it is."""

    domain: str | None = None
    email: str | None = None
    size: str | None = None
    edge: str | None = None
    http_port: int | None = None
    https_port: int | None = None
    image: str | None = None
    version: str | None = None


class Plan(msgspec.Struct, frozen=True):
    """What is to be written, and what was found on the way."""

    env: str
    settings: dict[str, str]
    changed: tuple[str, ...]
    checks: tuple[Check, ...]

    @property
    def wrong(self) -> tuple[Check, ...]:
        """What stands in the way."""
        return tuple(check for check in self.checks if check.status == WRONG)


def plan(folder: Path, wishes: Wishes, *, told: Told, found: Machine) -> Plan:
    """Decide, and write nothing.

    Args:
        folder: of compose.yaml.
        wishes: of the operator.
        told: by scripts/init.
        found: of the machine.

    Raises:
        ConfigurationError: a file of the appliance is missing, or a wish cannot be.
    """
    path = folder / ENV
    text = path.read_text(encoding="utf-8") if path.exists() else HEAD
    present = sizes.parse(text)
    wanted = _changes(folder, present, wishes, found)
    settings = {**present, **wanted}
    changed = tuple(name for name, value in wanted.items() if present.get(name) != value)
    return Plan(
        sizes.changed(text, {name: wanted[name] for name in changed}), settings, changed, tuple(_checks(settings, told, found))
    )


def _changes(folder: Path, present: Mapping[str, str], wishes: Wishes, found: Machine) -> dict[str, str]:
    """Return variables that are missing, or that a wish is about."""
    size = wishes.size or present.get("BOTSTEAD_SIZE") or sizes.suiting(found.memory.total if found.memory else 0)
    figures = {**sizes.read(folder / "compose" / "sizes", size), "BOTSTEAD_SIZE": size}
    usual = {**_site(present, wishes, found), **figures}
    named = {**(figures if wishes.size else {}), **_named(wishes, usual)}
    return {**{name: value for name, value in usual.items() if name not in present}, **named}


def _named(wishes: Wishes, usual: Mapping[str, str]) -> dict[str, str]:
    """Return what wishes name: a domain also decides on the address and on who certifies it."""
    direct = {
        "BOTSTEAD_EDGE": wishes.edge,
        "BOTSTEAD_HTTP_PORT": wishes.http_port,
        "BOTSTEAD_HTTPS_PORT": wishes.https_port,
        "BOTSTEAD_IMAGE": wishes.image,
        "BOTSTEAD_VERSION": wishes.version,
        "BOTSTEAD_TLS": wishes.email,
    }
    named = {name: str(value) for name, value in direct.items() if value is not None}
    if wishes.domain:
        named |= {name: usual[name] for name in ("BOTSTEAD_DOMAIN", "BOTSTEAD_PUBLIC_URL", "BOTSTEAD_TLS")} | named
    if wishes.https_port:
        named["BOTSTEAD_PUBLIC_URL"] = usual["BOTSTEAD_PUBLIC_URL"]
    return named


def _site(present: Mapping[str, str], wishes: Wishes, found: Machine) -> dict[str, str]:
    domain = wishes.domain or present.get("BOTSTEAD_DOMAIN") or _own_name(found)
    https = str(wishes.https_port or present.get("BOTSTEAD_HTTPS_PORT") or HTTPS)
    return {
        "BOTSTEAD_IMAGE": wishes.image or "botstead",
        "BOTSTEAD_VERSION": wishes.version or version("botstead"),
        "BOTSTEAD_DOMAIN": domain,
        "BOTSTEAD_PUBLIC_URL": f"https://{_in_url(domain)}" + ("" if https == str(HTTPS) else f":{https}"),
        "BOTSTEAD_TLS": wishes.email or (f"operator@{domain}" if is_public(domain) else "internal"),
        "BOTSTEAD_EDGE": wishes.edge or "caddy",
        "BOTSTEAD_HTTP_PORT": str(wishes.http_port or HTTP),
        "BOTSTEAD_HTTPS_PORT": https,
    }


def _in_url(domain: str) -> str:
    return f"[{domain}]" if ":" in domain else domain


def _own_name(found: Machine) -> str:
    """Return the machine's own name where the world knows it as this machine, else localhost."""
    return found.name if is_public(found.name) and machine.leads(found.name).here else LOCAL


def is_public(domain: str) -> bool:
    """Return whether a public authority would certify a name: it has a dot, and no ending that is kept for inside.

    Args:
        domain: the name. Endings: RFC 6761, RFC 6762, RFC 9476 and the ICANN's reserved `internal`.
    """
    ending = domain.rstrip(".").rpartition(".")
    try:
        ip_address(domain)
    except ValueError:
        return bool(ending[0]) and ending[2] not in {
            "localhost",
            "local",
            "test",
            "example",
            "invalid",
            "internal",
            "lan",
            "alt",
            "home",
        }
    return False


def _checks(settings: Mapping[str, str], told: Told, found: Machine) -> list[Check]:
    domain = settings["BOTSTEAD_DOMAIN"]
    public = settings["BOTSTEAD_TLS"] != "internal"
    wanted = [_port(settings, name) for name in ("BOTSTEAD_HTTP_PORT", "BOTSTEAD_HTTPS_PORT")]
    judged = {
        "engine": machine.engine(told) if told.engine else (MISSING, "scripts/init looks at Docker and Compose."),
        "memory": machine.memory(found.memory, settings["BOTSTEAD_SIZE"]),
        "disk": host.judge_disks(found.disks),
        "clock": host.judge_clock(synchronized=told.synchronized),
        "ports": machine.ports(found.listening, wanted, runs=told.runs),
        "name": machine.name(domain, machine.leads(domain), public=public),
    }
    return [Check(check=name, status=status, detail=detail) for name, (status, detail) in judged.items()]


def _port(settings: Mapping[str, str], name: str) -> int:
    """Return a port; Compose also takes an address before it."""
    try:
        return int(settings[name].rpartition(":")[2])
    except ValueError as error:
        raise ConfigurationError(f"{name} in .env is no port: {settings[name]!r}. Write a number, or ADDRESS:NUMBER.") from error


def write(folder: Path, made: Plan, *, told: Told) -> list[str]:
    """Write what is missing or changed; returns the names of what was written.

    Args:
        folder: of compose.yaml.
        made: by `plan`.
        told: by scripts/init.

    Raises:
        ConfigurationError: see `secrets.write`; or the folder cannot be written.
    """
    try:
        written = [
            f"{SECRETS}/{name}"
            for name in secrets.write(folder / SECRETS, domain=made.settings["BOTSTEAD_DOMAIN"], database=told.database)
        ]
        if not (folder / BOTS).exists():
            (folder / BOTS).mkdir()
            written.append(f"{BOTS}/")
        if made.changed:
            write_whole(folder / ENV, made.env.encode())
            written.append(ENV)
    except OSError as error:
        raise ConfigurationError(
            f"{error.filename or folder} cannot be written: {error.strerror}. Who owns the folder?"
        ) from error
    return written
