"""`botstead conversations` and `botstead send`."""

from __future__ import annotations

import click

from botstead.processes.cli.client import Client, address, with_api
from botstead.processes.cli.output import Output

COLUMNS = ("id", "bot", "kind", "last_at", "last_direction", "last_text")
MESSAGE_COLUMNS = ("id", "at", "direction", "status", "text")


@click.group()
def conversations() -> None:
    """See who talks with your bots."""


@conversations.command("list")
@click.option("--bot", help="Only of this bot.")
@click.option("--channel", help="Only on this channel.")
@click.option("--limit", default=20, show_default=True)
@with_api
def list_conversations(api: Client, out: Output, *, bot: str | None, channel: str | None, limit: int) -> None:
    """List conversations, the liveliest first."""
    rows = api.items("/v1/conversations", limit=limit, query={"bot": bot, "channel": channel})
    out.table(rows, COLUMNS, empty="Nobody has said anything yet.")


@conversations.command("show")
@click.argument("conversation")
@click.option("--limit", default=20, show_default=True)
@with_api
def show_conversation(api: Client, out: Output, *, conversation: str, limit: int) -> None:
    """Show the last messages of a conversation, newest last."""
    rows = list(api.items(address("v1", "conversations", conversation, "messages"), limit=limit))
    out.table(reversed(rows), MESSAGE_COLUMNS, empty="Nothing was said there.")


@click.command()
@click.argument("conversation")
@click.argument("text")
@click.option("--once", metavar="KEY", help="Do it once, however often it is called with this key.")
@with_api
def send(api: Client, out: Output, *, conversation: str, text: str, once: str | None) -> None:
    """Say TEXT (Markdown) in a conversation."""
    headers = {"Idempotency-Key": once} if once else {}
    path = address("v1", "conversations", conversation, "messages")
    made = api.call("POST", path, body={"text": text}, headers=headers)
    out.done(f"Kept as message {made['id']}. `botstead messages show {made['id']}` says where it is.", made)
