"""`botstead init`: prepares the appliance on Docker Compose. `scripts/init` runs it in the image, with what only it can see."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from botstead.core.errors import BotsteadError
from botstead.processes.cli.output import Output
from botstead.processes.composed import init as initial
from botstead.processes.composed import machine, sizes
from botstead.processes.composed.machine import Told

EDGES = ("caddy", "haproxy", "nginx")
_port = click.IntRange(1, 65_535)


@click.command()
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False, exists=True), default=".", help="Of compose.yaml. [.]")
@click.option("--domain", help="Name that the world knows. [this machine's, or localhost]")
@click.option("--email", help="For the certificate authority, or «internal» for certificates of one's own.")
@click.option("--size", type=click.Choice(sizes.NAMES), help="[by this machine's memory]")
@click.option("--edge", type=click.Choice(EDGES), help="[caddy]")
@click.option("--http-port", type=_port, help="[80]")
@click.option("--https-port", type=_port, help="[443]")
@click.option("--image", help="Our image's name. [botstead]")
@click.option("--version", help="Our image's tag.")
@click.option("--force", is_flag=True, help="Write although a check says «wrong».")
@click.option("--told", default="{}", hidden=True, help="JSON of what scripts/init saw.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, for programs.")
def init(folder: Path, *, force: bool, told: str, as_json: bool, **wishes: str | int | None) -> None:
    """Look at this machine, choose a size, and write .env and secrets/. A second run changes only what an option names."""
    out = Output(as_json=as_json)
    try:
        seen = msgspec.json.decode(told, type=Told)
        asked = msgspec.convert(wishes, initial.Wishes)
        made = initial.plan(folder, asked, told=seen, found=machine.look(folder))
        stopped = bool(made.wrong) and not force
        written = [] if stopped else initial.write(folder, made, told=seen)
    except (BotsteadError, msgspec.ValidationError) as error:
        raise click.ClickException(getattr(error, "message", str(error))) from error
    _tell(out, made, written, stopped=stopped)
    if stopped:
        raise SystemExit(1)


def _tell(out: Output, made: initial.Plan, written: list[str], *, stopped: bool) -> None:
    rows = [msgspec.structs.asdict(check) for check in made.checks]
    told = {name: made.settings[name] for name in sorted(made.settings) if name.startswith("BOTSTEAD_")}
    if stopped:
        following = "Nothing was written. Repair what is wrong, or start again with --force."
    elif not written:
        following = "Nothing was missing, so nothing was changed. Start: docker compose up -d --wait"
    else:
        following = f"Written: {', '.join(written)}. Start: docker compose up -d --wait"
    whole = {"checks": rows, "settings": told, "changed": [*made.changed], "written": written, "next": following}
    out.record_with_table(told, rows, ("check", "status", "detail"), whole=whole)
    if not out.as_json:
        click.echo(f"\n{following}")
