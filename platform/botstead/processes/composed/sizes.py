"""The sizes of the appliance on Compose: which one suits a machine, and the variables that it stands for.

The figures are in `compose/sizes/<name>.env`, so that an operator can read and change them; `compose/README.md` has what was
measured of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from botstead.core.errors import ConfigurationError

SMALL, STANDARD = 1_700, 3_400
"""MB of memory from which on a machine gets that size. A VPS of «2 GB» shows 1,900 to 2,000, as the kernel keeps some."""
NANO_NEEDS = 900
"""MB of memory below which nano is short of it."""
NAMES = ("nano", "small", "standard")


def suiting(memory: int) -> str:
    """Return the size for a machine.

    Args:
        memory: its bytes.
    """
    megabytes = memory // 2**20
    return "standard" if megabytes >= STANDARD else "small" if megabytes >= SMALL else "nano"


def read(folder: Path, size: str) -> dict[str, str]:
    """Return the variables of a size.

    Args:
        folder: `compose/sizes`.
        size: one of `NAMES`.

    Raises:
        ConfigurationError: there is no such file.
    """
    path = folder / f"{size}.env"
    try:
        return parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}. Start in the folder of compose.yaml.") from error


def parse(text: str) -> dict[str, str]:
    """Read variables as Compose does where no quotes are nested: name to value.

    Args:
        text: of an `.env` file.
    """
    lines = (line.strip() for line in text.split("\n"))
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#") and "=" in line)
    return {name: _unquoted(value) for name, _, value in pairs}


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"" else value


def plain(value: str) -> bool:
    """Return whether a value means the same to Compose, to shells and to whoever reads the file, without quotes.

    Args:
        value: as it stands in `.env`.
    """
    return all(sign.isascii() and (sign.isalnum() or sign in "_./:@,+=~-") for sign in value)


def changed(text: str, wanted: Mapping[str, str]) -> str:
    """Return an `.env` with other values: lines stay where they are, what is new comes last.

    Args:
        text: as it is.
        wanted: name to value.

    Raises:
        ConfigurationError: a value holds what Compose would read in its own way.
    """
    left = dict(wanted)
    lines = []
    for line in text.removesuffix("\n").split("\n"):
        name = line.partition("=")[0].strip()
        lines.append(f"{name}={written(left.pop(name))}" if name in left and not line.startswith("#") else line)
    lines.extend(f"{name}={written(value)}" for name, value in left.items())
    return "\n".join(lines) + "\n"


def written(value: str) -> str:
    """Write a value so that Compose, shells and people read the same: `$`, `#` and quotes have meanings of their own.

    Args:
        value: the value.

    Raises:
        ConfigurationError: it cannot be written so.
    """
    if any(sign == "'" or not (sign.isprintable() or sign == "\t") for sign in value):
        raise ConfigurationError(f"{value!r} cannot stand in .env: take a value without quotes and line ends.")
    return value if plain(value) else f"'{value}'"
