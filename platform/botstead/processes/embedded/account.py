"""Who runs Postgres: it refuses to be root, so under root it gets an account of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess

import msgspec

from botstead.core.errors import ConfigurationError

NAME = "botstead"
FALLBACK = "nobody"
DEADLINE = 10.0
"""Seconds that making the account may take."""


class Account(msgspec.Struct, frozen=True):
    """A system user by number."""

    user: int
    group: int


def unprivileged() -> Account | None:
    """Return the account for servers that refuse to be root, made if need be; None when we are not root ourselves.

    Raises:
        ConfigurationError: there is none and none can be made.
    """
    if os.geteuid() != 0:
        return None
    found = _named(NAME)
    if found is None:
        _make()
        found = _named(NAME) or _named(FALLBACK)
    if found is None:
        raise ConfigurationError(
            "Postgres refuses to run as root and there is no other account: run `useradd --system botstead`."
        )
    return found


def _named(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(entry.pw_uid, entry.pw_gid)


def _make() -> None:
    """Make the account where the system has a way; where it has none, `FALLBACK` serves."""
    program = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if program is None:
        return
    command = [program, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    command += ["--shell", "/usr/sbin/nologin", NAME]
    subprocess.run(command, check=False, capture_output=True, timeout=DEADLINE)
