"""Weather over the real way out, from a double of Open-Meteo that speaks HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest

from botstead import Today
from botstead.core.errors import EgressUnsent
from botstead.integrations.weather.client import FORECAST_FRESH, FORECAST_KEPT, NO_PLACE_KEPT, PLACE_KEPT, Weather
from botstead.integrations.weather.errors import PlaceUnknown, WeatherUnavailable
from botstead.integrations.weather.models import ATTRIBUTION
from botstead.integrations.weather.service import TRIES
from botstead.runtime.egress import EgressClient
from botstead.runtime.outside import Outside
from tests.doubles.open_meteo import OpenMeteo, open_meteo

NOON = 1_772_362_800.0  # 2026-03-01 12:00 in Oslo
LIMIT = b'{"error":true,"reason":"Minutely API request limit exceeded. Please try again in one minute."}'


class HandClock:
    """A wall clock that tests move; deadlines run on."""

    def __init__(self) -> None:
        self.moved = 0.0

    def now(self) -> float:
        return NOON + self.moved

    def monotonic(self) -> float:
        return time.monotonic() + self.moved


class Memory:
    """A cache that keeps exactly what it is told, as long as it is told."""

    def __init__(self, clock: HandClock) -> None:
        self.clock = clock
        self.kept: dict[str, tuple[float, bytes]] = {}

    async def get(self, key: str) -> bytes | None:
        until, value = self.kept.get(key, (0.0, b""))
        return value if self.clock.now() < until else None

    async def set(self, key: str, value: bytes, seconds: float) -> None:
        self.kept[key] = (self.clock.now() + seconds, value)


class Setting:
    """A `Weather`, its clock and cache, and the double behind it."""

    def __init__(self, service: OpenMeteo, egress: EgressClient) -> None:
        self.service = service
        self.clock = HandClock()
        self.cache = Memory(self.clock)
        self.weather = self.asking(egress, service.base)

    def asking(self, egress: EgressClient, base: str) -> Weather:
        outside = Outside(egress, self.cache, clock=self.clock, chance=lambda: 0.0)
        return Weather(outside, base=base, geocoding_base=base + "/", clock=self.clock)


def told(story) -> None:
    """Run a story with everything it needs."""

    async def run() -> None:
        async with open_meteo() as service:
            egress = EgressClient(allow=["127.0.0.1"])
            async with contextlib.aclosing(_Closing(egress)):
                await story(Setting(service, egress))

    asyncio.run(run())


class _Closing:
    def __init__(self, egress: EgressClient) -> None:
        self.egress = egress

    async def aclose(self) -> None:
        await self.egress.close()


def test_todays_weather():
    async def story(at: Setting) -> None:
        today = await at.weather.today("  oslo ")
        assert isinstance(today, Today)
        assert (today.place, today.country, today.summary) == ("Oslo", "Norway", "Light rain")
        assert (today.high, today.low, today.rain, str(today.date)) == (4.6, -1.2, 80, "2026-03-01")
        assert (today.fetched, today.attribution) == (NOON, ATTRIBUTION)
        search, forecast = at.service.asked
        assert search == {"path": "/v1/search", "name": "oslo", "count": "1", "language": "en", "format": "json"}
        assert (forecast["latitude"], forecast["longitude"], forecast["timezone"]) == ("59.91", "10.75", "auto")

    told(story)


def test_a_second_question_asks_nobody():
    async def story(at: Setting) -> None:
        first = await at.weather.today("Oslo")
        assert await at.weather.today("OSLO") == first
        assert len(at.service.asked) == 2
        at.clock.moved += FORECAST_FRESH + 1
        await at.weather.today("Oslo")
        assert (at.service.count("/v1/search"), at.service.count("/v1/forecast")) == (1, 2)
        assert [until - NOON for until, _ in at.cache.kept.values()] == [PLACE_KEPT, FORECAST_FRESH + 1 + FORECAST_KEPT]

    told(story)


def test_an_unknown_place_is_said_so_and_remembered():
    async def story(at: Setting) -> None:
        for _ in range(2):
            with pytest.raises(PlaceUnknown, match="I do not know a place called «Atlantis»"):
                await at.weather.today("Atlantis")
        assert at.service.count("/v1/search") == 1
        at.clock.moved += NO_PLACE_KEPT + 1
        with pytest.raises(PlaceUnknown):
            await at.weather.today("Atlantis")
        assert at.service.count("/v1/search") == 2
        for name in ("", "x", "y" * 101):
            with pytest.raises(PlaceUnknown):
                await at.weather.today(name)
        assert at.service.count("/v1/search") == 2

    told(story)


def test_old_news_is_told_while_the_service_is_away():
    async def story(at: Setting) -> None:
        first = await at.weather.today("Oslo")
        at.service.misbehave((500, b"oops"), always=True)
        at.clock.moved += FORECAST_KEPT - 60
        assert await at.weather.today("Oslo", seconds=0.5) == first
        at.clock.moved += 120
        with pytest.raises(WeatherUnavailable, match="cannot be reached right now"):
            await at.weather.today("Oslo", seconds=0.5)
        at.service.behave()
        assert (await at.weather.today("Oslo")).fetched == at.clock.now()

    told(story)


def test_yesterdays_news_is_not_told_as_todays():
    async def story(at: Setting) -> None:
        at.clock.moved = 11.9 * 3600  # shortly before midnight in Oslo
        assert (await at.weather.today("Oslo")).summary == "Light rain"
        at.clock.moved += 600
        after_midnight = await at.weather.today("Oslo")
        assert at.service.count("/v1/forecast") == 1
        assert (str(after_midnight.date), after_midnight.high, after_midnight.rain) == ("2026-03-02", 7.0, None)
        assert after_midnight.summary == "Unknown weather"

    told(story)


def test_it_tries_three_times():
    async def story(at: Setting) -> None:
        at.service.misbehave((502, b""), (200, b"<html>"))
        assert (await at.weather.place("Oslo")).name == "Oslo"
        assert at.service.count("/v1/search") == TRIES
        at.service.misbehave((500, b""), always=True)
        with pytest.raises(WeatherUnavailable):
            await at.weather.place("nul")
        assert at.service.count("/v1/search") == 2 * TRIES

    told(story)


def test_a_refusal_is_not_tried_again():
    async def story(at: Setting) -> None:
        at.service.misbehave((400, b'{"error":true,"reason":"Parameter count must be"}'))
        with pytest.raises(WeatherUnavailable):
            await at.weather.place("Oslo")
        assert len(at.service.asked) == 1

    told(story)


@pytest.mark.parametrize(
    ("body", "window"),
    [
        (LIMIT, 60.0),
        (LIMIT.replace(b"Minutely", b"Hourly"), 3_600.0),
        (LIMIT.replace(b"Minutely", b"Daily"), 86_400.0),
        (b"\xff", 60.0),
    ],
)
def test_a_limit_is_obeyed_until_its_window_ends(body, window):
    async def story(at: Setting) -> None:
        at.service.misbehave((429, body))
        for _ in range(3):
            with pytest.raises(WeatherUnavailable):
                await at.weather.place("Oslo")
        at.clock.moved += window - 30
        with pytest.raises(WeatherUnavailable):
            await at.weather.place("Oslo")
        assert len(at.service.asked) == 1
        at.clock.moved += 31
        assert (await at.weather.place("Oslo")).name == "Oslo"

    told(story)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'{"results":[{"name":"Oslo"}]}',
        b'{"results":[{"name":"Oslo","latitude":"north","longitude":1}]}',
        b"\xff\xfe",
        b'{"results":' + b"[" * 5000,
    ],
)
def test_garbage_is_no_weather(body):
    async def story(at: Setting) -> None:
        at.service.misbehave((200, body), always=True)
        with pytest.raises(WeatherUnavailable):
            await at.weather.place("Oslo", seconds=0.3)
        at.service.behave()
        assert (await at.weather.place("Oslo")).name == "Oslo"

    told(story)


@pytest.mark.parametrize(
    "change",
    [
        (b'"utc_offset_seconds": 3600', b'"utc_offset_seconds": 9999999'),
        (b'"weather_code": [61, null]', b'"weather_code": []'),
        (b"2026-03-01", b"yesterday"),
        (b"4.6", b'"warm"'),
    ],
)
def test_a_forecast_of_another_form_is_no_weather(change):
    async def story(at: Setting) -> None:
        await at.weather.today("Oslo")
        good = b'{"utc_offset_seconds": 3600, "daily": {"time": ["2026-03-01", "2026-03-02"], "weather_code": [61, null], "temperature_2m_max": [4.6, 7], "temperature_2m_min": [1, 1]}}'
        at.cache.kept.popitem()
        at.service.misbehave((200, good), always=True)
        assert (await at.weather.today("Oslo")).rain is None
        at.cache.kept.popitem()
        at.service.misbehave((200, good.replace(*change)), always=True)
        with pytest.raises(WeatherUnavailable):
            await at.weather.today("Oslo", seconds=0.3)

    told(story)


def test_what_is_not_known_for_today_is_not_invented():
    async def story(at: Setting) -> None:
        at.service.today = at.service.today.replace(month=1)
        with pytest.raises(WeatherUnavailable):
            await at.weather.today("Oslo")

    told(story)


def test_a_broken_cache_entry_is_fetched_again():
    async def story(at: Setting) -> None:
        await at.weather.today("Oslo")
        for key in at.cache.kept:
            at.cache.kept[key] = (NOON * 2, b"\xff nonsense")
        assert (await at.weather.today("Oslo")).place == "Oslo"
        assert len(at.service.asked) == 4

    told(story)


def test_who_asks_at_the_same_time_shares_one_request():
    async def story(at: Setting) -> None:
        at.service.gate = asyncio.Event()
        asking = [asyncio.create_task(at.weather.place("Oslo")) for _ in range(20)]
        await asyncio.wait_for(at.service.waiting.wait(), 5)
        asking[0].cancel()  # the one whose request it is goes away, the others still get their answer
        at.service.gate.set()
        places = await asyncio.gather(*asking, return_exceptions=True)
        assert isinstance(places[0], asyncio.CancelledError)
        assert {place.name for place in places[1:]} == {"Oslo"}
        assert len(at.service.asked) == 1

    told(story)


def test_a_silent_service_costs_no_more_than_the_deadline():
    async def story(at: Setting) -> None:
        at.service.gate = asyncio.Event()
        began = time.monotonic()
        with pytest.raises(WeatherUnavailable):
            await at.weather.today("Oslo", seconds=0.3)
        assert time.monotonic() - began < 2

    told(story)


def test_nobody_there():
    async def story(at: Setting) -> None:
        egress = EgressClient(allow=["127.0.0.1"])
        weather = at.asking(egress, "http://127.0.0.1:1")
        try:
            with pytest.raises(WeatherUnavailable) as caught:
                await weather.today("Oslo", seconds=8)
        finally:
            await egress.close()
        assert isinstance(caught.value.__cause__, EgressUnsent)

    told(story)
