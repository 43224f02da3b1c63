"""The API from the command line: find the appliance, hold its key, and say what went wrong in one sentence."""

from __future__ import annotations

import functools
import http.client
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, quote, urlencode, urlsplit

import click
import msgspec

from botstead.core.errors import ConfigurationError
from botstead.processes import environment
from botstead.processes.cli.output import Output
from botstead.processes.embedded.description import NAME
from botstead.processes.foundation import ADMIN_KEY

PATIENCE = 30.0
"""Seconds that one request may take."""
PAGE = 200
"""Items asked for at once."""
LIST_SECONDS = 60.0
"""Seconds after which a list stops following its pages: some are short, because work on the server is bounded."""
ANSWER_LIMIT = 64 * 1024 * 1024
"""Bytes of one answer that are read."""


class _Description(msgspec.Struct):
    url: str
    admin_key_file: str


class Failure(click.ClickException):
    """The appliance refused, or cannot be reached."""


class Client:
    """Calls one appliance."""

    def __init__(self, url: str, key: str) -> None:
        """Prepare; nothing is called yet.

        Args:
            url: where the edge answers.
            key: an API key.

        Raises:
            Failure: that is no URL.
        """
        self._url = url.rstrip("/")
        self._key = key
        self._target = _target(self._url)

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Make one request and return the decoded answer, or None when it is empty.

        Args:
            method: upper case.
            path: from `address`, without a query.
            query: parameters; those that are None are left out.
            body: sent as JSON, unless it is None.
            headers: besides the usual ones.

        Raises:
            Failure: the appliance cannot be reached or says no; the message is one sentence for the operator.
        """
        given = {name: _written(value) for name, value in (query or {}).items() if value is not None}
        target = self._target.path + path + (f"?{urlencode(given)}" if given else "")
        content = None if body is None else msgspec.json.encode(body)
        status, answer = self._exchange(method, target, content, dict(headers or {}))
        if status >= 400:
            raise Failure(_reason(status, answer))
        try:
            return msgspec.json.decode(answer) if answer else None
        except msgspec.DecodeError as error:
            raise Failure(f"What answers at {self._url} is not botstead. Check --url.") from error

    def _exchange(self, method: str, target: str, content: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        kind = http.client.HTTPSConnection if self._target.scheme == "https" else http.client.HTTPConnection
        assert self._target.hostname is not None
        connection = kind(self._target.hostname, self._target.port, timeout=PATIENCE)
        usual = {"Authorization": f"Bearer {self._key}", "Accept": "application/json", "Content-Type": "application/json"}
        try:
            connection.request(method, target, body=content, headers={**usual, **headers})
            answer = connection.getresponse()
            return answer.status, answer.read(ANSWER_LIMIT)
        except (OSError, http.client.HTTPException) as error:
            raise Failure(f"Nothing usable answers at {self._url} ({_brief(error)}). Start it with `botstead up`.") from error
        finally:
            connection.close()

    def items(self, path: str, *, limit: int, query: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """Yield the items of a list, page after page.

        Args:
            path: from `address`.
            limit: at most so many.
            query: filters.

        Raises:
            Failure: see `call`.
        """
        deadline, before = time.monotonic() + LIST_SECONDS, None
        while limit > 0 and time.monotonic() < deadline:
            page = self.call("GET", path, query={**(query or {}), "limit": min(limit, PAGE), "before": before})
            yield from page["items"]
            limit -= len(page["items"])
            before = page["next"]
            if before is None:
                return


def address(*parts: object) -> str:
    """Build a path from its parts, each percent-encoded."""
    return "".join(f"/{quote(str(part), safe='')}" for part in parts)


def find(*, data: Path | None, url: str | None, key_file: Path | None) -> Client:
    """Find the appliance and its key.

    Args:
        data: the data folder; by default that of the settings.
        url: where it answers, instead of what the data folder says.
        key_file: file with an API key, likewise.

    Raises:
        Failure: neither is known; the message says how to name them.
    """
    if url is not None and key_file is not None:
        return Client(url, _key(key_file))
    known = _described(data) if data else _usual()
    return Client(url or known.url, _key(key_file or Path(known.admin_key_file)))


def with_api(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--data`, `--url`, `--key-file` and `--json`; it is called with a client and an output first."""

    @click.option("--data", type=click.Path(path_type=Path), help="Data folder of the appliance. [.botstead]")
    @click.option("--url", help="Where the appliance answers, instead of what its data folder says.")
    @click.option("--key-file", type=click.Path(path_type=Path), help="File with an API key, instead of the admin's.")
    @click.option("--json", "as_json", is_flag=True, help="Write JSON, for programs.")
    @functools.wraps(command)
    def run(*arguments: Any, data: Path | None, url: str | None, key_file: Path | None, as_json: bool, **options: Any) -> None:
        client = find(data=data, url=url, key_file=key_file)
        command(client, Output(as_json=as_json), *arguments, **options)

    return run


def _usual() -> _Description:
    """Return the appliance of the settings: that of the data folder; in a container of an API process, that process."""
    try:
        settings = environment.effective(environment.variables())
    except ConfigurationError as error:
        raise Failure(error.message) from error
    key = settings.data / ADMIN_KEY
    if settings.api_port and key.exists() and not (settings.data / NAME).exists():
        return _Description(f"http://127.0.0.1:{settings.api_port}", str(key))
    return _described(settings.data)


def _described(folder: Path) -> _Description:
    try:
        return msgspec.json.decode((folder / NAME).read_bytes(), type=_Description)
    except FileNotFoundError as error:
        raise Failure(f"No appliance runs on {folder}. Start it with `botstead up`, or give --url and --key-file.") from error
    except (OSError, msgspec.DecodeError) as error:
        raise Failure(f"{folder / NAME} cannot be read: {error}. Give --url and --key-file.") from error


def _key(path: Path) -> str:
    try:
        key = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"The key file {path} cannot be read: {_brief(error)}. Give another by --key-file.") from error
    if not key or not key.isprintable() or " " in key:
        raise Failure(f"The key file {path} holds no API key. Give another by --key-file.")
    return key


def _target(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise Failure(f"{url} is no address. Give --url like http://127.0.0.1:8080.")
    return parts


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _brief(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _reason(status: int, answer: bytes) -> str:
    try:
        problem = msgspec.json.decode(answer, type=dict[str, Any])
    except msgspec.DecodeError:
        return f"The appliance answered {status}. Its log says why."
    return str(problem.get("detail") or f"The appliance answered {status}.")
