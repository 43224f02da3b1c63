"""Named SQL: `sql/<group>.sql` holds statements, each under `-- name: <name>` with a line that says what it is for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Final

from botstead.telemetry.catalog import register

ROAD = "road"
OPERATIONS: Final[dict[str, str]] = {}
"""Statement to its name in `db_client_operation_duration_seconds`: its own on the road, elsewhere that of its file."""

_HEAD = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def load(group: str) -> Mapping[str, str]:
    """Read the statements of one file.

    Args:
        group: the file's name without `.sql`.

    Returns:
        Statement text by name, comments kept (they show up in `pg_stat_activity`).
    """
    statements = split(resources.files(__package__).joinpath("sql", f"{group}.sql").read_text(encoding="utf-8"))
    for name, statement in statements.items():
        OPERATIONS[statement] = name if group == ROAD else group
        register("db_operation_name", OPERATIONS[statement])
    return MappingProxyType(statements)


def split(text: str) -> dict[str, str]:
    """Take a file apart into its statements, by name. Pure.

    Args:
        text: of the file.

    Raises:
        ValueError: a name stands twice; the last one would have hidden the others.
    """
    _, *parts = _HEAD.split(text)
    statements: dict[str, str] = {}
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        if name in statements:
            raise ValueError(f"Two statements are called {name}.")
        statements[name] = body.strip().rstrip(";")
    return statements
