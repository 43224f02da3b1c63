"""The embedded Alertmanager, where one is installed: it tells the operator's receivers, grouped, and not the same thing twice."""

from __future__ import annotations

from pathlib import Path

from botstead.processes.embedded import probes
from botstead.processes.embedded.child import Program
from botstead.processes.embedded.folder import write_whole

RECEIVERS = "receivers.yml"
"""The operator's file, in the data folder."""
KEEP_HOURS = 120
"""How long it remembers what it said."""


def prepare(data: Path, *, port: int, program: str, configuration: str) -> Program:
    """Return how Alertmanager is run.

    Args:
        data: the data folder.
        port: loopback port to listen on.
        program: its path.
        configuration: as `operate.alerting.routing.alertmanager` makes it; older versions have secrets in it.
    """
    folder = data / "alertmanager"
    folder.mkdir(exist_ok=True, mode=0o700)
    settings = folder / "alertmanager.yml"
    write_whole(settings, configuration.encode())
    return Program(
        role="alertmanager",
        instance="alertmanager",
        command=(
            program,
            f"--config.file={settings}",
            f"--storage.path={folder / 'state'}",
            f"--data.retention={KEEP_HOURS}h",
            f"--web.listen-address=127.0.0.1:{port}",
            f"--web.external-url=http://127.0.0.1:{port}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ),
        environment={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
        folder=folder,
        ready=probes.http(port, "/-/ready"),
        stop_seconds=10.0,
        essential=False,
    )
