"""The embedded Valkey: a cache and a bell. It keeps nothing on disk, so there is nothing to repair or to restore."""

from __future__ import annotations

from pathlib import Path

from botstead.processes.embedded import wheels
from botstead.processes.embedded.child import Program
from botstead.processes.embedded.folder import password, write_whole
from botstead.processes.embedded.probes import Ready, answers

SETTINGS = """\
bind 127.0.0.1
port {port}
requirepass {secret}
protected-mode yes
save ""
appendonly no
maxmemory 64mb
maxmemory-policy volatile-ttl
databases 1
dir {folder}
"""


def prepare(data: Path, *, port: int) -> tuple[Program, str]:
    """Return how the server is run, and its URL.

    Args:
        data: the data folder.
        port: loopback port to listen on.

    Raises:
        ConfigurationError: the server is not installed.
    """
    secret = password(data / "valkey.password")
    folder = data / "valkey"
    folder.mkdir(exist_ok=True, mode=0o700)
    # A file, not arguments: everybody can read arguments.
    settings = folder / "valkey.conf"
    write_whole(settings, SETTINGS.format(port=port, secret=secret, folder=folder).encode())
    program = Program(
        role="valkey",
        instance="valkey",
        command=(str(wheels.valkey()), str(settings)),
        environment={"PATH": "/usr/bin:/bin"},
        folder=folder,
        ready=_ready(port, secret),
        stop_seconds=5.0,
    )
    return program, f"valkey://:{secret}@127.0.0.1:{port}/0"


def _ready(port: int, secret: str) -> Ready:
    async def ready(_pid: int) -> bool:
        return await answers(port, f"AUTH {secret}\r\n".encode(), b"+OK")

    return ready
