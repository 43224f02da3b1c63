"""`botstead new`, `dev` and `test`: what an author does on a laptop, with no server running."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import string
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from botstead.bots.bot import NAME
from botstead.bots.loader import SOURCE
from botstead.processes.cli.dev_room import DevRoom
from botstead.processes.cli.secrets import read_secrets

TEMPLATES = Path(__file__).parent / "first_bot"
_SUFFIX = ".txt"
_NO_TESTS = 5
"""https://docs.pytest.org/en/stable/reference/exit-codes.html"""

_folder = click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path())


@click.command()
@click.argument("name")
@click.option(
    "--in", "parent", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="Where to put the folder. [.]"
)
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def new(name: str, parent: Path, *, as_json: bool) -> None:
    """Write a folder with a first bot: bot.py, bot.toml and a test that passes."""
    if NAME.fullmatch(name) is None:
        raise click.ClickException(
            f"A bot cannot be called {name!r}: use lower-case letters, digits and hyphens, such as my-bot."
        )
    folder = parent / name
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise click.ClickException(f"{folder} is there already, and nothing was changed. Choose another name.") from None
    except OSError as error:
        raise click.ClickException(f"{folder} cannot be made: {error.strerror}.") from error
    written = []
    for template in sorted(TEMPLATES.glob(f"*{_SUFFIX}")):
        path = folder / template.name.removesuffix(_SUFFIX)
        path.write_text(string.Template(template.read_text("utf-8")).substitute(name=name), "utf-8")
        written.append(str(path))
    if as_json:
        click.echo(json.dumps({"name": name, "folder": str(folder), "files": written}))
        return
    click.echo(f"Wrote {', '.join(written)}\n")
    click.echo(f"  botstead test {folder}    run its tests")
    click.echo(f"  botstead dev {folder}     talk with it here; edit bot.py meanwhile")
    click.echo(f"  botstead up --bots {folder.parent}   run it, with everything around it")


@click.command(context_settings={"ignore_unknown_options": True})
@_folder
@click.argument("pytest_arguments", nargs=-1, type=click.UNPROCESSED)
def test(folder: Path, pytest_arguments: Sequence[str]) -> None:
    """Run the tests in a bot's folder, or in a folder of bots. Further arguments go to pytest."""
    _require_folder(folder)
    if importlib.util.find_spec("pytest") is None:
        raise click.ClickException(
            "The tests need pytest, which is not installed here. Get it with: python -m pip install pytest"
        )
    ours = ("-p", "botstead.bots.pytest_plugin", "-p", "no:cacheprovider", "--import-mode=importlib")
    done = subprocess.run([sys.executable, "-m", "pytest", *ours, str(folder), *pytest_arguments], check=False)
    if done.returncode == _NO_TESTS:
        raise click.ClickException(f"{folder} has no tests. `botstead new` shows how they look.")
    sys.exit(done.returncode)


@click.command()
@_folder
@click.option("--secret", multiple=True, help="NAME=FILE, a secret that bot.toml names; may be given again.")
def dev(folder: Path, secret: Sequence[str]) -> None:
    """Talk with a bot in this terminal; it is loaded again whenever a file in its folder changes."""
    _require_folder(folder)
    if not (folder / SOURCE).is_file():
        raise click.ClickException(f"{folder} has no {SOURCE}. `botstead new NAME` writes a first one.")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(DevRoom(folder.resolve(), read_secrets(secret)).run())


def _require_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise click.ClickException(f"There is no folder {folder}.")
