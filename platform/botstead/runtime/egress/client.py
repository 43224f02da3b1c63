"""`EgressClient`: total deadline, byte cap, address guard, placeholders, bulkhead; no redirects, cookies or decompression."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cached_property
from types import MappingProxyType
from typing import Final

import httpx

from botstead.core.errors import EgressError, EgressTimeout, EgressUnsent
from botstead.core.messages import Call, Response
from botstead.core.secret import Secret
from botstead.runtime.egress.addresses import AddressGuard
from botstead.runtime.egress.bulkhead import Bulkhead
from botstead.runtime.egress.general import GeneralTransport
from botstead.runtime.egress.request import Origin, Target, filled_headers, filled_path, is_address, target_of
from botstead.runtime.egress.resolver import Resolver, SystemResolver
from botstead.runtime.egress.streaming import Body
from botstead.runtime.egress.wire import Connection, Pool, connect

NO_SECRETS: Final[Mapping[str, Secret]] = MappingProxyType({})
CONNECT: Final = 5.0
"""Seconds that a streamed call may take to connect: its first byte may take much longer."""
PLACES: Final = 256
"""Calls to one service at once. More than all sends of a worker, which has places for each channel: a service is a network here,
so with fewer the slow calls of one bot would take them from every bot on that network."""
_LEAN_LIMIT = 1_048_576
_LEAN_METHODS = frozenset({"POST", "GET"})


class EgressClient:
    """The one guarded way out (implements `core.ports.Egress`).

    A POST or GET whose answer is small, which is what channels send and most services are asked, goes over lean connections of
    our own; everything else through httpx. The guarantees are the same, and held to the same tests.
    """

    def __init__(
        self,
        *,
        allow: Sequence[str],
        resolver: Resolver | None = None,
        tls: ssl.SSLContext | None = None,
        concurrency: int = PLACES,
    ) -> None:
        """Build a client. Needs no running loop yet.

        Args:
            allow: what the address guard lets through besides public addresses: `host:port`, an address, or a range.
            resolver: turns names into addresses; by default the system's.
            tls: the TLS context; by default one that trusts the usual authorities.
            concurrency: how many calls to one service run at once; more wait within their deadline.

        Raises:
            ConfigurationError: an entry of `allow` is none of these.
        """
        self._guard = AddressGuard(allow)
        self._resolver = resolver or SystemResolver()
        self._given_tls = tls
        self._bulkhead = Bulkhead(concurrency)
        self._pool = Pool()
        self._general = GeneralTransport(self._addresses, lambda: self._tls)

    async def call(self, call: Call, secrets: Mapping[str, Secret] = NO_SECRETS) -> Response:
        """Make one HTTP request.

        Args:
            call: the request, secrets still as placeholders.
            secrets: values for the placeholders, injected at the transport.

        Raises:
            EgressRefused: the address is not allowed, or a placeholder is unknown; nothing was sent.
            EgressUnsent: no connection could be made; nothing was sent.
            EgressTimeout: `call.timeout` passed after the request was written.
            EgressBroken: the connection broke before the answer was complete, or the answer exceeds `call.limit`.
        """
        target = self._checked(call)
        send = self._send_lean if call.method in _LEAN_METHODS and call.limit <= _LEAN_LIMIT else self._general.send
        progress: list[bool] = []
        try:
            async with asyncio.timeout(call.timeout), self._bulkhead.place(call.places or call.service or target.origin.host):
                return await send(call, target, secrets, progress)
        except TimeoutError:
            pass
        raise _late(target, call.timeout, progress)

    @asynccontextmanager
    async def stream(
        self, call: Call, secrets: Mapping[str, Secret] = NO_SECRETS, *, first: float, idle: float
    ) -> AsyncIterator[Body]:
        """Make one HTTP request, and read the body of its answer while it comes. Leaving the context ends the request.

        Args:
            call: the request; its `timeout` ends the body too, its `limit` counts all of it.
            secrets: values for the placeholders, injected at the transport.
            first: seconds until the first byte of the body at most.
            idle: seconds between two pieces at most.

        Raises:
            EgressError: as `call`; what goes wrong in the body is raised where it is read.
        """
        target = self._checked(call)
        began = asyncio.get_running_loop().time()
        over, patience = began + call.timeout, min(first, call.timeout)
        async with AsyncExitStack() as held:
            progress: list[bool] = []
            response = None
            try:
                async with asyncio.timeout_at(began + patience):
                    await held.enter_async_context(self._bulkhead.place(call.places or call.service or target.origin.host))
                    response = await self._general.open(call, target, secrets, progress, connect=CONNECT)
                    held.push_async_callback(response.aclose)
            except TimeoutError:
                pass
            if response is None:
                raise _late(target, patience, progress)
            yield Body(response, target, limit=call.limit, first=began + first, idle=idle, over=over)

    def _checked(self, call: Call) -> Target:
        target = target_of(call.url)
        if is_address(target.origin.host):  # no transport asks a resolver about these
            self._guard.require([target.origin.host], host=target.origin.host, port=target.origin.port)
        return target

    async def close(self) -> None:
        """Close every connection. Safe to repeat."""
        self._pool.close()
        await self._general.close()

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return self._given_tls or httpx.create_ssl_context(trust_env=False)

    async def _send_lean(self, call: Call, target: Target, secrets: Mapping[str, Secret], progress: list[bool]) -> Response:
        request = _written_out(call, target, secrets)
        origin = target.origin
        connection = self._pool.take(origin) or await self._connected(origin, target.authority)
        answer = connection.exchange(request, limit=call.limit)
        progress.append(True)
        try:
            response = await answer
        except BaseException:
            connection.abort()
            raise
        self._pool.give_back(origin, connection)
        return response

    async def _connected(self, origin: Origin, authority: str) -> Connection:
        addresses = await self._addresses(origin)
        try:
            return await connect(origin, addresses, tls=lambda: self._tls)
        except OSError as error:
            raise EgressUnsent(f"{authority} could not be connected to ({_why(error)}); nothing was sent.") from error

    async def _addresses(self, origin: Origin) -> list[str]:
        """Resolve once; all answers must be permitted."""
        if is_address(origin.host):
            return [origin.host]
        try:
            found = await self._resolver(origin.host, origin.port)
        except OSError as error:
            raise EgressUnsent(f"The name {origin.host} does not resolve; nothing was sent.") from error
        self._guard.require(found, host=origin.host, port=origin.port)
        return list(found)


def _late(target: Target, seconds: float, progress: list[bool]) -> EgressError:
    if progress:
        return EgressTimeout(f"{target.authority} did not answer within {seconds:g} s; the request may have arrived.")
    return EgressUnsent(f"{target.authority} could not be connected to within {seconds:g} s; nothing was sent.")


def _written_out(call: Call, target: Target, secrets: Mapping[str, Secret]) -> bytes:
    """Return the bytes of a request: the only place besides httpx's transport where secrets are in the clear."""
    body = call.body or b""
    head = "".join(
        (
            f"{call.method} {filled_path(target.path, secrets)} HTTP/1.1\r\nhost: {target.authority}\r\n",
            "user-agent: botstead\r\naccept-encoding: identity\r\n",
            *(f"{name}: {value}\r\n" for name, value in filled_headers(call, secrets)),
            f"content-length: {len(body)}\r\n" if body or call.method == "POST" else "",
            "\r\n",
        )
    )
    return head.encode("ascii") + body


def _why(error: OSError) -> str:
    """Say what kind of failure it was; the library's own text would name addresses of the inside."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return "TLS failed"
    return "it took too long" if isinstance(error, TimeoutError) else (error.strerror or type(error).__name__)
