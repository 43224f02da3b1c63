"""The way to services in a test: each service is a double. Stands in the place of `runtime.outside.Outside`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from botstead.bots.testing import KitClock
from botstead.core.errors import EgressBroken
from botstead.core.messages import Call, Response
from botstead.core.secret import Secret
from botstead.processes.rehearsal.double import Double
from botstead.runtime.outside import Kept, Policy
from botstead.runtime.outside.outside import Forgetful

T = TypeVar("T")
_NOTHING: Mapping[str, Secret] = {}


class ServiceDouble(Double):
    """One service with an HTTP API. Whoever calls it is the real client; only the answers are made up.

    One call is one question with all its tries: `broken(times=1)` fails once for the bot, however often the real one tries.
    """

    def __init__(self, clock: KitClock) -> None:
        """Build it.

        Args:
            clock: the kit's time.
        """
        super().__init__(clock)
        self.policy = Policy()
        self.calls: list[Call] = []
        """What was asked, oldest first; secrets are placeholders."""

    async def ask(self, call: Call, secrets: Mapping[str, Secret] = _NOTHING, *, seconds: float = 8.0, **how: object) -> Response:
        """Answer. See `runtime.outside.Service.ask`."""
        del secrets, how
        self.calls.append(call)
        self.meet(seconds)
        answer = self.answer(call)
        if len(answer.body) > call.limit:
            raise EgressBroken(f"The answer exceeds {call.limit} bytes.")
        return answer

    async def cached(self, key: str, fetch: Callable[[], Awaitable[T | None]], **how: object) -> Kept[T]:
        """Ask each time: nothing is kept in a test. See `runtime.outside.Service.cached`."""
        del key, how
        return Kept(await fetch(), self._time.now())

    def answer(self, call: Call) -> Response:
        """Return what the service says.

        Args:
            call: what it is asked.
        """
        raise NotImplementedError


class KitOutside:
    """Finds the double of a service by the service's name."""

    def __init__(self, find: Callable[[str], ServiceDouble]) -> None:
        """Build it.

        Args:
            find: gives the double.
        """
        self._find = find
        self.cache = Forgetful()

    def service(self, name: str, policy: Policy | None = None) -> Any:
        """Return the double of a service.

        Args:
            name: of the service.
            policy: how it would be called.
        """
        found = self._find(name)
        found.policy = policy or found.policy
        return found
