"""`botstead configure`: what those who watch an appliance on Compose are told. The one-shot service `configure` runs it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from botstead.core.errors import ConfigurationError
from botstead.processes.composed import watching
from botstead.processes.foundation import read_settings
from botstead.processes.launch import EXIT_CONFIGURATION

FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.option("--profiles", default="", help="What runs, as COMPOSE_PROFILES in .env names it.")
@click.option("--into", type=FOLDER, default="/configured", show_default=True, help="Folder to write into.")
@click.option("--receivers", type=FOLDER, default="/receivers", show_default=True, help="Folder of receivers.yml and its tokens.")
@click.option("--given", type=FOLDER, default="/given", show_default=True, help="Folder of targets and data sources.")
def configure(*, profiles: str, into: Path, receivers: Path, given: Path) -> None:
    """Write the configuration of Prometheus, Alertmanager and Grafana for this appliance."""
    try:
        site = watching.Site(
            public_url=_public_url(), profiles=watching.active(profiles), receivers=receivers.absolute(), given=given
        )
        written = watching.write(into, site)
    except ConfigurationError as error:
        click.echo(error.message, err=True)
        sys.exit(EXIT_CONFIGURATION)
    click.echo("\n".join((f"{written.files} files for {site.public_url}", *written.unheard)))


def _public_url() -> str:
    found = read_settings().public_url
    if not found:
        raise ConfigurationError("BOTSTEAD_PUBLIC_URL is empty, and links in alerts would lead nowhere. Run scripts/init.")
    return found
