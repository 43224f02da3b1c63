"""The machine, and the files that `scripts/init` wrote."""

from __future__ import annotations

import re

from botstead.processes.checking import MISSING, OK, WARNING, WRONG
from botstead.processes.composed.facts import Disk, Facts, Memory
from botstead.processes.composed.sizes import plain

ENGINE = (25, 0)
"""The first Docker with `start_interval` (https://docs.docker.com/engine/release-notes/25.0/)."""
COMPOSE = (2, 24)
"""Compose that starts what the files say; `include` came with 2.20, `start_interval` with 2.21, `!reset` with 2.24."""
LOW, FULL = 0.15, 0.05
"""Share of a disk that is free: below the first one should act, below the second Postgres may stop any time."""
LEAST = 1_000_000_000
"""Bytes that must be free."""
TIGHT = 0.05
"""Share of memory that should be left."""
INTERNAL = "internal"
"""Value of BOTSTEAD_TLS: the edge certifies itself, as for names that the world does not know."""


def engine(facts: Facts) -> tuple[str, str]:
    """Docker and Compose are new enough, and the kernel enforces limits."""
    if not facts.engine:
        return WRONG, "No Docker engine answers. Start it (systemctl start docker), or join the group that may use it."
    if _version(facts.engine) < ENGINE or _version(facts.compose) < COMPOSE:
        return (
            WRONG,
            f"Docker {facts.engine} with Compose {facts.compose or 'none'}. Install Docker 25 and Compose 2.24 or newer.",
        )
    if lacking := [each for each in facts.warnings if "limit support" in each and "swap" not in each]:
        return WARNING, f"{lacking[0]}. Switch that controller on (kernel command line), or limits are not kept."
    return OK, f"Docker {facts.engine}, Compose {facts.compose}"


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", text)[:2]))


def memory(facts: Facts) -> tuple[str, str]:
    """Nobody was killed for memory, and what may be used is there."""
    killed = [each.service for each in facts.containers if each.killed_for_memory]
    if killed:
        return WRONG, f"Killed for memory: {', '.join(killed)}. Choose a larger size in .env, or take profiles away."
    return (MISSING, "Not known here.") if facts.memory is None else judge_memory(facts.memory)


def judge_memory(found: Memory) -> tuple[str, str]:
    """Judge how much is left.

    Args:
        found: of the machine.
    """
    said = f"{found.available // 2**20} of {found.total // 2**20} MB available, {found.swap // 2**20} MB of swap"
    if found.available < found.total * TIGHT:
        return WARNING, f"{said}. Add swap, choose a smaller size in .env, or take a larger machine."
    return OK, said


def disk(facts: Facts) -> tuple[str, str]:
    """There is room, in bytes and in files."""
    return judge_disks(facts.disks)


def judge_disks(disks: tuple[Disk, ...]) -> tuple[str, str]:
    """Judge the fullest disk.

    Args:
        disks: those that something is written to.
    """
    if not disks:
        return MISSING, "Not known here."
    worst = min(disks, key=lambda each: min(each.free / max(each.size, 1), each.inodes))
    share = min(worst.free / max(worst.size, 1), worst.inodes)
    said = f"{worst.place} has {worst.free / 1e9:.1f} GB free ({share:.0%})"
    if share < FULL or worst.free < LEAST:
        return WRONG, f"{said}. Make room now: docker image prune, older logs, or a larger disk."
    return (WARNING, f"{said}. Make room before it is full.") if share < LOW else (OK, said)


def clock(facts: Facts) -> tuple[str, str]:
    """The clock is right: signatures and certificates are refused otherwise."""
    return judge_clock(synchronized=facts.synchronized)


def judge_clock(*, synchronized: bool | None) -> tuple[str, str]:
    """Judge the clock.

    Args:
        synchronized: whether the system says so; None when it does not say.
    """
    if synchronized is None:
        return MISSING, "This system does not say whether its clock is synchronised. See chronyc tracking."
    return (OK, "synchronised") if synchronized else (WARNING, "Nobody sets the clock. Run timedatectl set-ntp true.")


def name(facts: Facts) -> tuple[str, str]:
    """The public name leads somewhere."""
    if not facts.domain:
        return MISSING, "No name is set: BOTSTEAD_DOMAIN in .env."
    if facts.resolves is False and facts.authority == INTERNAL:
        return MISSING, f"{facts.domain} does not resolve here. Clients need an entry of their own, and to trust its authority."
    if facts.resolves is False:
        return WRONG, f"{facts.domain} does not resolve. Add an A or AAAA record for this machine."
    return OK, facts.domain


def settings(facts: Facts) -> tuple[str, str]:
    """Values in .env mean what they seem to: $, # and quotes do not."""
    if facts.env is None:
        return WRONG, "There is no .env. Run scripts/init."
    lines = [line for line in facts.env if line.strip() and not line.startswith("#")]
    odd = [line.partition("=")[0] for line in lines if not _clear(line.partition("=")[2])]
    if odd:
        return WARNING, f"{', '.join(odd)} in .env hold signs that Compose reads in its own way. Quote them with '…'."
    names = [line.partition("=")[0] for line in lines]
    twice = sorted({each for each in names if names.count(each) > 1})
    if twice:
        return WARNING, f"{', '.join(twice)} stand in .env twice, and the last counts. Take one away."
    return OK, f"{len(lines)} settings"


def _clear(value: str) -> bool:
    return plain(value) or (len(value) >= 2 and value[0] == value[-1] == "'" and "'" not in value[1:-1])


def secrets(facts: Facts) -> tuple[str, str]:
    """Containers can read their secrets, and other users of the machine cannot."""
    if not facts.secrets:
        return WRONG, "There is no folder secrets/. Run scripts/init."
    for each in facts.secrets:
        if each.name == "secrets" and each.mode & 0o077:
            return WRONG, f"Others can enter {each.name}. Run chmod 700 {each.name}."
        if not each.folder and not each.size:
            return WRONG, f"{each.name} is empty. Delete it, and run scripts/init."
        if not each.folder and not each.mode & 0o004:
            return WRONG, f"Containers run as other users and cannot read {each.name}. Run chmod 444 {each.name}."
    return OK, f"{sum(not each.folder for each in facts.secrets)} files"
