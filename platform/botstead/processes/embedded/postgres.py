"""The embedded Postgres: a real server from a wheel, on a cluster in the data folder."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from botstead.core.errors import ConfigurationError
from botstead.processes.embedded import tether, wheels
from botstead.processes.embedded.account import Account, unprivileged
from botstead.processes.embedded.child import Program
from botstead.processes.embedded.folder import password
from botstead.processes.embedded.probes import Ready

SUPERUSER = "botstead"
DATABASE = "postgres"
VERSION_SECONDS = 10.0
INITIALISE_SECONDS = 60.0
LEFTOVER_SECONDS = 15.0
"""Seconds that a server of a killed appliance may take to end before a new one gives up on the data."""
STOP_SECONDS = 60.0
ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
LOCALE = ("--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--encoding=UTF8")
"""Sorting that no operating system's update can change under an index."""
SETTINGS = {
    # An acknowledged message is on the disk. These are defaults; they stand here so that nobody's file can turn them off.
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    # A machine of 1 GB.
    "shared_buffers": "64MB",
    "max_connections": "60",
    "work_mem": "4MB",
    "maintenance_work_mem": "32MB",
    "max_parallel_workers_per_gather": "0",
    "autovacuum_max_workers": "2",
    "io_method": "sync",
    "jit": "off",
    "max_wal_size": "256MB",
    "min_wal_size": "32MB",
    "max_slot_wal_keep_size": "1GB",
    "idle_in_transaction_session_timeout": "60s",
    # One door: loopback with a password. A socket file would need a short path that the account can reach.
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "log_line_prefix": "%m [%p] ",
    "log_checkpoints": "off",
}


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster that can be started.

    Args:
        folder: its files.
        programs: folder with the server's programs.
        account: who runs it; None for ourselves.
        secret: the superuser's password.
        port: loopback port to listen on.
    """

    folder: Path
    programs: Path
    account: Account | None
    secret: str
    port: int

    @property
    def dsn(self) -> str:
        """Where clients connect."""
        return f"postgresql://{SUPERUSER}:{self.secret}@127.0.0.1:{self.port}/{DATABASE}"

    def program(self) -> Program:
        """Return how the server is run."""
        options = [f"{name}={value}" for name, value in {**SETTINGS, "port": self.port}.items()]
        return Program(
            role="postgres",
            instance="postgres",
            command=(
                str(self.programs / "postgres"),
                *("-D", _shown(self.folder, self.account)),
                *(word for option in options for word in ("-c", option)),
            ),
            environment=ENVIRONMENT,
            folder=self.folder,
            account=self.account,
            ready=_ready(self.folder),
            # Fast shutdown: ends sessions, writes a checkpoint. If we are killed it must not wait for anything: immediate.
            stop_signal=signal.SIGINT,
            stop_seconds=STOP_SECONDS,
            death_signal=signal.SIGQUIT,
        )


def prepare(data: Path, *, port: int) -> Cluster:
    """Return the data folder's cluster, made at first use.

    Args:
        data: the data folder.
        port: loopback port to listen on.

    Raises:
        ConfigurationError: the data is of another version, in use, or cannot be made.
    """
    account = unprivileged()
    folder_of_programs, version = programs(account)
    folder = data / "postgres"
    secret_file = data / "postgres.password"
    if folder.exists() and not secret_file.exists():
        raise ConfigurationError(f"{secret_file} is missing, so nobody can log in to {folder}: put it back or restore a backup.")
    cluster = Cluster(folder=folder, programs=folder_of_programs, account=account, secret=password(secret_file), port=port)
    if folder.exists():
        _require_version(folder, version)
        _settle_leftovers(folder)
    else:
        _initialise(cluster)
    return cluster


def _shown(folder: Path, account: Account | None) -> str:
    """Return the name by which the server finds its own folder.

    An account that is not ours may have no right to pass through the folders above (root's home, a private temporary
    folder). The link to its own working folder needs no such right, so the data stays where the operator wants it.
    """
    return "/proc/self/cwd" if account is not None and sys.platform == "linux" else str(folder)


def programs(account: Account | None) -> tuple[Path, int]:
    """Return the folder of programs that the account can run, and their major version.

    Args:
        account: who will run them; None for ourselves.

    Raises:
        ConfigurationError: Postgres is not installed or does not run here.
    """
    installed = wheels.postgres()
    version = _version(installed / "bin", account)
    if version is None and account is not None:
        label = hashlib.sha256((installed / "bin" / "postgres").read_bytes()).hexdigest()[:16]
        installed = wheels.shelve(installed, label=f"postgres-{label}")
        version = _version(installed / "bin", account)
    if version is None:
        raise ConfigurationError(
            f"Postgres in {installed} does not run on this machine: point BOTSTEAD_POSTGRES to a server of yours."
        )
    return installed / "bin", version


def _version(folder: Path, account: Account | None) -> int | None:
    """Return the server's major version, or None when the account cannot run it."""
    found = _run((str(folder / "postgres"), "--version"), account=account, folder=Path("/"), seconds=VERSION_SECONDS)
    number = re.search(r"\(PostgreSQL\) (\d+)", found.stdout)
    return int(number[1]) if number else None


