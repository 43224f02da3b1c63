"""What `botstead init` finds out about a machine, instead of asking. It runs in a container with the machine's network."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from pathlib import Path

import msgspec

from botstead.processes.checking import MISSING, OK, WARNING, WRONG
from botstead.processes.composed import sizes
from botstead.processes.composed.checks import host
from botstead.processes.composed.facts import Disk, Facts, Memory, read_memory

LISTENING = "0A"
"""State of a TCP socket in /proc/net/tcp (linux/include/net/tcp_states.h)."""
TABLES = ("/proc/net/tcp", "/proc/net/tcp6")


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What `scripts/init` says, since only it can ask the engine. Empty or None: not known.

    Args:
        engine: version of Docker.
        compose: version of Compose.
        synchronized: whether somebody sets the clock.
        runs: whether the appliance runs already; then its ports are its own.
        database: the volume of an earlier installation's database; empty: there is none.
    """

    engine: str = ""
    compose: str = ""
    synchronized: bool | None = None
    runs: bool = False
    database: str = ""


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What was found.

    Args:
        memory: None where the system does not tell.
        disks: of the folder, and of the engine's data.
        listening: TCP ports that somebody listens on.
        name: the machine's full name.
    """

    memory: Memory | None
    disks: tuple[Disk, ...]
    listening: frozenset[int]
    name: str


class Leads(msgspec.Struct, frozen=True):
    """Where a name leads: to addresses, of which some are this machine's."""

    addresses: tuple[str, ...]
    here: bool


def look(folder: Path) -> Machine:
    """Look at this machine.

    Args:
        folder: of compose.yaml.
    """
    tables = []
    for table in TABLES:
        with suppress(OSError):
            tables.append(Path(table).read_text(encoding="ascii"))
    # In a container `/` lies where the engine keeps images and volumes.
    return Machine(
        memory=memory_here(),
        disks=(disk(folder), disk(Path("/"))),
        listening=listening(tables),
        name=socket.getfqdn(),
    )


def memory_here() -> Memory | None:
    """Return this machine's memory; None where the system does not tell."""
    with suppress(OSError):
        return read_memory(Path("/proc/meminfo").read_text(encoding="ascii"))
    return None


def disk(folder: Path) -> Disk:
    """Return the file system of a folder.

    Args:
        folder: that exists.
    """
    seen = os.statvfs(folder)
    inodes = seen.f_favail / seen.f_files if seen.f_files else 1.0
    return Disk(str(folder), seen.f_blocks * seen.f_frsize, seen.f_bavail * seen.f_frsize, inodes)


def listening(tables: Iterable[str]) -> frozenset[int]:
    """Return the ports that somebody listens on. Pure.

    Args:
        tables: texts of /proc/net/tcp and tcp6 (https://docs.kernel.org/networking/proc_net_tcp.html).
    """
    rows = (line.split() for table in tables for line in table.splitlines()[1:])
    return frozenset(int(row[1].rpartition(":")[2], 16) for row in rows if len(row) > 3 and row[3] == LISTENING)


def leads(name: str) -> Leads:
    """Resolve a name.

    Args:
        name: of a host.
    """
    try:
        found = {str(each[4][0]) for each in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return Leads((), here=False)
    return Leads(tuple(sorted(found)), here=any(_ours(address) for address in found))


def _ours(address: str) -> bool:
    """Return whether an address is this machine's: then, and only then, can it be bound."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with closing(socket.socket(family, socket.SOCK_DGRAM)) as probe:
            probe.bind((address, 0))
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    return True


def engine(told: Told) -> tuple[str, str]:
    """Judge Docker and Compose, by the check that doctor has."""
    return host.engine(Facts(engine=told.engine, compose=told.compose))


def memory(found: Memory | None, size: str) -> tuple[str, str]:
    """Judge whether the machine carries a size.

    Args:
        found: of the machine.
        size: that was chosen.
    """
    if found is None:
        return MISSING, f"This system does not tell its memory, so {size} was not compared with it."
    said = f"{found.total // 2**20} MB of memory, {found.swap // 2**20} MB of swap: {size}"
    suits = sizes.suiting(found.total)
    if sizes.NAMES.index(size) > sizes.NAMES.index(suits):
        return WARNING, f"{said}, which is made for more. Choose {suits} (--size {suits}) unless you know better."
    if found.total // 2**20 < sizes.NANO_NEEDS:
        return WARNING, f"{said}. It needs {sizes.NANO_NEEDS} MB. Take a larger machine, or add swap and try."
    return OK, said


def ports(busy: frozenset[int], wanted: Sequence[int], *, runs: bool) -> tuple[str, str]:
    """Judge whether the edge can have its ports.

    Args:
        busy: those that somebody listens on.
        wanted: those of the edge.
        runs: the appliance runs, so they are its own.
    """
    said = " and ".join(map(str, wanted))
    if runs:
        return OK, f"{said}, in use by the appliance itself"
    if taken := [port for port in wanted if port in busy]:
        return WRONG, (
            f"Another program listens on port {' and '.join(map(str, taken))}. "
            "Stop it, or choose others: --http-port 8080 --https-port 8443"
        )
    return OK, f"{said} are free"


def name(domain: str, found: Leads, *, public: bool) -> tuple[str, str]:
    """Judge the domain.

    Args:
        domain: the appliance's name.
        found: where it leads.
        public: a public authority is to give its certificate.
    """
    if not found.addresses:
        status = WRONG if public else WARNING
        return status, f"{domain} does not resolve. Add an A or AAAA record that names this machine."
    if not found.here:
        where = ", ".join(found.addresses)
        return (
            WARNING,
            f"{domain} leads to {where}, which is no address of this machine itself. Fine behind NAT; else change the record.",
        )
    return OK, domain
