"""`chat.http` and `chat.rest(name)`: services that answer what the test says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from botstead.bots.testing import KitClock
from botstead.core.messages import Call, Response
from botstead.processes.rehearsal.outside import ServiceDouble

_TOKEN: Final = {"access_token": "test-token", "token_type": "Bearer", "expires_in": 3600}


class HttpDouble(ServiceDouble):
    """Answers by address. `Http` itself, with the list of hosts in `bot.toml`, is the real one."""

    how = "chat.http"

    def __init__(self, clock: KitClock) -> None:
        """Build it.

        Args:
            clock: the kit's time.
        """
        super().__init__(clock)
        self._answers: dict[tuple[str, str], Response] = {}

    def returns(
        self, url: str, data: object = None, *, status: int = 200, headers: Mapping[str, str] | None = None, method: str = ""
    ) -> None:
        """Say what an address answers.

        Args:
            url: with its query; or without, for any query.
            data: bytes as they are, a text as UTF-8, anything else as JSON.
            status: of the answer.
            headers: of the answer, in lower case.
            method: only for this one, such as POST; by default any.
        """
        self._answers[method.upper(), url] = response(data, status=status, headers=headers)

    def answer(self, call: Call) -> Response:
        """Return what the test said.

        Raises:
            AssertionError: it did not say what this address answers.
        """
        found = self._found(call.method, call.url)
        if found is None:
            plain = call.url.partition("?")[0]
            raise AssertionError(f'nobody said what {call.method} {call.url} answers: {self.how}.returns("{plain}", …)')
        return found

    def _found(self, method: str, url: str) -> Response | None:
        plain = url.partition("?")[0]
        keys = ((method, url), ("", url), (method, plain), ("", plain))
        return next((self._answers[key] for key in keys if key in self._answers), None)


class RestDouble(HttpDouble):
    """Answers by path below the base that `[rest.NAME]` declares. `Rest` itself is the real one."""

    def __init__(self, clock: KitClock, name: str) -> None:
        """Build it.

        Args:
            clock: the kit's time.
            name: NAME.
        """
        super().__init__(clock)
        self.how = f'chat.rest("{name}")'
        self.base = ""
        self.token_url = ""

    def answer(self, call: Call) -> Response:
        """Return what the test said of this path; a token for whoever asks for one."""
        if self.token_url and call.url == self.token_url:
            return response(_TOKEN)
        path = call.url.removeprefix(self.base).lstrip("/")
        return super().answer(msgspec.structs.replace(call, url=path))

    def returns(
        self, url: str, data: object = None, *, status: int = 200, headers: Mapping[str, str] | None = None, method: str = ""
    ) -> None:
        """Say what a path answers.

        Args:
            url: the path below the base, such as `orders/7`; with its query, or without, for any query.
            data: see `HttpDouble.returns`.
            status: of the answer.
            headers: of the answer, in lower case.
            method: only for this one; by default any.
        """
        if urlsplit(url).scheme:
            raise ValueError(f"{url} is an address; give the path below the service's base, such as orders/7")
        super().returns(url.lstrip("/"), data, status=status, headers=headers, method=method)


def response(data: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Write an answer.

    Args:
        data: bytes as they are, a text as UTF-8, None as nothing, anything else as JSON.
        status: of the answer.
        headers: of the answer, in lower case.
    """
    body, kind = _body(data)
    return Response(status=status, headers={**({"content-type": kind} if kind else {}), **(headers or {})}, body=body)


def _body(data: Any) -> tuple[bytes, str]:
    if data is None:
        return b"", ""
    if isinstance(data, bytes):
        return data, ""
    if isinstance(data, str):
        return data.encode(), "text/plain; charset=utf-8"
    return msgspec.json.encode(data), "application/json"
