"""`Service`: one outside service. `ask` and `stream` are how integrations call it, `cached` how they remember what it said."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final, TypeVar

import msgspec

from botstead.core.messages import Call, Response
from botstead.core.ports import Streamed
from botstead.core.secret import Secret
from botstead.runtime.egress.client import NO_SECRETS
from botstead.runtime.outside import measures
from botstead.runtime.outside.asking import Asking, Usable, Way
from botstead.runtime.outside.cached import Answers, Keeping, Kept
from botstead.runtime.outside.caller import caller
from botstead.runtime.outside.dealings import Dealings, Shared
from botstead.runtime.outside.policy import Policy
from botstead.runtime.outside.retries import may_repeat
from botstead.runtime.outside.streaming import streamed

T = TypeVar("T")
MOST_DEALINGS: Final = 4_096
"""Pairs of bot and host that are remembered; of more, the one used least lately is forgotten."""


class Service:
    """One outside service."""

    def __init__(self, name: str, policy: Policy, way: Way, *, shared: Shared, answers: Answers) -> None:
        """Build it; `Outside.service` does.

        Args:
            name: of the service.
            policy: how it is called.
            way: the way out, clock and chance.
            shared: what dealings of all services stand on.
            answers: what services said.
        """
        self.name = name
        self.policy = policy
        self._way = way
        self._shared = shared
        self._answers = answers
        self._dealings: dict[str, Dealings] = {}
        measures.start(name)

    async def ask(  # noqa: PLR0913  what is safe differs from call to call
        self,
        call: Call,
        secrets: Mapping[str, Secret] = NO_SECRETS,
        *,
        seconds: float = 8.0,
        repeatable: bool | None = None,
        at: str = "",
        usable: Usable | None = None,
    ) -> Response:
        """Call the service: within a deadline, in its places, repeated where that is safe, not at all while it rests.

        Args:
            call: the request; its `timeout`, `service` and `places` are set here.
            secrets: values for its placeholders.
            seconds: all tries and waits together; the message's own deadline counts too.
            repeatable: whether a try that may have arrived can be repeated: it has an idempotency key. None: by the method.
            at: which one, where the name stands for several (a host): each rests for itself and has places of its own.
            usable: tells whether an answer of a good status is one; what is not counts as failed, and is tried again.

        Returns:
            The answer, whatever its status; after the last try also one that another try might have bettered. One that asks
            for a pause longer than the deadline is returned too, and the next calls get `EgressResting` until it is over.

        Raises:
            EgressResting: the service rests for this bot, or a limit is used up; nothing was sent.
            EgressError: no answer came, see its subclasses.
        """
        dealings = self._with(at)
        asking = Asking(
            self._way,
            dealings,
            self.policy,
            msgspec.structs.replace(call, service=self.name, places=dealings.name),
            secrets=secrets,
            over=self._over(seconds),
            fair=min(seconds, self.policy.longest_try) / 2,
            safe=may_repeat(call.method, repeatable),
            usable=usable,
        )
        return await asking.answer()

    def stream(  # noqa: PLR0913  the deadlines are three
        self,
        call: Call,
        secrets: Mapping[str, Secret] = NO_SECRETS,
        *,
        seconds: float = 60.0,
        first: float = 20.0,
        idle: float = 15.0,
        at: str = "",
    ) -> AbstractAsyncContextManager[Streamed]:
        """Call the service and read its answer while it comes, such as server-sent events. Never repeated.

            async with service.stream(call, secrets) as answer:
                if answer.status == 200:
                    async for piece in answer:
                        ...

        Leaving the context ends the request, so a body that nobody wants any more costs nothing. Deadlines count while somebody
        waits for the next piece.

        Args:
            call: the request; its `limit` counts all bytes of the body, its `timeout`, `service` and `places` are set here.
            secrets: values for its placeholders.
            seconds: from beginning to end; the message's own deadline counts too.
            first: until the first byte of the body.
            idle: between two pieces.
            at: as for `ask`.

        Raises:
            EgressResting: the service rests for this bot, or a limit is used up; nothing was sent.
            EgressError: on entering: no answer came; while reading: it ended too early, see `core.ports.Streamed`.
        """
        dealings = self._with(at)
        made = msgspec.structs.replace(call, service=self.name, places=dealings.name)
        return streamed(self._way, dealings, made, secrets, over=self._over(seconds), first=first, idle=idle)

    async def cached(  # noqa: PLR0913  what is kept differs from key to key
        self,
        key: str,
        fetch: Callable[[], Awaitable[T | None]],
        *,
        kind: type[T],
        keeping: Keeping,
        private: bool = False,
        seconds: float = 8.0,
    ) -> Kept[T]:
        """Return what the service said of a key, from the cache while it is fresh; ask once for all who ask at the same time.

        Args:
            key: names the question, all of it; integrations make it of what they ask, never of a secret.
            fetch: asks the service, by `ask`; returns None when there is no such thing. What it raises is not kept.
            kind: of the value, for msgspec to read; what cannot be read as one counts as absent.
            keeping: for how long.
            private: the value is this bot's alone, such as one fetched with its key.
            seconds: that a fetch takes at most, and this caller waits; for that the message's own deadline counts too.

        Raises:
            EgressTimeout: the answer did not come in time, and nothing old is known.
            BotsteadError: what `fetch` raised, when nothing old is known.
        """
        whole = f"{self.name}:{'@' + caller.get().bot if private else ''}:{key}"
        left = self._over(seconds) - self._way.clock.monotonic()
        return await self._answers.get(self.name, whole, fetch, kind=kind, keeping=keeping, seconds=seconds, left=left)

    def pause(self, seconds: float, *, at: str = "") -> None:
        """Call the service no more for a while: it said so in its own words. `Retry-After` is obeyed without this.

        Args:
            seconds: how long.
            at: as for `ask`.
        """
        self._with(at).pause(seconds, self._way.clock.monotonic())

    def _over(self, seconds: float) -> float:
        return min(self._way.clock.monotonic() + seconds, caller.get().until)

    def _with(self, at: str) -> Dealings:
        bot = caller.get().bot
        name = f"{self.name}:{'' if self.policy.together else bot}:{at}"
        dealings = self._dealings.pop(name, None) or Dealings(name, self.policy, self._shared)
        self._dealings[name] = dealings
        if len(self._dealings) > MOST_DEALINGS:
            del self._dealings[next(iter(self._dealings))]
        return dealings
