"""The weather sample."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path

import botstead
from botstead import Today, Weather, chat_with
from botstead.integrations.weather.errors import PlaceUnknown

FOLDER = Path(botstead.__file__).parent / "samples" / "weather"


class FakeWeather:
    """Knows every city but one."""

    async def today(self, city: str) -> Today:
        if city == "Atlantis":
            raise PlaceUnknown
        rain = None if city == "Lima" else 80.0
        return Today(
            place=city, country="", summary="Light rain", high=4.6, low=1, rain=rain, date=dt.date(2026, 3, 1), fetched=0
        )


def talk(*texts: str) -> list[str]:
    async def story() -> list[str]:
        async with chat_with(FOLDER, {Weather: FakeWeather()}) as chat:
            said = []
            for text in texts:
                said.append((await chat.send(text)).text)
                await chat.restart()
            assert chat.state == {}
            return said

    return asyncio.run(story())


def test_it_tells_the_weather_and_its_source():
    oslo, lima = talk("weather Oslo", "/weather Lima")
    assert oslo == "Light rain, 5°C in Oslo, 80 % chance of rain\nWeather data by Open-Meteo.com (CC BY 4.0)"
    assert lima.startswith("Light rain, 5°C in Lima\n")


def test_it_asks_for_the_city():
    question, answer = talk("weather", "New York")
    assert question == "Which city?"
    assert "in New York" in answer


def test_an_unknown_city_is_said_so():
    assert talk("weather Atlantis") == ["There is no such place. Please check the spelling, or name a larger place nearby."]
    assert talk("weather", "Atlantis", "weather Oslo")[2].startswith("Light rain")


def test_it_greets_and_helps():
    greeting, lost = talk("/start", "hello")
    assert greeting == "Hello! Tell me a city.\n\nweather [<city>] – Tell today's weather in a city."
    assert "/help" in lost