def _run(
    command: tuple[str, ...], *, account: Account | None, folder: Path, seconds: float, stdin: int = subprocess.DEVNULL
) -> subprocess.CompletedProcess[str]:
    chosen = account or Account(tether.KEEP, tether.KEEP)
    numbers = (int(signal.SIGKILL), os.getpid(), chosen.user, chosen.group)
    return subprocess.run(
        (sys.executable, "-I", "-S", tether.__file__, *(str(number) for number in numbers), *command),
        stdin=stdin,
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=ENVIRONMENT,
        timeout=seconds,
    )


def _require_version(folder: Path, ours: int) -> None:
    found = int((folder / "PG_VERSION").read_text())
    if found > ours:
        raise ConfigurationError(
            f"The data in {folder} is of Postgres {found} and this botstead brings {ours}: "
            "start it with the newer botstead that wrote it, or restore a backup into another folder."
        )
    if found < ours:
        raise ConfigurationError(
            f"The data in {folder} is of Postgres {found} and this botstead brings {ours}: "
            "dump it with the botstead that wrote it and restore the dump into a new folder."
        )


def _initialise(cluster: Cluster) -> None:
    """Make the cluster in a draft folder and move it into place when it is whole: a cut at any moment leaves none or one."""
    draft = cluster.folder.with_name("postgres.new")
    if draft.exists():
        shutil.rmtree(draft)
    draft.mkdir(mode=0o700)
    if cluster.account is not None:
        os.chown(draft, cluster.account.user, cluster.account.group)
    with tempfile.TemporaryFile() as secret:
        secret.write(cluster.secret.encode() + b"\n")
        secret.seek(0)
        if cluster.account is not None:
            os.fchown(secret.fileno(), cluster.account.user, cluster.account.group)
        command = (str(cluster.programs / "initdb"), "-D", _shown(draft, cluster.account), "-U", SUPERUSER, *LOCALE)
        options = ("--auth=scram-sha-256", "--pwfile=/dev/stdin", "--data-checksums", "--no-instructions")
        made = _run(
            (*command, *options), account=cluster.account, folder=draft, seconds=INITIALISE_SECONDS, stdin=secret.fileno()
        )
    if made.returncode != 0:
        raise ConfigurationError(f"Postgres could not make its files in {draft}: {_last_line(made.stderr)}")
    draft.rename(cluster.folder)


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip() and "removing" not in line]
    return lines[-1] if lines else "it did not say why."


def _settle_leftovers(folder: Path) -> None:
    """Wait for the server of a killed appliance to be gone, and forget a pid file that names a stranger.

    Postgres itself forgets a pid file whose process is gone. It refuses one whose number is in use again by somebody else.
    """
    pid_file = folder / "postmaster.pid"
    deadline = time.monotonic() + LEFTOVER_SECONDS
    while (pid := _pid(pid_file)) is not None and _alive(pid):
        if not _works_in(pid, folder):
            pid_file.unlink(missing_ok=True)
        elif time.monotonic() > deadline:
            raise ConfigurationError(
                f"A Postgres of an earlier start (process {pid}) still uses {folder}: end it, then start again."
            )
        time.sleep(0.05)


def _pid(pid_file: Path) -> int | None:
    with suppress(OSError, ValueError, IndexError):
        return abs(int(pid_file.read_text().splitlines()[0]))
    return None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _works_in(pid: int, folder: Path) -> bool:
    """Whether a process is a server on this folder; where the system does not tell, assume so."""
    if sys.platform != "linux":
        return True
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == folder.resolve()
    except OSError:
        return False


def _ready(folder: Path) -> Ready:
    """Ready when the server itself says so in its pid file, as `pg_ctl` waits for it."""

    async def ready(pid: int) -> bool:
        try:
            lines = (folder / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"

    return ready
