"""`Dialer`: a TCP connection to where the address guard permits, for protocols other than HTTP."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Sequence
from functools import cached_property

import httpx

from botstead.core.errors import EgressUnsent
from botstead.runtime.egress.addresses import AddressGuard
from botstead.runtime.egress.request import is_address, target_of
from botstead.runtime.egress.resolver import Resolver, SystemResolver

_NEXT_ADDRESS_AFTER = 2.0


class Dialer:
    """Connects; what is spoken then is the caller's."""

    def __init__(self, *, allow: Sequence[str], resolver: Resolver | None = None, tls: ssl.SSLContext | None = None) -> None:
        """Build it. Needs no running loop yet.

        Args:
            allow: what the address guard lets through besides public addresses: `host:port`, an address, or a range.
            resolver: turns names into addresses; by default the system's.
            tls: the TLS context; by default one that trusts the usual authorities.

        Raises:
            ConfigurationError: an entry of `allow` is none of these.
        """
        self._guard = AddressGuard(allow)
        self._resolver = resolver or SystemResolver()
        self._given_tls = tls

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """The context to speak TLS with; it checks certificate and name."""
        return self._given_tls or httpx.create_ssl_context(trust_env=False)

    async def dial(self, host: str, port: int, *, seconds: float) -> socket.socket:
        """Connect to exactly the addresses that were checked, one after the other, with no second lookup.

        Args:
            host: a name or an address, without brackets.
            port: the port.
            seconds: lookup and all tries together.

        Returns:
            A connected socket that does not block; the caller closes it.

        Raises:
            EgressRefused: the guard does not permit an address of the host.
            EgressUnsent: no connection could be made.
        """
        origin = target_of(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}").origin
        try:
            async with asyncio.timeout(seconds):
                return await self._connected(await self._addresses(origin.host, port), host, port)
        except TimeoutError as error:
            raise EgressUnsent(f"{host}:{port} could not be connected to within {seconds:g} s; nothing was sent.") from error

    async def _addresses(self, host: str, port: int) -> Sequence[str]:
        try:
            found = [host] if is_address(host) else await self._resolver(host, port)
        except OSError as error:
            raise EgressUnsent(f"The name {host} does not resolve; nothing was sent.") from error
        self._guard.require(found, host=host, port=port)
        return found

    async def _connected(self, addresses: Sequence[str], host: str, port: int) -> socket.socket:
        failure: OSError = OSError("The name has no address.")
        for address in addresses:
            patience = None if address is addresses[-1] else _NEXT_ADDRESS_AFTER
            try:
                async with asyncio.timeout(patience):
                    return await _connect(address, port)
            except OSError as error:
                failure = error
        raise EgressUnsent(f"{host}:{port} could not be connected to ({_why(failure)}); nothing was sent.") from failure


def _why(error: OSError) -> str:
    """Say what kind of failure it was; the loop's own text would name addresses of the inside."""
    if isinstance(error, TimeoutError) or error.errno is None:
        return "it took too long"
    return os.strerror(error.errno)


async def _connect(address: str, port: int) -> socket.socket:
    one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        one.setblocking(False)  # noqa: FBT003  positional only
        await asyncio.get_running_loop().sock_connect(one, (address, port))
    except BaseException:
        one.close()
        raise
    return one
