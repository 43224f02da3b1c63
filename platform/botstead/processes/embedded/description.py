"""`<data>/appliance.json`: what runs, and where, for scripts and people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from botstead.processes.embedded.folder import write_whole

NAME = "appliance.json"


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What `<data>/appliance.json` says of a running appliance.

    Args:
        url: where the edge answers.
        admin_key_file: file with the first API key.
        postgres: DSN.
        valkey: URL, or "none".
        processes: those that serve metrics: `role`, `instance`, `pid`, `metrics`.
        servers: the others: `role`, `instance`, `pid`.
        pid: the process that keeps all of them alive.
        prometheus: its URL, where there is one.
        alertmanager: its URL, where there is one.
    """

    url: str
    admin_key_file: str
    postgres: str
    valkey: str
    processes: list[dict[str, Any]]
    servers: list[dict[str, Any]]
    pid: int
    prometheus: str | None = None
    alertmanager: str | None = None

    def write(self, data: Path) -> None:
        """Write it whole, for our eyes only: the DSN holds a password.

        Args:
            data: the data folder.
        """
        write_whole(data / NAME, msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")


def remove(data: Path) -> None:
    """Forget it: nothing runs any more.

    Args:
        data: the data folder.
    """
    (data / NAME).unlink(missing_ok=True)
