"""Secrets on the command line: read from files, written to files; on the screen only when asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click


def read_secret(path: Path) -> str:
    """Return the secret that a file holds, `-` being the standard input.

    Raises:
        click.ClickException: the file cannot be read or is empty.
    """
    try:
        with click.open_file(str(path), encoding="utf-8") as file:
            secret = str(file.read()).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{path} cannot be read: {error}.") from error
    if not secret:
        raise click.ClickException(f"{path} is empty.")
    return secret


def named(pairs: Sequence[str], option: str) -> dict[str, str]:
    """Read options like `--setting api_base=https://…`.

    Raises:
        click.UsageError: one has no `=`.
    """
    found = dict(pair.partition("=")[::2] for pair in pairs if "=" in pair)
    if len(found) != len(pairs):
        raise click.UsageError(f"{option} takes NAME=VALUE, each name once.")
    return found


def read_secrets(pairs: Sequence[str]) -> dict[str, str]:
    """Read options like `--secret token=FILE`.

    Raises:
        click.ClickException: one has no `=`, or its file cannot be read or is empty.
    """
    return {name: read_secret(Path(path)) for name, path in named(pairs, "--secret").items()}


@contextmanager
def write_secret(path: Path | None) -> Iterator[Callable[[str | None], None]]:
    """Open a new file for a secret before it is made, so that a secret shown once is never lost for want of a place.

    Args:
        path: where; None keeps it nowhere. It must not exist yet, and only its owner may read it.

    Yields:
        A function that takes the secret; the file goes away again when it is not called with one.

    Raises:
        click.ClickException: the file exists or cannot be made.
    """
    if path is None:
        yield lambda _secret: None
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be made: {error.strerror}. Name a file that does not exist yet.") from error
    kept = False
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:

        def write(secret: str | None) -> None:
            nonlocal kept
            if secret is not None:
                file.write(secret + "\n")
                kept = True

        try:
            yield write
        finally:
            if not kept:
                path.unlink(missing_ok=True)
