"""`botstead keys`: who may call the API."""

from __future__ import annotations

from pathlib import Path

import click

from botstead.processes.cli.client import Client, address, with_api
from botstead.processes.cli.output import Output
from botstead.processes.cli.secrets import write_secret

COLUMNS = ("id", "name", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at")


@click.group()
def keys() -> None:
    """Make and revoke API keys."""


@keys.command("list")
@click.option("--limit", default=200, show_default=True)
@with_api
def list_keys(api: Client, out: Output, *, limit: int) -> None:
    """List keys, never their secrets."""
    out.table(api.items("/v1/keys", limit=limit), COLUMNS, empty="There is no key.")


@keys.command("create")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, help="What it may do; may be given again. /docs lists them.")
@click.option("--days", type=click.IntRange(1, 3650), help="Days until it expires. [90]")
@click.option("--forever", is_flag=True, help="It never expires.")
@click.option("--output", type=click.Path(path_type=Path), help="Write the key to this new file, readable by you only.")
@click.option("--show", is_flag=True, help="Show the key.")
@with_api
def create_key(  # noqa: PLR0913  # a command's options are its arguments
    api: Client,
    out: Output,
    *,
    name: str,
    scopes: tuple[str, ...],
    days: int | None,
    forever: bool,
    output: Path | None,
    show: bool,
) -> None:
    """Make a key. It is written to a file, or shown, once only."""
    if output is None and not show:
        raise click.UsageError("Say where the key goes: --output FILE, or --show.")
    expires = {} if days is None and not forever else {"expires_in_days": None if forever else days}
    with write_secret(output) as write:
        made = api.call("POST", "/v1/keys", body={"name": name, "scopes": list(scopes), **expires})
        write(made["key"])
    out.record({field: value for field, value in made.items() if show or field != "key"})


@keys.command("revoke")
@click.argument("key")
@with_api
def revoke_key(api: Client, out: Output, *, key: str) -> None:
    """End a key now, by its id."""
    api.call("DELETE", address("v1", "keys", key))
    out.done(f"{key} is revoked.", {"revoked": key})
