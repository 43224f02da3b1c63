"""`botstead messages`: search, and «where is my message?»."""

from __future__ import annotations

from typing import Any

import click

from botstead.processes.cli.client import Client, address, with_api
from botstead.processes.cli.output import Output

COLUMNS = ("id", "at", "bot", "direction", "conversation", "text")
STEP_COLUMNS = ("what", "at", "until", "attempts", "reason", "detail", "message")


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
@click.argument("message", type=int)
@with_api
def show_message(api: Client, out: Output, *, message: int) -> None:
    """Show one message and everything that happened to it."""
    tale = api.call("GET", address("v1", "messages", message))
    out.record_with_table(tale["message"], tale["timeline"], STEP_COLUMNS, whole=tale)
