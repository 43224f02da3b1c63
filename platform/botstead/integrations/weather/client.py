"""`Weather`: what handlers ask. Caches, and tells old news rather than none while the service is away."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import msgspec

from botstead.core.clock import Clock, SystemClock
from botstead.core.ports import Cache, Egress
from botstead.integrations.weather import measures
from botstead.integrations.weather.errors import PlaceUnknown, WeatherUnavailable
from botstead.integrations.weather.models import Forecast, Kept, Place, Places, Today, today
from botstead.integrations.weather.service import OpenMeteo

T = TypeVar("T")

FORECAST_BASE = "https://api.open-meteo.com"
GEOCODING_BASE = "https://geocoding-api.open-meteo.com"

PLACE_KEPT = 30 * 86_400.0
"""Seconds that a found place is kept: places do not move."""
NO_PLACE_KEPT = 3_600.0
FORECAST_FRESH = 1_800.0
FORECAST_KEPT = 6 * 3_600.0
"""Seconds that a forecast may still be told while the service is away."""
_SHORTEST_NAME = 2
_LONGEST_NAME = 100
_DAYS = "2"
"""Tomorrow as well, so that a forecast kept over midnight still knows the day."""


class Weather:
    """Today's weather by Open-Meteo, for handlers: `weather: Weather` in a handler's parameters.

    One object serves a process: handlers that ask for the same place at the same time share one request.
    """

    def __init__(  # noqa: PLR0913  everything outside this object is given by name
        self,
        egress: Egress,
        cache: Cache,
        *,
        base: str = "",
        geocoding_base: str = "",
        language: str = "en",
        clock: Clock | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Build it; `processes/` does.

        Args:
            egress: the way out.
            cache: may forget at any time.
            base: the forecast server, without path; by default the public one.
            geocoding_base: the geocoding server, without path; by default the public one.
            language: of the names of places, two letters.
            clock: where time comes from.
            chance: a random number from 0 to 1, for jitter.
        """
        self._clock = clock or SystemClock()
        self._service = OpenMeteo(egress, clock=self._clock, chance=chance)
        self._cache = cache
        self._forecast_url = f"{(base or FORECAST_BASE).rstrip('/')}/v1/forecast"
        self._search_url = f"{(geocoding_base or GEOCODING_BASE).rstrip('/')}/v1/search"
        self._language = language
        self._flights: dict[str, asyncio.Task[Any]] = {}
        measures.start()

    async def today(self, city: str, *, seconds: float = 8.0) -> Today:
        """Tell today's weather. Show `attribution` of what it returns along with it.

        Args:
            city: a place's name, as people write it.
            seconds: the most this may take.

        Raises:
            PlaceUnknown: there is no such place. Left alone, its sentence becomes the reply.
            WeatherUnavailable: the service cannot be reached and nothing younger than six hours is known. Likewise.
        """
        over = self._clock.monotonic() + seconds
        place = await self.place(city, seconds=seconds)
        kept = await self._forecast(place, seconds=over - self._clock.monotonic())
        told = today(place, kept, self._clock.now())
        if told is None:
            raise WeatherUnavailable
        return told

    async def place(self, city: str, *, seconds: float = 8.0) -> Place:
        """Find a place by its name.

        Args:
            city: as people write it.
            seconds: the most this may take.

        Raises:
            PlaceUnknown: there is none.
            WeatherUnavailable: the service cannot be reached.
        """
        name = " ".join(city.split())
        if not _SHORTEST_NAME <= len(name) <= _LONGEST_NAME:
            raise _unknown(name)
        key = f"weather:place:{self._language}:{name.casefold()}"
        places = _read(await self._cache.get(key), Places)
        measures.count_cache("miss" if places is None else "hit")
        if places is None:
            places = await self._live(key, self._search(key, name, seconds), seconds)
        else:
            measures.count("cached")
        if not places.results:
            raise _unknown(name)
        return places.results[0]

    async def _search(self, key: str, name: str, seconds: float) -> Places:
        parameters = {"name": name, "count": "1", "language": self._language, "format": "json"}
        places = await self._service.ask(self._search_url, parameters, Places, seconds=seconds)
        await self._cache.set(key, msgspec.json.encode(places), PLACE_KEPT if places.results else NO_PLACE_KEPT)
        return places

    async def _forecast(self, place: Place, *, seconds: float) -> Kept:
        # Two decimals are about a kilometre: neighbours share one request, and no exact address leaves the house.
        where = {"latitude": f"{place.latitude:.2f}", "longitude": f"{place.longitude:.2f}"}
        key = f"weather:forecast:{where['latitude']},{where['longitude']}"
        kept = _read(await self._cache.get(key), Kept)
        now = self._clock.now()
        known = kept if kept is not None and now - kept.at < FORECAST_KEPT and today(place, kept, now) is not None else None
        if known is not None and now - known.at < FORECAST_FRESH:
            measures.count_cache("hit")
            measures.count("cached")
            return known
        measures.count_cache("miss" if known is None else "stale")
        return await self._live(key, self._fetch(key, where, seconds), seconds, instead=known)

    async def _live(self, key: str, work: Coroutine[Any, Any, T], seconds: float, *, instead: T | None = None) -> T:
        """Ask the service, and count what came of it; with old news, tell that rather than nothing."""
        try:
            found = await self._together(key, work, seconds)
        except WeatherUnavailable as error:
            if instead is None:
                measures.count_failure(error)
                raise
            measures.count("stale")
            return instead
        measures.count("ok")
        return found

    async def _fetch(self, key: str, where: dict[str, str], seconds: float) -> Kept:
        daily = "weather_code,temperature_2m_max,temperature_2m_min,precipitation_probability_max"
        parameters = {**where, "daily": daily, "timezone": "auto", "forecast_days": _DAYS}
        forecast = await self._service.ask(self._forecast_url, parameters, Forecast, seconds=seconds)
        kept = Kept(self._clock.now(), forecast)
        await self._cache.set(key, msgspec.json.encode(kept), FORECAST_KEPT)
        return kept

    async def _together(self, key: str, work: Coroutine[Any, Any, T], seconds: float) -> T:
        """Do this work once for all who ask at the same time. Who goes away does not stop it for the others."""
        flight: asyncio.Task[T] | None = self._flights.get(key)
        if flight is None:
            flight = asyncio.create_task(work, name=key)
            self._flights[key] = flight
            flight.add_done_callback(lambda done: self._landed(key, done))
        else:
            work.close()
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(flight)
        except TimeoutError as error:
            raise WeatherUnavailable from error

    def _landed(self, key: str, flight: asyncio.Task[Any]) -> None:
        del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # looked at, so that it is no «never retrieved» when everybody has gone away


def _unknown(name: str) -> PlaceUnknown:
    return PlaceUnknown(f"I do not know a place called «{name[:_LONGEST_NAME]}». Please check the spelling.")


def _read(stored: bytes | None, kind: type[T]) -> T | None:
    if stored is None:
        return None
    try:
        return msgspec.json.decode(stored, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
