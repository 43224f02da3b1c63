"""What Open-Meteo answers, what we keep of it, and what handlers get."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import msgspec

ATTRIBUTION = "Weather data by Open-Meteo.com (CC BY 4.0)"
"""The licence asks for it wherever the data is shown (https://open-meteo.com/en/license)."""

_UNKNOWN = "Unknown weather"
_WORDS = {
    0: "Clear sky",
    1: "Mainly clear",
    2: "Partly cloudy",
    3: "Overcast",
    45: "Fog",
    48: "Freezing fog",
    51: "Light drizzle",
    53: "Drizzle",
    55: "Heavy drizzle",
    56: "Light freezing drizzle",
    57: "Freezing drizzle",
    61: "Light rain",
    63: "Rain",
    65: "Heavy rain",
    66: "Light freezing rain",
    67: "Freezing rain",
    71: "Light snow",
    73: "Snow",
    75: "Heavy snow",
    77: "Snow grains",
    80: "Light showers",
    81: "Showers",
    82: "Violent showers",
    85: "Snow showers",
    86: "Heavy snow showers",
    95: "Thunderstorm",
    96: "Thunderstorm with hail",
    99: "Thunderstorm with heavy hail",
}


def words(code: int) -> str:
    """Say a weather code in words.

    Args:
        code: a WMO weather interpretation code, as listed at https://open-meteo.com/en/docs.
    """
    return _WORDS.get(code, _UNKNOWN)


class Place(msgspec.Struct, frozen=True, omit_defaults=True):
    """A place as the geocoding knows it (https://open-meteo.com/en/docs/geocoding-api).

    Args:
        name: as people there write it, in the language asked for.
        latitude: degrees.
        longitude: degrees.
        country: its name.
    """

    name: str
    latitude: float
    longitude: float
    country: str = ""


class Places(msgspec.Struct, frozen=True):
    """The answer to a search; the key is absent when nothing was found."""

    results: tuple[Place, ...] = ()


class Days(msgspec.Struct, frozen=True):
    """The days of a forecast, one item each; the service gives null where it does not know."""

    time: tuple[dt.date, ...]
    weather_code: tuple[int | None, ...]
    temperature_2m_max: tuple[float | None, ...]
    temperature_2m_min: tuple[float | None, ...]
    precipitation_probability_max: tuple[float | None, ...] = ()

    def __post_init__(self) -> None:
        days = len(self.time)
        if not days == len(self.weather_code) == len(self.temperature_2m_max) == len(self.temperature_2m_min):
            raise ValueError("the days have not all their values")


class Forecast(msgspec.Struct, frozen=True):
    """The answer of the forecast (https://open-meteo.com/en/docs)."""

    utc_offset_seconds: Annotated[int, msgspec.Meta(gt=-86_400, lt=86_400)]
    daily: Days


class Problem(msgspec.Struct, frozen=True):
    """The body of an answer other than 200."""

    reason: str = ""


class Kept(msgspec.Struct, frozen=True):
    """A forecast in the cache, with the Unix seconds at which it was fetched."""

    at: float
    forecast: Forecast


class Today(msgspec.Struct, frozen=True, kw_only=True):
    """Today's weather in one place. Show `attribution` with it.

    Args:
        place: what the place is called.
        country: the country's name.
        summary: a few words, such as «Light rain».
        high: the highest temperature, °C.
        low: the lowest temperature, °C.
        rain: the chance of rain or snow in percent, or None when it is not known.
        date: the day, in the place's own time zone.
        fetched: Unix seconds at which the data was fetched; up to six hours old while the service is away.
        attribution: the source, which the licence asks to be shown.
    """

    place: str
    country: str
    summary: str
    high: float
    low: float
    rain: float | None
    date: dt.date
    fetched: float
    attribution: str = ATTRIBUTION


def today(place: Place, kept: Kept, now: float) -> Today | None:
    """Pick the day that it is now at the place, or None when the forecast does not reach it.

    Args:
        place: where.
        kept: a forecast of some days, perhaps from yesterday evening.
        now: Unix seconds.
    """
    forecast = kept.forecast
    zone = dt.timezone(dt.timedelta(seconds=forecast.utc_offset_seconds))
    date = dt.datetime.fromtimestamp(now, zone).date()
    if date not in forecast.daily.time:
        return None
    index = forecast.daily.time.index(date)
    high, low = forecast.daily.temperature_2m_max[index], forecast.daily.temperature_2m_min[index]
    if high is None or low is None:
        return None
    code = forecast.daily.weather_code[index]
    chances = forecast.daily.precipitation_probability_max
    return Today(
        place=place.name,
        country=place.country,
        summary=_UNKNOWN if code is None else words(code),
        high=high,
        low=low,
        rain=chances[index] if index < len(chances) else None,
        date=date,
        fetched=kept.at,
    )
