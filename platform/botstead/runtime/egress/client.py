"""`EgressClient`: deadline, byte cap, address guard, placeholders, bulkhead."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from botstead.core.messages import Call, Response
from botstead.core.secret import Secret

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Turns a host name and port into addresses."""

NO_SECRETS: Mapping[str, Secret] = {}


class EgressClient:
    """The one guarded way out (implements `core.ports.Egress`)."""

    def __init__(self, *, allow: Sequence[str], resolver: Resolver | None = None) -> None:
        """Build a client. Needs no running loop yet.

        Args:
            allow: what the address guard lets through besides public addresses: `host:port`, an address, or a range.
            resolver: turns names into addresses; by default the system's.

        Raises:
            ConfigurationError: an entry of `allow` is none of these.
        """
        raise NotImplementedError

    async def call(self, call: Call, secrets: Mapping[str, Secret] = NO_SECRETS) -> Response:
        """Make one HTTP request.

        Args:
            call: the request, secrets still as placeholders.
            secrets: values for the placeholders, injected at the transport.

        Raises:
            EgressRefused: the address is not allowed, a placeholder is unknown, or the answer exceeds `call.limit`.
            EgressUnsent: no connection could be made; nothing was sent.
            EgressTimeout: `call.timeout` passed after the request was written.
            EgressBroken: the connection broke before the answer was complete.
        """
        raise NotImplementedError

    async def close(self) -> None:
        """Close every connection. Safe to repeat."""
        raise NotImplementedError
