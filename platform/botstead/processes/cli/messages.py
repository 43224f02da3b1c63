"""`botstead messages`: search, and «where is my message?»."""

from __future__ import annotations

from typing import Any

import click

from botstead.processes.cli.client import Client, address, with_api
from botstead.processes.cli.output import Output
from botstead.processes.cli.road import picture

COLUMNS = ("id", "at", "bot", "direction", "conversation", "text")
MOST = 200
MOST_SHOWN = 5
"""Messages of one trace that are drawn; of more, only a list is shown."""


@click.group()
def messages() -> None:
    """Search messages, and see where one is."""


@messages.command("search")
@click.argument("words", nargs=-1)
@click.option("--bot", help="Only of this bot.")
@click.option("--channel", help="Only on this channel.")
@click.option("--limit", default=20, show_default=True)
@with_api
def search(api: Client, out: Output, *, words: tuple[str, ...], **filters: Any) -> None:
    """Find messages that hold every word, newest first; without words, the newest."""
    limit = filters.pop("limit")
    rows = api.items("/v1/messages", limit=limit, query={"q": " ".join(words) or None, **filters})
    out.table(rows, COLUMNS, empty="No message holds that.")


@messages.command("show")
@click.argument("message", type=int, required=False)
@click.option("--trace", help="The messages of a trace: 32 hex digits, from a graph, a log line or a collector.")
@with_api
def show_message(api: Client, out: Output, *, message: int | None, trace: str | None) -> None:
    """Show where a message is, what happened to it, why it is not further, and where its time went."""
    if (message is None) == (trace is None):
        raise click.UsageError("Give an id, or --trace.")
    if message is not None:
        found = [message]
    else:
        rows = api.call("GET", "/v1/messages", query={"trace": trace, "limit": MOST})["items"]
        found = [row["id"] for row in reversed(rows) if row["direction"] != "out"]
        if len(found) > MOST_SHOWN:
            out.table(rows, COLUMNS, empty="")
            return
    tales = [api.call("GET", address("v1", "messages", number)) for number in found]
    if trace is not None and not tales:
        raise click.ClickException("No message belongs to that trace.")
    out.pictures([picture(tale) for tale in tales], whole=tales[0] if message is not None else tales)
