"""`botstead dead-letters`: what could not be handled or sent."""

from __future__ import annotations

from typing import Any

import click

from botstead.processes.cli.client import Client, address, with_api
from botstead.processes.cli.output import Output

COLUMNS = ("id", "at", "direction", "bot", "conversation", "reason", "attempts", "replayed_at")


@click.group("dead-letters")
def letters() -> None:
    """See what failed, and run it again."""


@letters.command("list")
@click.option("--bot", help="Only of this bot.")
@click.option("--channel", help="Only on this channel.")
@click.option("--reason", help="Only with this reason.")
@click.option("--replayed/--waiting", default=None, help="Only those that were replayed, or were not.")
@click.option("--limit", default=50, show_default=True)
@with_api
def list_letters(api: Client, out: Output, *, limit: int, **filters: Any) -> None:
    """List dead letters, newest first."""
    out.table(api.items("/v1/dead-letters", limit=limit, query=filters), COLUMNS, empty="Nothing has failed for good.")


@letters.command("show")
@click.argument("message", type=int)
@with_api
def show_letter(api: Client, out: Output, *, message: int) -> None:
    """Show one dead letter with its error."""
    out.record(api.call("GET", address("v1", "dead-letters", message)))


@letters.command("replay")
@click.argument("message", type=int, required=False)
@click.option("--bot", help="All of this bot.")
@click.option("--channel", help="All on this channel.")
@click.option("--reason", help="All with this reason.")
@click.option("--first", type=int, help="From this id on.")
@click.option("--last", type=int, help="Up to this id.")
@click.option("--all", "everything", is_flag=True, help="Every one.")
@click.option("--dry-run", is_flag=True, help="Only count.")
@with_api
def replay(api: Client, out: Output, *, message: int | None, everything: bool, dry_run: bool, **which: Any) -> None:
    """Run one again by its id, or many by filter. Each is replayed once for each failure."""
    given = {name: value for name, value in which.items() if value is not None}
    if message is not None:
        if given or everything or dry_run:
            raise click.UsageError("Give an id, or a filter; not both.")
        api.call("POST", address("v1", "dead-letters", message, "replay"))
        out.done(f"{message} is back on the road. `botstead messages show {message}` says where it is.", {"id": message})
        return
    if not (given or everything or dry_run):
        raise click.UsageError("Give an id, a filter, or --all.")
    result = api.call("POST", "/v1/dead-letters/replay", body={**given, "all": everything, "dry_run": dry_run})
    sentence = f"{result['left']} would be replayed." if dry_run else f"{result['replayed']} replayed, {result['left']} left."
    out.done(sentence, result)
