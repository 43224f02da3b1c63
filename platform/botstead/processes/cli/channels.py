"""`botstead channels`: where bots talk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from botstead.processes.cli.client import Client, address, with_api
from botstead.processes.cli.output import Output
from botstead.processes.cli.secrets import named, read_secret, read_secrets, write_secret

COLUMNS = ("id", "bot", "kind", "name", "enabled", "health", "wrong", "hook_url")


@click.group()
def channels() -> None:
    """Install bots on chat networks, and see how they are."""


@channels.command("list")
@click.option("--bot", help="Only of this bot.")
@click.option("--all", "everything", is_flag=True, help="Also the platform's own, such as the canary's.")
@click.option("--limit", default=200, show_default=True)
@with_api
def list_channels(api: Client, out: Output, *, bot: str | None, everything: bool, limit: int) -> None:
    """List channels, with their health and what is wrong."""
    path = address("v1", "bots", bot, "channels") if bot else "/v1/channels"
    query = {"internal": "true"} if everything and not bot else None
    rows = [_row(row) for row in api.items(path, limit=limit, query=query)]
    out.table(rows, COLUMNS, empty="There is no channel yet. `botstead channels add BOT KIND` makes one.")


def _row(row: dict[str, Any]) -> dict[str, Any]:
    health = row["health"] or {}
    wrong = health.get("detail") if health.get("status") not in (None, "ok") else None
    return {**row, "health": health.get("status"), "wrong": wrong}


@channels.command("add")
@click.argument("bot")
@click.argument("kind")
@click.option("--name", default="", help="What you call it.")
@click.option("--setting", multiple=True, help="NAME=VALUE; may be given again.")
@click.option("--secret", multiple=True, help="NAME=FILE, the file holding the secret, - for standard input; may be given again.")
@click.option("--output", type=click.Path(path_type=Path), help="Write the made hook secret to this file.")
@click.option("--show", is_flag=True, help="Show secrets that were made.")
@with_api
def add_channel(api: Client, out: Output, *, bot: str, output: Path | None, show: bool, **given: Any) -> None:
    """Install BOT on a network, such as telegram, webchat or webhook."""
    body = {
        "kind": given["kind"],
        "name": given["name"],
        "settings": named(given["setting"], "--setting"),
        "secrets": read_secrets(given["secret"]),
    }
    with write_secret(output) as write:
        made = api.call("POST", address("v1", "bots", bot, "channels"), body=body)
        write(made.get("hook_secret"))
    _made(out, made, show=show, kept=output is not None)


@channels.command("show")
@click.argument("channel")
@with_api
def show_channel(api: Client, out: Output, *, channel: str) -> None:
    """Show one channel, never its secrets."""
    out.record(api.call("GET", address("v1", "channels", channel)))


@channels.command("rotate")
@click.argument("channel")
@click.argument("name")
@click.option("--from-file", type=click.Path(path_type=Path), help="File with the new secret; without it one is made.")
@click.option("--output", type=click.Path(path_type=Path), help="Write the made secret to this file.")
@click.option("--show", is_flag=True, help="Show the made secret.")
@with_api
def rotate_secret(  # noqa: PLR0913  # a command's options are its arguments
    api: Client, out: Output, *, channel: str, name: str, from_file: Path | None, output: Path | None, show: bool
) -> None:
    """Replace the secret NAME of a channel; the old one is still accepted until it is replaced again."""
    if from_file is None and output is None and not show:
        raise click.UsageError("Say where the new secret comes from or goes: --from-file, --output FILE, or --show.")
    secret = None if from_file is None else read_secret(from_file)
    with write_secret(output) as write:
        made = api.call("PATCH", address("v1", "channels", channel), body={"secrets": {name: secret}})
        write(made.get("shown_once", {}).get(name))
    _made(out, made, show=show, kept=output is not None)


@channels.command("remove")
@click.argument("channel")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_api
def remove_channel(api: Client, out: Output, *, channel: str, yes: bool) -> None:
    """Remove a channel; its history stays."""
    if not yes:
        click.confirm(f"Remove the channel {channel}?", abort=True)
    api.call("DELETE", address("v1", "channels", channel))
    out.done(f"{channel} is removed.", {"removed": channel})


@channels.command("health")
@click.argument("channel")
@with_api
def channel_health(api: Client, out: Output, *, channel: str) -> None:
    """Ask the provider how a channel is."""
    found = api.call("GET", address("v1", "channels", channel, "health"))
    out.record(found)
    if found["status"] == "failing":
        raise SystemExit(1)


def _made(out: Output, made: dict[str, Any], *, show: bool, kept: bool) -> None:
    install, secrets = made["install"], made.get("shown_once", {})
    brief = {"id": made["id"], "hook_url": made["hook_url"], "provider": install["status"], "detail": install.get("detail")}
    hidden = {name: f"made; `botstead channels rotate {made['id']} {name} --show` makes and shows another" for name in secrets}
    out.record({**brief, **(secrets if show else {} if kept else hidden)})
