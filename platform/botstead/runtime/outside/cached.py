"""`Answers`: what services said, kept in the cache; one flight for all who ask the same at the same time.

An entry is `[when, value]` in JSON. What cannot be read, lies in the future or is too large counts as absent: a cache is never
believed. A look into the cache is part of the flight, so that of calls at the same time one looks and one asks.
"""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from functools import lru_cache
from typing import Any, Final, Generic, NamedTuple, TypeVar, cast

import msgspec

from botstead.core.clock import Clock
from botstead.core.errors import BotsteadError, EgressTimeout
from botstead.core.ports import Cache
from botstead.runtime.egress.outcomes import outcome_of
from botstead.runtime.outside import measures
from botstead.runtime.outside.caller import Caller, caller

T = TypeVar("T")

LARGEST: Final = 262_144
"""Bytes of an entry; what is larger is not kept."""
REFRESHING: Final = 64
"""Old entries that are fetched anew at once while they are told; of more, the others stay old a little longer."""
_LONGEST_KEY: Final = 200
_AHEAD: Final = 60.0
"""Seconds by which clocks of processes may differ."""


class Keeping(msgspec.Struct, frozen=True, kw_only=True):
    """For how long an answer is told. All in seconds, one after the other.

    Args:
        fresh: from the cache, without asking.
        meanwhile: after that, at once, while it is fetched anew for the next who asks.
        stale: after that, only when the service cannot be reached or failed.
        absent: that there is no such thing.
    """

    fresh: float
    meanwhile: float = 0.0
    stale: float = 0.0
    absent: float = 0.0


class Kept(NamedTuple, Generic[T]):
    """What a service said.

    Args:
        value: it; None when there is no such thing.
        at: Unix seconds at which it was fetched.
    """

    value: T | None
    at: float


class _Flight(Generic[T]):
    """One look, and one fetch if needed, for all who ask meanwhile."""

    def __init__(self) -> None:
        self.task: asyncio.Task[tuple[Kept[T], str]]
        self.old: Kept[T] | None = None


class Answers:
    """What all services of a process said."""

    def __init__(self, cache: Cache, clock: Clock, spawn: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        """Start with what the cache has.

        Args:
            cache: may forget at any time.
            clock: says how old an answer is.
            spawn: owner of what happens meanwhile.
        """
        self._cache = cache
        self._clock = clock
        self._spawn = spawn
        self._flights: dict[str, _Flight[Any]] = {}
        self._refreshed: set[str] = set()

    async def get(  # noqa: PLR0913  see `Service.cached`
        self,
        service: str,
        name: str,
        fetch: Callable[[], Awaitable[T | None]],
        *,
        kind: type[T],
        keeping: Keeping,
        seconds: float,
        left: float,
    ) -> Kept[T]:
        """Return an answer; see `Service.cached`.

        Args:
            service: for counting.
            name: of the answer among all services' and bots'.
            fetch: asks the service.
            kind: of the value.
            keeping: for how long.
            seconds: that a fetch takes at most, whoever of those who ask goes away.
            left: seconds that this caller waits.

        Raises:
            BotsteadError: see `Service.cached`.
        """
        key = _key(name)
        flight = self._flights.get(key)
        if flight is None:
            flight = self._begun(key, _Question(service, key, fetch, kind, keeping, seconds))
        try:
            async with asyncio.timeout(max(left, 0.0)):
                kept, result = await asyncio.shield(flight.task)
        except (BotsteadError, TimeoutError) as error:
            return self._instead(service, flight.old, error)
        measures.count_cache(service, result)
        measures.count(service, {"hit": "cached", "stale": "stale"}.get(result, "ok"))
        return kept

    def _instead(self, service: str, old: Kept[T] | None, error: BotsteadError | TimeoutError) -> Kept[T]:
        """Tell old news rather than none."""
        measures.count_cache(service, "miss" if old is None else "stale")
        if old is not None:
            measures.count(service, "stale")
            return old
        measures.count(service, outcome_of(error))
        if isinstance(error, BotsteadError):
            raise error
        raise EgressTimeout(f"{service} did not answer in time; the request may have arrived.") from error

    def _begun(self, key: str, question: _Question[T]) -> _Flight[T]:
        flight: _Flight[T] = _Flight()
        flight.task = asyncio.create_task(self._fly(question, flight), name=key, context=_apart(counts=False))
        self._flights[key] = flight
        flight.task.add_done_callback(lambda done: self._landed(key, done))
        return flight

    def _landed(self, key: str, task: asyncio.Task[Any]) -> None:
        del self._flights[key]
        if not task.cancelled():
            task.exception()  # looked at, so that it is no «never retrieved» when everybody has gone away

    async def _fly(self, question: _Question[T], flight: _Flight[T]) -> tuple[Kept[T], str]:
        kept = _read(await self._cache.get(question.key), question.kind)
        keeping, age = question.keeping, self._clock.now() - kept.at if kept is not None else float("inf")
        if kept is not None and age >= -_AHEAD:
            if age < (keeping.fresh if kept.value is not None else keeping.absent):
                return kept, "hit"
            if kept.value is not None and age < keeping.fresh + keeping.meanwhile:
                self._refresh(question)
                return kept, "stale"
            if kept.value is not None and age < keeping.fresh + keeping.meanwhile + keeping.stale:
                flight.old = kept
        return await self._fetched(question), "miss"

    async def _fetched(self, question: _Question[T]) -> Kept[T]:
        async with asyncio.timeout(question.seconds):
            value = await question.fetch()
        kept = Kept(value, self._clock.now())
        keeping = question.keeping
        lasts = keeping.absent if value is None else keeping.fresh + keeping.meanwhile + keeping.stale
        entry = msgspec.json.encode((kept.at, value))
        if lasts > 0 and len(entry) <= LARGEST:
            await self._cache.set(question.key, entry, lasts)
        return kept

    def _refresh(self, question: _Question[T]) -> None:
        if question.key in self._refreshed or len(self._refreshed) >= REFRESHING:
            return
        self._refreshed.add(question.key)
        _apart(counts=True).run(self._spawn, self._refetch(question))

    async def _refetch(self, question: _Question[T]) -> None:
        try:
            await self._fetched(question)
        except (BotsteadError, TimeoutError):
            return  # its call was counted as failed; the next who asks tries again
        finally:
            self._refreshed.discard(question.key)


class _Question(NamedTuple, Generic[T]):
    """A flight's errand."""

    service: str
    key: str
    fetch: Callable[[], Awaitable[T | None]]
    kind: type[T]
    keeping: Keeping
    seconds: float


def _apart(*, counts: bool) -> contextvars.Context:
    """Make the context of a flight: for the same bot, but not bound to the deadline of the message that happened to be first."""
    context = contextvars.copy_context()
    context.run(caller.set, Caller(caller.get().bot))
    context.run(measures.within.set, not counts)
    return context


def _key(name: str) -> str:
    if len(name) > _LONGEST_KEY:
        name = f"{name.partition(':')[0]}:#{hashlib.blake2b(name.encode(), digest_size=32).hexdigest()}"
    return f"outside:{name}"


@lru_cache(maxsize=256)
def _decoder(kind: Hashable) -> msgspec.json.Decoder[Any]:
    value: Any = kind
    return msgspec.json.Decoder(tuple[float, value | None])


def _read(stored: bytes | None, kind: type[T]) -> Kept[T] | None:
    if stored is None:
        return None
    try:
        at, value = _decoder(cast("Hashable", kind)).decode(stored)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return Kept(value, at)
