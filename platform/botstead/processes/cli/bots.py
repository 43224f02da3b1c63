"""`botstead bots`: which bots there are."""

from __future__ import annotations

from pathlib import Path

import click

from botstead.processes.cli.bot_secrets import secrets
from botstead.processes.cli.client import Client, address, with_api
from botstead.processes.cli.output import Output
from botstead.processes.cli.report import report_lines
from botstead.processes.cli.secrets import read_secret, write_secret

COLUMNS = ("name", "kind", "enabled", "problem", "url")


@click.group()
def bots() -> None:
    """See bots; add and remove those that speak HTTP."""


bots.add_command(secrets)


@bots.command("list")
@click.option("--all", "everything", is_flag=True, help="Also the platform's own, such as the canary.")
@click.option("--limit", default=200, show_default=True)
@with_api
def list_bots(api: Client, out: Output, *, everything: bool, limit: int) -> None:
    """List bots, with the reason where one cannot run."""
    query = {"internal": "true"} if everything else None
    out.table(
        api.items("/v1/bots", limit=limit, query=query), COLUMNS, empty="There is no bot yet. `botstead new NAME` makes one."
    )


@bots.command("show")
@click.argument("name")
@with_api
def show_bot(api: Client, out: Output, *, name: str) -> None:
    """Show one bot."""
    out.record(api.call("GET", address("v1", "bots", name)))


@bots.command("report")
@click.argument("name")
@click.option("--hours", default=24, show_default=True, type=click.IntRange(1, 720), help="How far back.")
@with_api
def report_bot(api: Client, out: Output, *, name: str, hours: int) -> None:
    """Show how a bot does: how fast, how often right, and what is left of its budget."""
    report = api.call("GET", address("v1", "bots", name, "report"), query={"hours": hours})
    out.record_as(report_lines(report), whole=report)


@bots.command("add")
@click.argument("name")
@click.argument("endpoint")
@click.option("--secret-file", type=click.Path(path_type=Path), help="File with the signing secret; without it one is made.")
@click.option("--output", type=click.Path(path_type=Path), help="Write the made secret to this file.")
@click.option("--show", is_flag=True, help="Show the made secret.")
@with_api
def add_bot(  # noqa: PLR0913  # a command's options are its arguments
    api: Client, out: Output, *, name: str, endpoint: str, secret_file: Path | None, output: Path | None, show: bool
) -> None:
    """Add a bot that speaks HTTP: events are POSTed to ENDPOINT, signed."""
    body = {"name": name, "url": endpoint, **({"secret": read_secret(secret_file)} if secret_file else {})}
    if secret_file is None and output is None and not show:
        raise click.UsageError("Say where the signing secret goes: --output FILE, or --show.")
    with write_secret(output) as write:
        made = api.call("POST", "/v1/bots", body=body)
        secret = made.pop("secret", None)
        write(secret)
    out.record({**made, "secret": secret} if show and secret else made)


@bots.command("remove")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_api
def remove_bot(api: Client, out: Output, *, name: str, yes: bool) -> None:
    """Remove a bot and its channels; its history stays."""
    if not yes:
        click.confirm(f"Remove {name} and its channels?", abort=True)
    api.call("DELETE", address("v1", "bots", name))
    out.done(f"{name} is removed.", {"removed": name})
