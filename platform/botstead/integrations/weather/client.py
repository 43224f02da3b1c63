"""`Weather`: what handlers ask. Old news is told rather than none while the service is away."""

from __future__ import annotations

from typing import Final

from botstead.core.clock import Clock, SystemClock
from botstead.core.errors import EgressError
from botstead.integrations.weather.errors import PlaceUnknown, WeatherUnavailable
from botstead.integrations.weather.models import Forecast, Kept, Place, Places, Today, today
from botstead.integrations.weather.service import OpenMeteo
from botstead.runtime.outside import Keeping, Outside

FORECAST_BASE = "https://api.open-meteo.com"
GEOCODING_BASE = "https://geocoding-api.open-meteo.com"

PLACE_KEPT = 30 * 86_400.0
"""Seconds that a found place is kept: places do not move."""
NO_PLACE_KEPT = 3_600.0
FORECAST_FRESH = 1_800.0
FORECAST_KEPT = 6 * 3_600.0
"""Seconds that a forecast may still be told while the service is away."""
_PLACES: Final = Keeping(fresh=PLACE_KEPT, absent=NO_PLACE_KEPT)
_FORECASTS: Final = Keeping(fresh=FORECAST_FRESH, stale=FORECAST_KEPT - FORECAST_FRESH)
_SHORTEST_NAME = 2
_LONGEST_NAME = 100
_DAYS = "2"
"""Tomorrow as well, so that a forecast kept over midnight still knows the day."""


class Weather:
    """Today's weather by Open-Meteo, for handlers: `weather: Weather` in a handler's parameters.

    One object serves a process: handlers that ask for the same place at the same time share one request.
    """

    def __init__(
        self,
        outside: Outside,
        *,
        base: str = "",
        geocoding_base: str = "",
        language: str = "en",
        clock: Clock | None = None,
    ) -> None:
        """Build it; `processes/` does.

        Args:
            outside: the way to services, and what they said.
            base: the forecast server, without path; by default the public one.
            geocoding_base: the geocoding server, without path; by default the public one.
            language: of the names of places, two letters.
            clock: where time comes from.
        """
        self._clock = clock or SystemClock()
        self._server = OpenMeteo(outside, public=not base)
        self._forecast_url = f"{(base or FORECAST_BASE).rstrip('/')}/v1/forecast"
        self._search_url = f"{(geocoding_base or GEOCODING_BASE).rstrip('/')}/v1/search"
        self._language = language

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
        try:
            found = await self._server.service.cached(
                f"place:{self._language}:{name.casefold()}",
                lambda: self._search(name, seconds),
                kind=Place,
                keeping=_PLACES,
                seconds=seconds,
            )
        except EgressError as error:
            raise WeatherUnavailable from error
        if found.value is None:
            raise _unknown(name)
        return found.value

    async def _search(self, name: str, seconds: float) -> Place | None:
        parameters = {"name": name, "count": "1", "language": self._language, "format": "json"}
        places = await self._server.ask(self._search_url, parameters, Places, seconds=seconds)
        return places.results[0] if places.results else None

    async def _forecast(self, place: Place, *, seconds: float) -> Kept:
        # Two decimals are about a kilometre: neighbours share one request, and no exact address leaves the house.
        where = {"latitude": f"{place.latitude:.2f}", "longitude": f"{place.longitude:.2f}"}
        try:
            found = await self._server.service.cached(
                f"forecast:{where['latitude']},{where['longitude']}",
                lambda: self._fetch(where, seconds),
                kind=Forecast,
                keeping=_FORECASTS,
                seconds=seconds,
            )
        except EgressError as error:
            raise WeatherUnavailable from error
        if found.value is None:
            raise WeatherUnavailable
        return Kept(found.at, found.value)

    async def _fetch(self, where: dict[str, str], seconds: float) -> Forecast:
        daily = "weather_code,temperature_2m_max,temperature_2m_min,precipitation_probability_max"
        parameters = {**where, "daily": daily, "timezone": "auto", "forecast_days": _DAYS}
        return await self._server.ask(self._forecast_url, parameters, Forecast, seconds=seconds)


def _unknown(name: str) -> PlaceUnknown:
    return PlaceUnknown(f"I do not know a place called «{name[:_LONGEST_NAME]}». Please check the spelling.")
