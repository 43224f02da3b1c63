"""`botstead up` and `botstead down`: the whole appliance on this machine, without Docker."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import click
from rich.console import Console

from botstead.core.errors import BotsteadError
from botstead.core.settings import Settings
from botstead.processes import environment
from botstead.processes.embedded import folder, logs
from botstead.processes.embedded.appliance import Appliance

DETACHED_LOG = "appliance.log"
READY = "ready "
"""How the last line begins."""
START_SECONDS = 300.0
"""Seconds that a detached start may take altogether; each part has a shorter deadline of its own."""
STOP_SECONDS = 180.0
"""Seconds that stopping may take altogether; each part has a shorter deadline of its own."""
POLL = 0.1

_data = click.option("--data", type=click.Path(path_type=Path), help="Folder of everything that survives. [.botstead]")


@click.command()
@_data
@click.option("--port", type=click.IntRange(1, 65_535), help="Port of the edge on 127.0.0.1. [8080]")
@click.option("--detach", is_flag=True, help="Return when it is ready; `botstead down` stops it.")
@click.option("--bots", type=click.Path(path_type=Path), multiple=True, help="A folder of bots; may be given again.")
def up(data: Path | None, port: int | None, *, detach: bool, bots: Sequence[Path]) -> None:
    """Run everything here: Postgres, Valkey, edge, API, worker, scheduler, alerts. Ctrl-C stops it in order."""
    with _one_sentence():
        settings = environment.effective(environment.variables(), data=data, port=port, bots=tuple(bots) or None)
        folder.prepare(settings.data)
        if detach:
            _detach(settings)
        else:
            _attached(settings)


@click.command()
@_data
def down(data: Path | None) -> None:
    """Stop the appliance that runs on a data folder, and wait until it is gone."""
    with _one_sentence():
        settings = environment.effective(environment.variables(), data=data)
        pid = folder.holder(settings.data)
        if pid is None:
            click.echo(f"Nothing runs on {settings.data}.")
            return
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        with Console().status(f"Stopping process {pid}, which lets running work end …"):
            _wait(
                lambda: folder.holder(settings.data) != pid,
                STOP_SECONDS,
                f"Process {pid} still stops; see {settings.data / folder.LOGS}.",
            )
        click.echo("stopped")


@contextmanager
def _one_sentence() -> Iterator[None]:
    """Show an error of ours as one sentence, without the program's inside."""
    try:
        yield
    except BotsteadError as error:
        raise click.ClickException(error.message) from error


def _attached(settings: Settings) -> None:
    lock = folder.Lock(settings.data)
    lock.take()
    try:
        folder.require_free(settings.host, settings.port)
        asyncio.run(_run(settings))
    finally:
        lock.release()


async def _run(settings: Settings) -> None:
    console = Console(soft_wrap=True, highlight=False)
    status = console.status("Starting …")

    def part_ready(part: str, seconds: float) -> None:
        console.print(f"{part:<10} ready in {seconds:.1f} s")

    def ready() -> None:
        status.stop()
        _tell(appliance)

    echo = logs.on_terminal if sys.stderr.isatty() else logs.nowhere
    appliance = Appliance(settings, environment.variables(), report=part_ready, echo=echo)
    status.start()
    try:
        await appliance.run(ready)
    finally:
        status.stop()


def _tell(appliance: Appliance) -> None:
    """Say where everything is. The last line is for programs that wait for it."""
    click.echo(f"chat       {appliance.url}/chat/echo")
    click.echo(f"API        {appliance.url}/docs")
    click.echo(f"key file   {appliance.admin_key_file}")
    if appliance.prometheus:
        click.echo(f"metrics    {appliance.prometheus}/alerts")
    for note in appliance.notes:
        click.echo(f"note       {note}")
    click.echo(f"{READY}{appliance.url}")


def _detach(settings: Settings) -> None:
    """Start ourselves again in a session of our own, and show what it says until it is ready."""
    if (pid := folder.holder(settings.data)) is not None:
        raise folder.already_runs(settings.data, pid)
    path = settings.data / folder.LOGS / DETACHED_LOG
    with path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "botstead", "up", *_options(settings)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    with path.open() as log:
        lines = _Lines(log.read)
        _wait(
            lambda: lines.show(ended=process.poll() is not None),
            START_SECONDS,
            f"It is not ready after {START_SECONDS:.0f} s; see {path}.",
        )
    if not lines.ready:
        sys.exit(process.returncode or 1)


def _options(settings: Settings) -> list[str]:
    bots = [word for path in settings.bots for word in ("--bots", str(path))]
    return ["--data", str(settings.data), "--port", str(settings.port), *bots]


class _Lines:
    """Shows lines as they come, up to the one that says that all is ready."""

    def __init__(self, read: Callable[[], str]) -> None:
        self.ready = False
        self._read = read
        self._rest = ""

    def show(self, *, ended: bool) -> bool:
        """Show what is new; whether there is nothing more to wait for."""
        *lines, self._rest = (self._rest + self._read()).split("\n")
        for line in lines:
            click.echo(line)
            self.ready = self.ready or line.startswith(READY)
        return self.ready or ended


def _wait(condition: Callable[[], bool], seconds: float, otherwise: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise click.ClickException(otherwise)
        time.sleep(POLL)
