"""The secrets of the appliance on Compose: files, made once, of signs that mean nothing to anybody who reads them.

Every password is of letters, digits, `-` and `_`, so that it can stand in a DSN, a configuration file and a shell as it is.
Containers run as different users and Compose ignores the owner and mode of such files, so the folder is closed (0700) and the
files in it are open to read (0444).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from botstead.core.errors import ConfigurationError
from botstead.processes.composed import edges
from botstead.processes.embedded.folder import write_whole

PASSWORDS = ("postgres_password", "valkey_password", "operator_password", "grafana_secret_key")
"""Made of chance. Everything else is written from them."""
RECEIVERS = "receivers"
STRENGTH = 24
"""Bytes of chance in a password."""
DERIVED: dict[str, tuple[str, Callable[[str], str]]] = {
    "postgres_dsn": ("postgres_password", "postgresql://botstead:{}@postgres:5432/botstead".format),
    "valkey_url": ("valkey_password", "valkey://:{}@valkey:6379/0".format),
    # The lines that must not stand among arguments. The rest of the settings is in compose/data.yaml.
    "valkey.conf": ("valkey_password", "requirepass {}\nprotected-mode yes\n".format),
    # The exporter's own form (profile `exporters`).
    "valkey_exporter.json": ("valkey_password", '{{"redis://valkey:6379": "{}"}}\n'.format),
}
"""File to the password that it holds, and how."""


def write(folder: Path, *, domain: str, database: str) -> list[str]:
    """Write what is missing; returns the names of what was written.

    Args:
        folder: `secrets/`.
        domain: of the appliance.
        database: the volume with a database, whose password only these files know; empty: there is none.

    Raises:
        ConfigurationError: the database's password is lost.
    """
    if database and not (folder / "postgres_password").exists() and not (folder / "postgres_dsn").exists():
        raise ConfigurationError(
            "There is a database of an earlier installation, and no secrets/ that opens it. Bring it back from your backup; "
            f"or, if its messages may be lost, remove it: docker volume rm {database}"
        )
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    written = [name for name in PASSWORDS if not (folder / name).exists()]
    for name in written:
        _write(folder / name, secrets.token_urlsafe(STRENGTH))
    for name, (source, shape) in DERIVED.items():
        if not (folder / name).exists():
            _write(folder / name, shape((folder / source).read_text(encoding="ascii").strip()))
            written.append(name)
    # The operator's receivers.yml goes in here, and the tokens that it names; Alertmanager may look at nothing else in secrets/.
    (folder / RECEIVERS).mkdir(mode=0o755, exist_ok=True)
    operator = (folder / "operator_password").read_text(encoding="ascii").strip()
    return written + edges.write(folder, domain=domain, password=operator)


def _write(path: Path, text: str) -> None:
    write_whole(path, text.encode("ascii"), mode=edges.READABLE)
