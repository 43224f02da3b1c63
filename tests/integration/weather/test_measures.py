"""What operators see of the weather: each question counted once, by what came of it."""

from __future__ import annotations

import asyncio

import pytest

from botstead.integrations.weather.client import FORECAST_FRESH
from botstead.integrations.weather.errors import WeatherUnavailable
from botstead.integrations.weather.service import TRIES
from botstead.telemetry.catalog import CACHE_REQUESTS, INTEGRATION_DURATION, INTEGRATION_REQUESTS
from tests.integration.weather.test_weather import LIMIT, Setting, told

OUTCOMES = INTEGRATION_REQUESTS.labels["outcome"]
RESULTS = CACHE_REQUESTS.labels["result"]


class Figures:
    """What has been counted since."""

    def __init__(self) -> None:
        self.before = self._read()

    def _read(self) -> dict[str, float]:
        asked = {word: INTEGRATION_REQUESTS.at("weather", word).value for word in OUTCOMES}
        cache = {f"cache {word}": CACHE_REQUESTS.at("weather", word).value for word in RESULTS}
        return {**asked, **cache, "requests": INTEGRATION_DURATION.at("weather").count}

    def since(self) -> dict[str, float]:
        now = self._read()
        return {name: value - self.before[name] for name, value in now.items() if value != self.before[name]}


def test_live_and_then_from_the_cache():
    async def story(at: Setting) -> None:
        figures = Figures()
        await at.weather.today("Oslo")
        assert figures.since() == {"ok": 2, "cache miss": 2, "requests": 2}
        await at.weather.today("Oslo")
        assert figures.since() == {"ok": 2, "cached": 2, "cache miss": 2, "cache hit": 2, "requests": 2}

    told(story)


def test_a_name_that_nobody_knows_was_answered():
    async def story(at: Setting) -> None:
        figures = Figures()
        with pytest.raises(Exception, match="Nowhere"):
            await at.weather.today("Nowhere")
        assert figures.since() == {"ok": 1, "cache miss": 1, "requests": 1}

    told(story)


def test_old_news_is_stale():
    async def story(at: Setting) -> None:
        await at.weather.today("Oslo")
        at.clock.moved += FORECAST_FRESH + 1
        at.service.misbehave((503, b"{}"), always=True)
        figures = Figures()
        await at.weather.today("Oslo")
        assert figures.since() == {"cached": 1, "stale": 1, "cache hit": 1, "cache stale": 1, "requests": TRIES}

    told(story)


@pytest.mark.parametrize(
    ("answer", "outcome", "requests"),
    [
        ((503, b"{}"), "error", TRIES),
        ((400, b"{}"), "error", 1),
        ((200, b"no json"), "error", TRIES),
        ((429, LIMIT), "limited", 1),
    ],
)
def test_a_question_without_an_answer_says_why(answer, outcome, requests):
    async def story(at: Setting) -> None:
        at.service.misbehave(answer, always=True)
        figures = Figures()
        with pytest.raises(WeatherUnavailable):
            await at.weather.today("Oslo")
        assert figures.since() == {outcome: 1, "cache miss": 1, "requests": requests}

    told(story)


def test_within_a_limit_nothing_is_asked_and_the_reason_stays():
    async def story(at: Setting) -> None:
        at.service.misbehave((429, LIMIT), always=True)
        with pytest.raises(WeatherUnavailable):
            await at.weather.today("Oslo")
        figures = Figures()
        with pytest.raises(WeatherUnavailable):
            await at.weather.today("Oslo")
        assert figures.since() == {"limited": 1, "cache miss": 1}

    told(story)


def test_too_late_is_a_timeout():
    async def story(at: Setting) -> None:
        at.service.gate = asyncio.Event()
        figures = Figures()
        with pytest.raises(WeatherUnavailable):
            await at.weather.today("Oslo", seconds=0.2)
        assert figures.since()["timeout"] == 1

    told(story)
