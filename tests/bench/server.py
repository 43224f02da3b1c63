"""The Postgres that all targets share: durable, from the embedded wheel, with one set of settings for everybody."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.servers import PostgresServer

OPTIONS = (
    "fsync=on",
    "full_page_writes=on",
    "synchronous_commit=on",
    "shared_buffers=1GB",
    "max_wal_size=8GB",
    "checkpoint_timeout=15min",
    "max_connections=200",
    "maintenance_work_mem=1GB",
    "work_mem=32MB",
    "jit=off",
)
"""Alike for all targets. Checkpoints stay out of short phases."""


class Server:
    """A running server with a database for each target."""

    def __init__(self, running: PostgresServer) -> None:
        assert running.process is not None
        self._running = running
        self.pid: int = running.process.pid

    def dsn(self, database: str) -> str:
        """Return the address of one of its databases."""
        found: str = self._running.database(database)
        return found

    def recreate(self, database: str) -> None:
        """Begin with an empty database."""
        self.drop(database)
        self.run(f"CREATE DATABASE {database}")
        self.run("CHECKPOINT")

    def drop(self, database: str) -> None:
        """Drop a database, whoever uses it."""
        self.run(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    def run(self, *statements: str, database: str = "postgres") -> str:
        """Run SQL; returns what it says, unaligned, without headings.

        Raises:
            RuntimeError: a statement failed.
        """
        commands = [word for statement in statements for word in ("-c", statement)]
        psql = [str(self._running.programs / "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", self.dsn(database), *commands]
        done = subprocess.run(psql, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return str(done.stdout).strip()


@contextmanager
def server(options: Sequence[str] = OPTIONS) -> Iterator[Server]:
    """Start one in a scratch folder; both are gone afterwards.

    Args:
        options: settings of the server, as `name=value`.
    """
    folder = Path(tempfile.mkdtemp(prefix="botstead-bench-pg-", dir=os.environ.get("BOTSTEAD_BENCH_SCRATCH", "/var/tmp")))
    running = PostgresServer(folder, options=tuple(options))
    running.start()
    try:
        yield Server(running)
    finally:
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)
