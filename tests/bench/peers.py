"""The same job written with other frameworks. Their packages are installed once into a cache folder, as their locks say."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from tests.bench.server import Server
from tests.bench.targets import SECRET, TOKEN, Target, clean_environment, end, free_port, wait_for

PEERS = Path(__file__).parent / "peers"
DATABASE = "peer_bench"


@contextmanager
def grammy(api_port: int, server: Server) -> Iterator[Target]:
    """Run the peer that is written with grammY, on Node."""
    folder = _installed("grammy", ("package.json", "package-lock.json"), _with_npm)
    with _running("grammy", ["node", "app.js"], folder, api_port, server) as target:
        yield target


@contextmanager
def aiogram(api_port: int, server: Server) -> Iterator[Target]:
    """Run the peer that is written with aiogram, on uvloop."""
    folder = _installed("aiogram", ("requirements.lock",), _with_pip)
    with _running("aiogram", [str(folder / "venv" / "bin" / "python"), "app.py"], folder, api_port, server) as target:
        yield target


@contextmanager
def _running(name: str, command: Sequence[str], folder: Path, api_port: int, server: Server) -> Iterator[Target]:
    server.recreate(DATABASE)
    server.run((PEERS / "schema.sql").read_text(), database=DATABASE)
    port = free_port()
    told = {"DSN": server.dsn(DATABASE), "TOKEN": TOKEN, "SECRET": SECRET, "BOT_API": f"http://127.0.0.1:{api_port}"}
    process = subprocess.Popen(
        [*command, str(port)], cwd=folder, env=clean_environment() | told, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        wait_for(process, lambda: _listens(port))
        yield Target(name, port, ["/webhook"], SECRET, {"app": process.pid, "postgres": server.pid})
    finally:
        end(process)
        server.drop(DATABASE)


def _installed(name: str, locks: Sequence[str], install: Callable[[Path], None]) -> Path:
    """Return a folder with a peer and its packages; it is made again when its lock has changed."""
    source = PEERS / name
    digest = hashlib.sha256(b"".join((source / lock).read_bytes() for lock in locks)).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "botstead-bench"
    folder = cache / f"{name}-{digest}"
    if not (folder / "complete").exists():
        click.echo(f"installing the packages of the peer {name} into {folder} (once) ...", err=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for lock in locks:
            shutil.copy(source / lock, folder)
        install(folder)
        (folder / "complete").touch()
    for file in source.glob("app.*"):
        shutil.copy(file, folder)
    return folder


def _with_npm(folder: Path) -> None:
    if shutil.which("npm") is None:
        raise click.ClickException("The grammY peer needs Node with npm (on Debian: apt-get install npm).")
    subprocess.run(["npm", "ci", "--no-fund", "--no-audit", "--silent"], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def _with_pip(folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "venv"], cwd=folder, check=True)
    pip = ["venv/bin/python", "-m", "pip", "--disable-pip-version-check", "-qq", "install", "--no-deps"]
    subprocess.run([*pip, "-r", "requirements.lock"], cwd=folder, check=True)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0
