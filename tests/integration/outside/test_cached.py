"""Answers from the cache: one flight, told as long as they may be, and never believed blindly."""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from botstead.core.clock import Clock
from botstead.core.errors import EgressTimeout, EgressUnsent
from botstead.runtime.outside import Keeping, Kept, calling
from botstead.runtime.outside.cached import LARGEST, Answers
from tests.integration.outside.setting import Figures, Setting, head, told

HOUR = Keeping(fresh=3_600, meanwhile=600, stale=86_400, absent=60)


class Fact(msgspec.Struct, frozen=True):
    """A value."""

    n: int


class Asker:
    """Asks the service for a fact; None for 404."""

    def __init__(self, at: Setting) -> None:
        self.at = at
        at.usual = head(200, b'{"n": 1}')

    async def fetch(self) -> Fact | None:
        response = await self.at.service.ask(self.at.call(), seconds=3)
        if response.status == 404:
            return None
        if response.status != 200:
            raise EgressUnsent(f"status {response.status}")
        return msgspec.json.decode(response.body, type=Fact)

    async def get(self, key="k", *, keeping=HOUR, **options) -> Kept[Fact]:
        return await self.at.service.cached(key, self.fetch, kind=Fact, keeping=keeping, **options)


def test_a_thousand_identical_calls_are_one_request():
    async def story(at: Setting) -> None:
        asker, figures = Asker(at), Figures()
        found = await asyncio.gather(*(asker.get() for _ in range(1_000)))
        assert {kept.value for kept in found} == {Fact(1)}
        assert at.asked == 1
        await asyncio.gather(*(asker.get() for _ in range(1_000)))
        assert at.asked == 1
        assert figures.since() == {"ok": 1_000, "cached": 1_000, "cache miss": 1_000, "cache hit": 1_000, "requests": 1}

    told(story)


def test_nobodys_end_is_the_end_of_others():
    async def story(at: Setting) -> None:
        asker, at.gate = Asker(at), asyncio.Event()
        with calling("hasty", time.monotonic() + 0.1):
            first = asyncio.create_task(asker.get())
        second, third = asyncio.create_task(asker.get()), asyncio.create_task(asker.get())
        await at.provider.asked.acquire()
        second.cancel()
        with pytest.raises(EgressTimeout):  # its message had no more time, though the request began as its own
            await first
        at.gate.set()
        assert (await third).value == Fact(1)
        assert at.asked == 1

    told(story)


def test_old_news_is_told_at_once_and_fetched_anew_meanwhile():
    async def story(at: Setting) -> None:
        asker = Asker(at)
        first = await asker.get()
        at.clock.moved = HOUR.fresh + 1
        at.usual, figures = head(200, b'{"n": 2}'), Figures()
        assert await asyncio.gather(*(asker.get() for _ in range(10))) == [first] * 10
        assert figures.since()["stale"] == 10
        async with asyncio.timeout(5):
            while (await asker.get()).value != Fact(2):  # noqa: ASYNC110  it happens meanwhile, nobody is told
                await asyncio.sleep(0.005)
        assert at.asked == 2

    told(story)


def test_old_news_is_told_rather_than_none_and_never_when_too_old():
    async def story(at: Setting) -> None:
        asker = Asker(at)
        first = await asker.get()
        at.usual, figures = head(500), Figures()
        at.clock.moved = HOUR.fresh + HOUR.meanwhile + 1
        assert await asker.get() == first
        assert figures.since() == {"stale": 1, "cache stale": 1, "requests": 3}
        at.gate = asyncio.Event()
        assert await asker.get(seconds=0.1) == first
        at.gate.set()
        assert await asker.get() == first
        at.clock.moved += HOUR.stale
        with pytest.raises(EgressUnsent):
            await asker.get()

    told(story)


def test_that_there_is_none_is_remembered_for_a_while():
    async def story(at: Setting) -> None:
        asker = Asker(at)
        at.usual = head(404)
        assert [(await asker.get()).value for _ in range(3)] == [None] * 3
        assert at.asked == 1
        at.clock.moved = HOUR.absent + 1
        at.usual = head(500)
        with pytest.raises(EgressUnsent):  # that there was none is no news to tell instead
            await asker.get()
        at.usual = head(200, b'{"n": 3}')
        assert (await asker.get()).value == Fact(3)

    told(story)


def test_failures_are_not_kept():
    async def story(at: Setting) -> None:
        asker, at.usual = Asker(at), head(400)
        for _ in range(2):
            with pytest.raises(EgressUnsent):
                await asker.get()
        assert at.asked == 2

    told(story)


def test_what_is_private_stays_with_its_bot():
    async def story(at: Setting) -> None:
        asker = Asker(at)
        for number, bot in enumerate(("one", "two", "one", "two")):
            at.usual = head(200, b'{"n": %d}' % number)
            with calling(bot):
                assert (await asker.get(private=True)).value == Fact(number % 2)
        assert (await asker.get()).value == Fact(3)
        with calling("one"):
            assert (await asker.get()).value == Fact(3)
            assert (await asker.get("x:@one:k")).value == Fact(3)
        assert at.asked == 4

    told(story)


