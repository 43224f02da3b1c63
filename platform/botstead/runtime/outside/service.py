"""`Outside`: every outside service by name. `Service.ask` is how integrations call one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import msgspec

from botstead.core.messages import Call, Response
from botstead.core.ports import Cache, Egress, Streamed
from botstead.core.secret import Secret
from botstead.runtime.egress.client import NO_SECRETS
from botstead.runtime.outside.policy import Policy

_USUAL = Policy()


class Outside:
    """The outside services of a process, by name. One object a process."""

    def __init__(self, egress: Egress, cache: Cache) -> None:
        """Build it; `processes/` does.

        Args:
            egress: the way out.
            cache: shared by processes, best effort.
        """
        self._egress = egress
        self.cache = cache
        self._services: dict[str, Service] = {}

    def service(self, name: str, policy: Policy = _USUAL) -> Service:
        """Return a service; the first who asks for it says how it is called.

        Args:
            name: from a closed set: it is a metric label (`weather`, `stripe`, …).
            policy: how it is called.
        """
        return self._services.setdefault(name, Service(name, self._egress, policy))


class Service:
    """One outside service."""

    def __init__(self, name: str, egress: Egress, policy: Policy) -> None:
        """Build it; `Outside.service` does.

        Args:
            name: of the service.
            egress: the way out.
            policy: how it is called.
        """
        self.name = name
        self.policy = policy
        self._egress = egress

    async def ask(
        self, call: Call, secrets: Mapping[str, Secret] = NO_SECRETS, *, seconds: float = 8.0, repeatable: bool | None = None
    ) -> Response:
        """Call the service: within a deadline, in its places, repeated where that is safe, not at all while it rests.

        Args:
            call: the request; its `timeout` and `service` are set here.
            secrets: values for its placeholders.
            seconds: all tries and waits together; the message's own deadline counts too.
            repeatable: whether a try that may have arrived can be repeated: it has an idempotency key. None: by the method.

        Returns:
            The answer, whatever its status; after the last try also one that another try might have bettered.

        Raises:
            EgressResting: the service rests for this bot, or a limit is used up; nothing was sent.
            EgressError: no answer came, see its subclasses.
        """
        del repeatable
        return await self._egress.call(msgspec.structs.replace(call, timeout=seconds, service=self.name), secrets)

    @asynccontextmanager
    async def stream(
        self,
        call: Call,
        secrets: Mapping[str, Secret] = NO_SECRETS,
        *,
        seconds: float = 60.0,
        first: float = 20.0,
        idle: float = 15.0,
    ) -> AsyncIterator[Streamed]:
        """Call the service and read its answer while it comes, such as server-sent events. Never repeated.

            async with service.stream(call, secrets) as answer:
                if answer.status == 200:
                    async for piece in answer:
                        ...

        Leaving the context ends the request, so a body that nobody wants any more costs nothing.

        Args:
            call: the request; its `limit` counts all bytes of the body, its `timeout` and `service` are set here.
            secrets: values for its placeholders.
            seconds: from beginning to end; the message's own deadline counts too.
            first: until the first byte of the body.
            idle: between two pieces.

        Raises:
            EgressResting: the service rests for this bot, or a limit is used up; nothing was sent.
            EgressError: on entering: no answer came; while reading: it ended too early, see `core.ports.Streamed`.
        """
        made = msgspec.structs.replace(call, timeout=seconds, service=self.name)
        async with self._egress.stream(made, secrets, first=first, idle=idle) as streamed:
            yield streamed
