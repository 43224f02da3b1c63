"""Any method, any size: httpx on the aiohttp transport, without the things that a guarded client must not do.

httpx's own pool is not used: a request that is cancelled while it connects keeps its slot for ever
(https://github.com/encode/httpcore/issues/1093), and deadlines cancel all the time.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from httpx_aiohttp import AiohttpTransport

from botstead.core.errors import EgressBroken, EgressUnsent
from botstead.core.messages import Call, Response
from botstead.core.secret import Secret
from botstead.runtime.egress.request import Origin, Target, filled_headers, filled_path
from botstead.runtime.egress.wire import NO_BODY, declared_too_large

Lookup = Callable[[Origin], Awaitable[list[str]]]
"""Turns an origin into permitted addresses, or raises."""

_IDLE_SECONDS = 15.0
FAULTS: Final = (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, OSError)
"""httpx's transport passes some of aiohttp's errors through, ClientResponseError for one."""
_written: ContextVar[list[bool] | None] = ContextVar("written", default=None)


class GeneralTransport:
    """Sends what the lean connections do not: downloads, reads, and every method but POST."""

    def __init__(self, lookup: Lookup, tls: Callable[[], ssl.SSLContext]) -> None:
        """Build a transport; connections are made at the first request.

        Args:
            lookup: resolves and guards.
            tls: makes the TLS context when one is needed.
        """
        self._lookup = lookup
        self._tls = tls
        self._client: httpx.AsyncClient | None = None

    async def send(self, call: Call, target: Target, secrets: Mapping[str, Secret], progress: list[bool]) -> Response:
        """Make one request.

        Args:
            call: the request.
            target: its URL, taken apart.
            secrets: values of the placeholders.
            progress: gets an item as soon as the request may have been written.

        Raises:
            EgressRefused: the address is not allowed.
            EgressUnsent: no connection could be made.
            EgressBroken: the connection broke before the answer was complete, or that is too large.
        """
        response = await self.open(call, target, secrets, progress)
        failed: str
        try:
            try:
                return await _read(response, call.limit)
            finally:
                await response.aclose()
        except FAULTS as error:
            failed = type(error).__name__
        # Raised outside of the handler, because the library's exceptions hold the URL with its secrets.
        raise broken(target, failed)

    async def open(
        self,
        call: Call,
        target: Target,
        secrets: Mapping[str, Secret],
        progress: list[bool],
        *,
        connect: float | None = None,
    ) -> httpx.Response:
        """Make one request and return the answer, its body unread. The caller closes it.

        Args:
            call: the request.
            target: its URL, taken apart.
            secrets: values of the placeholders.
            progress: gets an item as soon as the request may have been written.
            connect: seconds until there is a connection; None: no limit but the caller's.

        Raises:
            EgressError: as `send`.
        """
        self._client = self._client or self._make()
        injected = {"injected": lambda: (filled_path(target.path, secrets), filled_headers(call, secrets))}
        shown = f"{'https' if target.origin.tls else 'http'}://{target.authority}/"
        _written.set(progress)
        failed: str
        try:
            timeout = httpx.Timeout(None, connect=connect)
            request = self._client.build_request(call.method, shown, content=call.body, extensions=injected, timeout=timeout)
            return await self._client.send(request, stream=True, follow_redirects=False)
        except FAULTS as error:
            failed = type(error).__name__
        # Raised outside of the handler, see above.
        if progress:
            raise broken(target, failed)
        raise EgressUnsent(f"{target.authority} could not be connected to ({failed}); nothing was sent.")

    async def close(self) -> None:
        """Close every connection."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _make(self) -> httpx.AsyncClient:
        transport = _Injecting(AiohttpTransport(verify=self._tls(), trust_env=False, client=self._session))
        no_timeout = httpx.Timeout(None)  # the deadline above covers all of a call, which none of httpx's timeouts does
        return httpx.AsyncClient(transport=transport, trust_env=False, timeout=no_timeout, follow_redirects=False)

    def _session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            resolver=_GuardedResolver(self._lookup),
            use_dns_cache=False,
            ssl=self._tls(),
            limit=0,  # the bulkhead above counts
            keepalive_timeout=_IDLE_SECONDS,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Content-Type"),
            trace_configs=[_watch()],
        )


class _Injecting(httpx.AsyncBaseTransport):
    """Puts the real path and headers in where bytes go out, so that nothing above ever holds a secret."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path, headers = request.extensions["injected"]()
        sent = httpx.Request(
            request.method,
            request.url.copy_with(raw_path=path.encode("ascii")),
            headers=[("user-agent", "botstead"), *headers, ("accept-encoding", "identity")],
            content=request.content,
            extensions={"timeout": request.extensions["timeout"]},
        )
        response = await self._inner.handle_async_request(sent)
        response.request = request
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _GuardedResolver(AbstractResolver):
    """Resolves once; aiohttp connects to exactly what this returns."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        del family
        addresses = await self._lookup(Origin(tls=False, host=host, port=port))
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing to close."""


def _watch() -> aiohttp.TraceConfig:
    """From the moment there is a connection, the request may have been written."""

    async def mark(_session: aiohttp.ClientSession, _context: SimpleNamespace, _params: Any) -> None:
        progress = _written.get()
        if progress is not None:
            progress.append(True)

    watch = aiohttp.TraceConfig()
    watch.on_connection_create_end.append(mark)
    watch.on_connection_reuseconn.append(mark)
    return watch


def broken(target: Target, failed: str) -> EgressBroken:
    """Make the error of an answer that ended too early.

    Args:
        target: who was asked.
        failed: the kind of failure.
    """
    return EgressBroken(f"The connection to {target.authority} broke before the answer was complete ({failed}).")


async def _read(response: httpx.Response, limit: int) -> Response:
    bodiless = response.request.method == "HEAD" or response.status_code in NO_BODY
    if not bodiless and declared_too_large(response.headers.get("content-length", ""), limit):
        raise EgressBroken(f"The answer is larger than {limit} bytes.")
    size, chunks = 0, []
    async for chunk in response.aiter_raw():
        size += len(chunk)
        if size > limit:
            raise EgressBroken(f"The answer is larger than {limit} bytes.")
        chunks.append(chunk)
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Response(status=response.status_code, headers=headers, body=b"".join(chunks))
