"""`botstead upgrade` and `botstead rollback`: the steps of scripts/upgrade, for whoever has this program on the host.

The steps need the engine, and a fresh machine has bash and Docker, and maybe no Python; so they stand once, in that script.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import click

FOLDER = click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False, exists=True), default=".", help="Of compose.yaml. [.]"
)
THROUGH = {"ignore_unknown_options": True, "help_option_names": ["-h"]}


@click.command(context_settings=THROUGH)
@FOLDER
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def upgrade(folder: Path, words: tuple[str, ...]) -> None:
    """Take an appliance on Docker Compose to another release without losing a request, and back when that fails.

    WORDS go to scripts/upgrade: VERSION, --image NAME:TAG, --current, --back, --list; see --help.
    """
    _run(folder, "upgrade", words)


@click.command(context_settings=THROUGH)
@FOLDER
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def rollback(folder: Path, words: tuple[str, ...]) -> None:
    """Take an appliance on Docker Compose to the release before, or to the one whose number is given."""
    _run(folder, "rollback", words)


def _run(folder: Path, name: str, words: tuple[str, ...]) -> None:
    """Let the script work: as long as it takes, for each of its steps has a deadline of its own."""
    script = folder.resolve() / "scripts" / name
    if not (folder / "compose.yaml").exists() or not script.exists():
        raise click.ClickException(f"{folder} has no compose.yaml and scripts/{name}. Give --folder.")
    raise SystemExit(subprocess.run([script, *words], check=False).returncode)
