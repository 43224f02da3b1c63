"""`botstead run ROLE…` and `botstead migrate`: one process of the appliance, in the foreground."""

from __future__ import annotations

import asyncio
import sys

import click
import msgspec

from botstead.core.errors import ConfigurationError, Unavailable
from botstead.processes.foundation import key_ring_path, read_settings, required_postgres
from botstead.processes.launch import EXIT_CONFIGURATION, EXIT_FAILED, ROLES, launch
from botstead.runtime import keyring
from botstead.store import migrate as migrations


@click.command()
@click.argument("roles", nargs=-1, required=True, type=click.Choice(list(ROLES)))
@click.option("--instance", default="", help="Stable name of this process, such as worker-a.")
def run(roles: tuple[str, ...], instance: str) -> None:
    """Run one or more roles in this process until it gets SIGTERM."""
    try:
        settings = read_settings(instance=instance)
    except ConfigurationError as error:
        click.echo(error.message, err=True)
        sys.exit(EXIT_CONFIGURATION)
    named = msgspec.structs.replace(settings, instance=settings.instance or f"{roles[0]}-a")
    sys.exit(launch(named, roles))


@click.command()
@click.option("--post", is_flag=True, help="Also apply steps that only the new release understands.")
def migrate(post: bool) -> None:
    """Bring the database to the schema of this version. Safe to start anywhere, any number of times."""
    try:
        settings = read_settings()
        dsn = required_postgres(settings)
        done = asyncio.run(migrations.migrate(dsn, phase="post" if post else "pre"))
        keyring.load_or_create(key_ring_path(settings), sealed_data_exists=asyncio.run(migrations.holds_sealed(dsn)))
    except ConfigurationError as error:
        click.echo(error.message, err=True)
        sys.exit(EXIT_CONFIGURATION)
    except Unavailable as error:
        click.echo(error.message, err=True)
        sys.exit(EXIT_FAILED)
    click.echo("\n".join(f"applied {step}" for step in done) or "The schema is up to date.")
