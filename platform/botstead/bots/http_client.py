"""`Http`: how handlers call other services, through the guarded way out, to the hosts that `bot.toml` lists."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import msgspec

from botstead.core.errors import EgressError, EgressRefused
from botstead.core.messages import Call, Response
from botstead.runtime.outside import Outside, Service
from botstead.telemetry import tracecontext, tracing

NAME: Final = "http"
"""Of all these calls in metrics; each host of its own would be a name that an author chooses."""
_JSON: Final = "application/json"


class Http:
    """Calls outside services. Every call has a deadline, a limit on the answer, and follows no redirect.

    An answer that redirects (3xx) is returned as it is. Nobody has checked where its `location` leads: a handler that goes there
    makes a call of its own, to a host that `bot.toml` has to list as well. Each host that a bot calls has places and a breaker
    of its own: one that fails again and again is left alone for a while, and calls to it raise `EgressResting` at once.
    """

    def __init__(self, outside: Outside, allowed: tuple[str, ...] = ()) -> None:
        """Build the client; the platform does.

        Args:
            outside: the way to services.
            allowed: hosts, from `egress` in `bot.toml`.
        """
        self._service: Service = outside.service(NAME)
        self._allowed = allowed

    async def get(
        self, url: str, params: Mapping[str, Any] | None = None, *, headers: Mapping[str, str] | None = None, seconds: float = 8.0
    ) -> Response:
        """Fetch an address. Tried up to three times within `seconds`, when there is no answer or it may do better (429, 5xx).

        Args:
            url: absolute, `https://…`.
            params: added to the query.
            headers: sent as they are.
            seconds: limit for everything together.

        Raises:
            EgressRefused: `bot.toml` does not list the host, or the guard refused the address.
            EgressError: no answer came; see its subclasses.
        """
        if params:
            url += ("&" if "?" in url else "?") + urlencode(params, doseq=True)
        return await self._call("GET", url, headers, None, seconds)

    async def post(self, url: str, body: bytes, *, headers: Mapping[str, str] | None = None, seconds: float = 8.0) -> Response:
        """Post bytes. Not repeated by itself: the request may have arrived even when no answer came.

        Args:
            url: absolute.
            body: what is sent.
            headers: sent as they are.
            seconds: limit for everything together.

        Raises:
            EgressError: as `get`.
        """
        return await self._call("POST", url, headers, body, seconds)

    async def get_json(
        self, url: str, params: Mapping[str, Any] | None = None, *, headers: Mapping[str, str] | None = None, seconds: float = 8.0
    ) -> Any:
        """Fetch JSON and decode it. Arguments as `get`.

        Raises:
            EgressError: no answer, a status other than 2xx, or no JSON.
        """
        return _decoded(url, await self.get(url, params, headers={"accept": _JSON, **(headers or {})}, seconds=seconds))

    async def post_json(self, url: str, data: Any, *, headers: Mapping[str, str] | None = None, seconds: float = 8.0) -> Any:
        """Post JSON and decode the JSON of the answer; None when the answer is empty.

        Args:
            url: absolute.
            data: what is encoded.
            headers: sent as they are.
            seconds: limit for everything together.

        Raises:
            EgressError: no answer, a status other than 2xx, or no JSON.
        """
        sent = {"content-type": _JSON, "accept": _JSON, **(headers or {})}
        return _decoded(url, await self.post(url, msgspec.json.encode(data), headers=sent, seconds=seconds))

    async def _call(
        self, method: str, url: str, headers: Mapping[str, str] | None, body: bytes | None, seconds: float
    ) -> Response:
        host = _host(url)
        if not host:
            raise EgressRefused("The URL is no http or https address.")  # never the URL itself: a query may hold a key
        name = host.partition(":")[0]
        if not any(fnmatch.fnmatchcase(host, pattern) or fnmatch.fnmatchcase(name, pattern) for pattern in self._allowed):
            raise EgressRefused(f'{host} is not allowed. Add it to bot.toml: egress = ["{host}"]')
        call = Call(method=method, url=url, headers=_with_context(headers), body=body)
        return await self._service.ask(call, seconds=seconds, at=host)


def _with_context(headers: Mapping[str, str] | None) -> Mapping[str, str]:
    """Let the call belong to the message's trace, unless the author says otherwise."""
    given = headers or {}
    context = tracing.traceparent()
    if not context or any(name.lower() == tracecontext.HEADER for name in given):
        return given
    return {**given, tracecontext.HEADER: context}


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return ""
    return f"{parts.hostname}:{port}" if port else parts.hostname


def _decoded(url: str, response: Response) -> Any:
    if not 200 <= response.status < 300:
        raise EgressError(f"{_host(url)} answered {response.status}.")
    if not response.body:
        return None
    try:
        return response.json()
    except msgspec.DecodeError as error:
        raise EgressError(f"{_host(url)} answered something that is not JSON.") from error
