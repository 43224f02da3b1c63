"""`Outside`: every outside service of a process, by name."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any, Final

from botstead.core.clock import Clock, SystemClock
from botstead.core.ports import Cache, Egress
from botstead.runtime.outside.asking import Way
from botstead.runtime.outside.cached import Answers
from botstead.runtime.outside.dealings import Shared
from botstead.runtime.outside.policy import Policy
from botstead.runtime.outside.quota import Reserve
from botstead.runtime.outside.rests import Rests
from botstead.runtime.outside.service import Service

_USUAL: Final = Policy()
MEANWHILE: Final = 256
"""Things that happen meanwhile at once; of more, the newest do not happen: all of them are best effort."""


class Forgetful:
    """A cache that forgets everything at once (implements `core.ports.Cache`)."""

    async def get(self, key: str) -> bytes | None:
        """Return nothing."""
        del key
        return None

    async def set(self, key: str, value: bytes, seconds: float) -> None:
        """Keep nothing."""


class Outside:
    """The outside services of a process, by name. One object a process."""

    def __init__(  # noqa: PLR0913  everything outside this object is given by name
        self,
        egress: Egress,
        cache: Cache | None = None,
        *,
        reserve: Reserve | None = None,
        workers: Callable[[], int] = lambda: 1,
        clock: Clock | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Build it; `processes/` does.

        Args:
            egress: the way out.
            cache: shared by processes, best effort; without one nothing is remembered or told.
            reserve: places in rates that all workers share, as `store.valkey.ValkeyBuckets.reserve` gives them.
            workers: how many share those rates while nobody gives them.
            clock: of deadlines, and of how old answers are.
            chance: a random number from 0 to 1, for jitter.
        """
        cache = cache or Forgetful()
        self.cache = cache
        clock = clock or SystemClock()
        self._meanwhile: set[asyncio.Task[None]] = set()
        self._way = Way(egress, clock, chance)
        self._answers = Answers(cache, clock, self._spawn)
        self._shared = Shared(Rests(cache, clock), reserve=reserve, workers=workers, spawn=self._spawn)
        self._services: dict[str, Service] = {}

    def service(self, name: str, policy: Policy = _USUAL) -> Service:
        """Return a service; the first who asks for it says how it is called.

        Args:
            name: from a closed set: it is a metric label (`weather`, `stripe`, …).
            policy: how it is called.
        """
        found = self._services.get(name)
        if found is None:
            found = self._services[name] = Service(name, policy, self._way, shared=self._shared, answers=self._answers)
        return found

    async def close(self) -> None:
        """End what happens meanwhile. The way out is closed by whoever opened it."""
        for task in self._meanwhile:
            task.cancel()
        await asyncio.gather(*self._meanwhile, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        if len(self._meanwhile) >= MEANWHILE:
            work.close()
            return
        task = asyncio.create_task(work)
        self._meanwhile.add(task)
        task.add_done_callback(self._meanwhile.discard)
