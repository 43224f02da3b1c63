"""Starts `botstead up` as people do, with stand-ins for our own processes."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from botstead.processes.embedded.folder import free_ports
from tests.servers import wait_until

ROLES = Path(__file__).parent / "roles"
# The stand-ins take the place of the package only for the processes below the appliance.
LAUNCHER = "import os, sys; os.environ['PYTHONPATH'] = sys.argv.pop(1); from botstead.processes.cli.main import main; main()"


class Started:
    """One `botstead up` and what it leaves behind."""

    def __init__(self, folder: Path, *arguments: str, stand_ins: bool = True, **variables: str) -> None:
        self.data = folder / "data"
        self.notes_file = folder / "notes"
        self.port = free_ports(1)[0]
        self.output = folder / "output"
        environment = {**os.environ, "BOTSTEAD_PROMETHEUS": "none", "ROLES_NOTES": str(self.notes_file), **variables}
        given = ["--data", str(self.data), "--port", str(self.port), *arguments]
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, *(["-c", LAUNCHER, str(ROLES)] if stand_ins else ["-m", "botstead"]), "up", *given],
                stdout=output, stderr=output, env=environment, start_new_session=True,
            )  # fmt: skip

    @property
    def said(self) -> str:
        return self.output.read_text()

    @property
    def notes(self) -> list[str]:
        return self.notes_file.read_text().splitlines() if self.notes_file.exists() else []

    @property
    def description(self) -> dict:
        return json.loads((self.data / "appliance.json").read_text())

    def pids(self) -> dict[str, int]:
        found = self.description
        return {entry["instance"]: entry["pid"] for entry in found["processes"] + found["servers"]}

    def wait_ready(self) -> None:
        wait_until(lambda: f"ready http://127.0.0.1:{self.port}\n" in self.said or self.process.poll() is not None, seconds=60)
        assert self.process.poll() is None, self.said

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


def get(port: int, path: str, *, method: str = "GET", body: bytes | None = None, headers: dict | None = None):
    """One request to the edge: status, headers, body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read().decode()
    finally:
        connection.close()


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has collected yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.fixture
def folder():
    """A folder that only we may enter, as root's home is."""
    with tempfile.TemporaryDirectory(prefix="botstead-up-") as path:
        yield Path(path)


@pytest.fixture
def up(folder):
    """Start the appliance; whatever runs at the end is ended."""
    started: list[Started] = []

    def start(*arguments: str, stand_ins: bool = True, **variables: str) -> Started:
        started.append(Started(folder, *arguments, stand_ins=stand_ins, **variables))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                one.end()
            one.process.kill()
            one.process.wait(10)
