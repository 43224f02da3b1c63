"""`botstead bots secrets`: what a bot calls services with. Values come from files, never from the command line."""

from __future__ import annotations

from pathlib import Path

import click

from botstead.processes.cli.client import Client, address, with_api
from botstead.processes.cli.output import Output
from botstead.processes.cli.secrets import read_secret

COLUMNS = ("name", "set_at")


@click.group()
def secrets() -> None:
    """Set the secrets that a bot's bot.toml names."""


@secrets.command("list")
@click.argument("bot")
@with_api
def list_secrets(api: Client, out: Output, *, bot: str) -> None:
    """List the secrets of BOT: names and times only."""
    found = api.call("GET", address("v1", "bots", bot, "secrets"))["items"]
    out.table(found, COLUMNS, empty=f"{bot} has no secrets. `botstead bots secrets set {bot} NAME --file FILE` sets one.")


@secrets.command("set")
@click.argument("bot")
@click.argument("name")
@click.option("--file", "path", type=click.Path(path_type=Path), required=True, help="File with the secret; - is standard input.")
@with_api
def set_secret(api: Client, out: Output, *, bot: str, name: str, path: Path) -> None:
    """Set the secret NAME of BOT, or replace it."""
    out.record(api.call("PUT", address("v1", "bots", bot, "secrets", name), body={"value": read_secret(path)}))


@secrets.command("delete")
@click.argument("bot")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_api
def delete_secret(api: Client, out: Output, *, bot: str, name: str, yes: bool) -> None:
    """Forget the secret NAME of BOT."""
    if not yes:
        click.confirm(f"Delete the secret {name} of {bot}?", abort=True)
    api.call("DELETE", address("v1", "bots", bot, "secrets", name))
    out.done(f"{name} is deleted.", {"deleted": name})
