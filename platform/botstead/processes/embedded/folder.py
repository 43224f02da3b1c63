"""The data folder: everything that must survive, and the checks that must pass before anything starts on it."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import secrets
import shutil
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from botstead.core.errors import ConfigurationError

NEEDED_SPACE = 300_000_000
"""Bytes that must be free to start: a fresh Postgres takes 50 MB, its write-ahead log grows to 256 MB."""
PORTS = (20_000, 32_000)
"""Where we look for free ports: below the range that the kernel lends to outgoing connections, since a port lent out
while its process restarts would be taken."""
LOCK = "appliance.lock"
LOGS = "logs"


def prepare(data: Path, *, needed: int = NEEDED_SPACE) -> Path:
    """Make the data folder usable and return its absolute path.

    Args:
        data: the folder as given.
        needed: bytes that must be free.

    Raises:
        ConfigurationError: it cannot be written, or the disk is full.
    """
    folder = data.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / LOGS).mkdir(exist_ok=True, mode=0o700)
        free = shutil.disk_usage(folder).free
        _probe_write(folder)
    except OSError as error:
        raise _unusable(folder, error) from error
    if free < needed:
        raise _full(folder, free=free, needed=needed)
    return folder


def _probe_write(folder: Path) -> None:
    probe = folder / f".probe-{secrets.token_hex(4)}"
    probe.touch(mode=0o600)
    probe.unlink()


def _unusable(folder: Path, error: OSError) -> ConfigurationError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _full(folder, free=0, needed=NEEDED_SPACE)
    return ConfigurationError(
        f"The data folder {folder} cannot be written ({error.strerror}): make it writable or give another one with --data."
    )


def _full(folder: Path, *, free: int, needed: int) -> ConfigurationError:
    return ConfigurationError(
        f"The disk of {folder} has {free // 1_000_000} MB free and {needed // 1_000_000} MB are needed: "
        "free some space or give another folder with --data."
    )


class Lock:
    """One appliance a data folder. The kernel frees the lock when its holder dies, however it dies."""

    def __init__(self, data: Path) -> None:
        """Prepare; nothing is locked yet.

        Args:
            data: a folder that `prepare` has made.
        """
        self._data = data
        self._file: Any = None

    def take(self) -> None:
        """Take the lock and leave our pid in it.

        Raises:
            ConfigurationError: another appliance runs on this data.
        """
        file = (self._data / LOCK).open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise already_runs(self._data, holder(self._data)) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file

    def release(self) -> None:
        """Let another one start."""
        if self._file is not None:
            self._file.close()
            self._file = None


def already_runs(data: Path, pid: int | None) -> ConfigurationError:
    """Say that a data folder is taken.

    Args:
        data: the folder.
        pid: who has it, where known.
    """
    return ConfigurationError(
        f"An appliance already runs on {data} (process {pid or 'unknown'}): "
        f"stop it with `scripts/down --data {data}` or give another folder with --data."
    )


def holder(data: Path) -> int | None:
    """Return the pid of the appliance that runs on a data folder, or None.

    Args:
        data: the folder.
    """
    try:
        with (data / LOCK).open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read() or 0) or None
    except FileNotFoundError:
        return None
    return None


def require_free(host: str, port: int) -> None:
    """Check that the edge will be able to listen.

    Args:
        host: address to bind.
        port: port to bind.

    Raises:
        ConfigurationError: something else listens there, or it may not be bound.
    """
    try:
        _bind(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigurationError(f"Port {port} is taken by another program: give another one with --port.") from error
        raise ConfigurationError(
            f"Port {port} on {host} cannot be used ({error.strerror}): give another one with --port."
        ) from error


def free_ports(count: int) -> list[int]:
    """Return different loopback ports that nobody listens on now.

    Args:
        count: how many.

    Raises:
        ConfigurationError: there are not that many.
    """
    found: list[int] = []
    for port in random.sample(range(*PORTS), k=200):
        if len(found) == count:
            return found
        with suppress(OSError):
            _bind("127.0.0.1", port)
            found.append(port)
    raise ConfigurationError(f"Too few free ports between {PORTS[0]} and {PORTS[1]} on 127.0.0.1: stop what uses them.")


def _bind(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # Connections of a former run may still be in TIME_WAIT; a listener is refused all the same.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        probe.listen(1)


def password(path: Path) -> str:
    """Return the password that a file holds, made at first use and readable by us only.

    Args:
        path: the file.
    """
    with suppress(FileExistsError):
        write_whole(path, secrets.token_urlsafe(24).encode(), new=True)
    return path.read_text().strip()


def write_whole(path: Path, content: bytes, *, new: bool = False, mode: int = 0o600) -> None:
    """Write a file, a private one unless said otherwise, so that readers see all of it or none.

    Args:
        path: the file.
        content: its bytes.
        new: refuse to replace an existing one.
        mode: who may do what with it.

    Raises:
        FileExistsError: `new`, and it exists.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if not new:
        draft.replace(path)
        return
    try:
        path.hardlink_to(draft)
    finally:
        draft.unlink()
