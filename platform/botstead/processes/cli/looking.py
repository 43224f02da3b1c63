"""What `botstead doctor` sees of a machine, and of an appliance on Compose; `processes/composed/checks` judges it."""

from __future__ import annotations

import subprocess
import tarfile
from contextlib import suppress
from pathlib import Path

import click

from botstead.processes.checking import MISSING, Check
from botstead.processes.composed import facts, machine
from botstead.processes.composed.checks import checks, host

GATHER_SECONDS = 300.0
"""For everything that `scripts/doctor` looks at; each look has a deadline of its own."""
ASK_SECONDS = 5.0


def gathered(folder: Path) -> bytes:
    """Let the appliance's own script look, since it knows how: one place for both ways to ask.

    Args:
        folder: of compose.yaml.

    Raises:
        click.ClickException: it has no such script, or that failed.
    """
    script = folder / "scripts" / "doctor"
    try:
        done = subprocess.run([script, "--gather"], stdout=subprocess.PIPE, timeout=GATHER_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise click.ClickException(f"{script} failed: {error}. Is {folder} the folder of compose.yaml?") from error
    return done.stdout


def composed(archive: bytes) -> list[Check]:
    """Judge what was gathered.

    Args:
        archive: the tar.

    Raises:
        click.ClickException: it is none.
    """
    try:
        return checks(facts.read(facts.unpack(archive)))
    except tarfile.TarError as error:
        raise click.ClickException(f"This is not what scripts/doctor --gather writes: {error}.") from error


def memory() -> tuple[str, str]:
    """Look at this machine's memory."""
    found = machine.memory_here()
    return host.judge_memory(found) if found else (MISSING, "Not known on this system.")


def disk(data: Path) -> tuple[str, str]:
    """Look at the disk of a folder, or of the nearest one above it that exists.

    Args:
        data: the folder.
    """
    place = data.absolute()
    while not place.exists():
        place = place.parent
    return host.judge_disks((machine.disk(place),))


def clock() -> tuple[str, str]:
    """Ask systemd whether the clock is set by anybody."""
    with suppress(OSError, subprocess.SubprocessError):
        asked = ["timedatectl", "show", "-p", "NTPSynchronized"]
        said = subprocess.run(asked, capture_output=True, text=True, timeout=ASK_SECONDS, check=True).stdout
        return host.judge_clock(synchronized=facts.read_clock(said))
    return host.judge_clock(synchronized=None)