@pytest.mark.parametrize(
    "poison",
    [
        b"",
        b"\xff",
        b"null",
        b"{}",
        b"[]",
        b"[1]",
        b'[1,{"n":"x"}]',
        b'["now",{"n":1}]',
        b"[" * 5_000,
        b'[1e308,{"n":9}]',
        b'[0,{"n":9}]',
    ],
)
def test_a_poisoned_entry_is_a_miss(poison):
    async def story(at: Setting) -> None:
        asker = Asker(at)
        await asker.get()
        (key,) = [key for key in at.cache._entries if not key.startswith("outside:how")]
        await at.cache.set(key, poison, 1_000)
        assert (await asker.get()).value == Fact(1)
        assert at.asked == 2

    told(story)


def test_what_is_too_large_is_not_kept_and_long_keys_do_not_meet():
    async def story(at: Setting) -> None:
        async def fetch() -> str:
            await at.service.ask(at.call())
            return "x" * LARGEST

        async def get(key: str) -> str:
            return (await at.service.cached(key, fetch, kind=str, keeping=HOUR)).value

        assert len(await get("a")) == len(await get("a")) == LARGEST
        assert at.asked == 2
        asker = Asker(at)
        long = "k" * 5_000
        assert (await asker.get(long + "1")).value == Fact(1)
        at.usual = head(200, b'{"n": 2}')
        assert (await asker.get(long + "2")).value == Fact(2)
        assert (await asker.get(long + "1")).value == Fact(1)
        assert all(len(key) < 250 for key in at.cache._entries)

    told(story)


class Frozen(Clock):
    """A wall clock that only rules move."""

    def __init__(self) -> None:
        self.at = 1_000.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


class Remembering:
    """A cache with lifetimes by that clock, which may lose everything."""

    def __init__(self, clock: Frozen) -> None:
        self.clock = clock
        self.kept: dict[str, tuple[float, bytes]] = {}

    async def get(self, key: str) -> bytes | None:
        until, value = self.kept.get(key, (0.0, b""))
        return value if self.clock.at < until else None

    async def set(self, key: str, value: bytes, seconds: float) -> None:
        self.kept[key] = (self.clock.at + seconds, value)


class Story(RuleBasedStateMachine):
    """Whatever the service, the clock and the cache do: no answer is older than it may be, and fresh ones ask nobody."""

    @initialize(fresh=st.integers(1, 20), meanwhile=st.integers(0, 20), stale=st.integers(0, 20), absent=st.integers(0, 20))
    def begin(self, fresh, meanwhile, stale, absent):
        self.keeping = Keeping(fresh=fresh, meanwhile=meanwhile, stale=stale, absent=absent)
        self.clock, self.works, self.there = Frozen(), True, True
        self.cache, self.fetched = Remembering(self.clock), []
        self.known: Kept[float] | None = None
        self.meanwhile: list = []
        self.answers = Answers(self.cache, self.clock, self.meanwhile.append)

    def teardown(self):
        for work in getattr(self, "meanwhile", ()):
            work.close()

    async def _fetch(self) -> float | None:
        self.fetched.append(self.clock.at)
        if not self.works:
            raise EgressUnsent("away")
        self.known = Kept(self.clock.at if self.there else None, self.clock.at)
        return self.known.value

    @rule(seconds=st.integers(0, 25))
    def time_passes(self, seconds):
        self.clock.at += seconds

    @rule(works=st.booleans(), there=st.booleans())
    def service_changes(self, works, there):
        self.works, self.there = works, there

    @rule()
    def cache_forgets(self):
        self.cache.kept.clear()
        self.known = None

    @rule()
    def refreshes_end(self):
        work, self.meanwhile[:] = list(self.meanwhile), []
        for one in work:
            asyncio.run(one)

    @rule()
    def ask(self):
        keeping, before, known = self.keeping, len(self.fetched), self.known
        try:
            kept = asyncio.run(
                self.answers.get("tested", "tested:k", self._fetch, kind=float, keeping=keeping, seconds=5.0, left=5.0)
            )
        except EgressUnsent:
            assert not self.works
            if known is not None and known.value is not None:
                assert self.clock.at - known.at >= keeping.fresh + keeping.meanwhile + keeping.stale
            return
        age, asked = self.clock.at - kept.at, len(self.fetched) > before
        if asked and self.works:
            assert age == 0
            return
        assert kept == known
        if kept.value is None:
            assert age < keeping.absent
        elif asked:
            assert keeping.fresh + keeping.meanwhile <= age < keeping.fresh + keeping.meanwhile + keeping.stale
        else:
            assert age < keeping.fresh + keeping.meanwhile


Story.TestCase.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestAnyStory = Story.TestCase
