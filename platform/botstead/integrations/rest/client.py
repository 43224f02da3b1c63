"""`Rest`: what handlers call a declared service with. One object a run, so that a run again gives its POSTs the same keys."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from botstead.core.messages import Call, Response
from botstead.core.ports import Incoming
from botstead.integrations.rest.errors import RestAnswered
from botstead.integrations.rest.models import Path, address
from botstead.integrations.rest.service import RestService

_JSON: Final = "application/json"
_NAMESPACE: Final = uuid.UUID("0c8b2f4e-6a53-5d0b-9a37-2f0f6f1d7c55")
Headers = Mapping[str, str]
Params = Mapping[str, Any]


class RestDesk:
    """One declared service; makes a `Rest` for each run."""

    def __init__(self, service: RestService) -> None:
        """Build it; `processes/` does.

        Args:
            service: makes the calls.
        """
        self.service = service

    def __call__(self, incoming: Incoming) -> Rest:
        """Return what one run calls with.

        Args:
            incoming: the event that the run is about.
        """
        return Rest(self.service, incoming)


class Rest:
    """Calls the service that `bot.toml` declares as `[rest.NAME]`: `NAME: Rest` in a handler's parameters.

    A path is below the service's base, given as `"orders/7"`, or as its segments, `("orders", number)`, which is the way for what
    people wrote: no slash hides in a segment. The secret is put in where the bytes leave the process.
    """

    def __init__(self, service: RestService, incoming: Incoming) -> None:
        """Build it; the platform does."""
        self._service = service
        self._incoming = incoming
        self._made = 0

    async def get(
        self,
        path: Path,
        params: Params | None = None,
        *,
        headers: Headers | None = None,
        cache: float | None = None,
        seconds: float = 0.0,
    ) -> Response:
        """Fetch. With `cache` an answer 200 may be one from a while ago, unless headers are given.

        Args:
            path: see the class.
            params: the query; a list stands for several values.
            headers: sent as they are.
            cache: seconds that an answer of this path is fresh, instead of those of `bot.toml`; 0 always asks.
            seconds: all tries together; by default `timeout` of `bot.toml`.

        Returns:
            The answer, whatever its status.

        Raises:
            RestInvalid: the path leads out of the service.
            RestKeyRefused: the service gives no token.
            SecretMissing: the secret is not set; the message says how to set it.
            EgressError: no answer came; see its subclasses.
        """
        declared = self._service.declared
        call = self._call("GET", path, params, None, headers)
        fresh = declared.cache if cache is None else cache
        if fresh > 0 and not headers:
            return await self._service.kept(self._incoming.bot, call, fresh=fresh, seconds=seconds or declared.timeout)
        return await self._send(call, seconds)

    async def post(
        self, path: Path, data: Any = None, *, params: Params | None = None, headers: Headers | None = None, seconds: float = 0.0
    ) -> Response:
        """Post. It is repeated only when the service knows a key for that, see `idempotency_header`.

        Args:
            path: see the class.
            data: bytes as they are, anything else as JSON, None for no body.
            params: as for `get`.
            headers: as for `get`.
            seconds: as for `get`.

        Raises:
            EgressError: as for `get`.
        """
        return await self._send(self._call("POST", path, params, data, headers), seconds)

    async def put(
        self, path: Path, data: Any = None, *, params: Params | None = None, headers: Headers | None = None, seconds: float = 0.0
    ) -> Response:
        """Put. Arguments and errors as for `post`; it is repeated when no answer came."""
        return await self._send(self._call("PUT", path, params, data, headers), seconds)

    async def patch(
        self, path: Path, data: Any = None, *, params: Params | None = None, headers: Headers | None = None, seconds: float = 0.0
    ) -> Response:
        """Patch. Arguments and errors as for `post`."""
        return await self._send(self._call("PATCH", path, params, data, headers), seconds)

    async def delete(
        self, path: Path, *, params: Params | None = None, headers: Headers | None = None, seconds: float = 0.0
    ) -> Response:
        """Delete. Arguments and errors as for `get`; it is repeated when no answer came."""
        return await self._send(self._call("DELETE", path, params, None, headers), seconds)

    async def json(  # noqa: PLR0913  what a call needs, each by name
        self,
        path: Path,
        params: Params | None = None,
        *,
        method: str = "GET",
        data: Any = None,
        cache: float | None = None,
        seconds: float = 0.0,
    ) -> Any:
        """Ask for JSON and decode it; None when the answer is empty.

        Args:
            path: see the class.
            params: as for `get`.
            method: GET, POST, …
            data: as for `post`.
            cache: as for `get`.
            seconds: as for `get`.

        Raises:
            RestAnswered: the status is not 2xx, or the body no JSON.
            EgressError: as for `get`.
        """
        if method.upper() == "GET":
            response = await self.get(path, params, cache=cache, seconds=seconds)
        else:
            response = await self._send(self._call(method.upper(), path, params, data, None), seconds)
        name = self._service.declared.name
        if not 200 <= response.status < 300:
            raise RestAnswered(f"{name} answered {response.status}.", answered=response.status)
        if not response.body:
            return None
        try:
            return response.json()
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise RestAnswered(f"{name} answered something that is not JSON.") from None

    def _call(self, method: str, path: Path, params: Params | None, data: Any, headers: Headers | None) -> Call:
        sent = {"accept": _JSON, **(headers or {})}
        body = data if data is None or isinstance(data, bytes) else msgspec.json.encode(data)
        if body is not None and not any(name.lower() == "content-type" for name in sent):
            sent["content-type"] = "application/octet-stream" if isinstance(data, bytes) else _JSON
        return Call(method=method, url=address(self._service.declared.base, path, params), headers=sent, body=body)

    async def _send(self, call: Call, seconds: float) -> Response:
        declared, repeatable = self._service.declared, None
        if declared.idempotency_header and call.method not in {"GET", "HEAD"}:
            self._made += 1
            call = msgspec.structs.replace(call, headers={**call.headers, declared.idempotency_header: self._key()})
            repeatable = True
        limit = seconds or declared.timeout
        return await self._service.call(self._incoming.bot, call, seconds=limit, repeatable=repeatable)

    def _key(self) -> str:
        """Name a call by its message and its number within the run, so that a run again repeats the name."""
        run = self._incoming
        return str(uuid.uuid5(_NAMESPACE, f"{run.trace}|{run.bot}|{run.id}|{self._service.declared.name}|{self._made}"))
