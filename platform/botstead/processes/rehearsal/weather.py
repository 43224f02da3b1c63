"""`chat.weather`: the double of `Weather`."""

from __future__ import annotations

import datetime as dt

import msgspec

from botstead.bots.testing import KitClock
from botstead.integrations.weather.client import Weather
from botstead.integrations.weather.errors import PlaceUnknown, WeatherUnavailable
from botstead.integrations.weather.models import Place, Today
from botstead.processes.rehearsal.double import Double


class WeatherDouble(Double, Weather):
    """Knows every city, with a clear sky, until a test says otherwise."""

    def __init__(self, clock: KitClock) -> None:
        """Build it.

        Args:
            clock: the kit's time.
        """
        Double.__init__(self, clock)
        self._days: dict[str, Today | None] = {}
        self.returns()

    def returns(  # noqa: PLR0913  what a day is like, each given by name
        self,
        summary: str = "Clear sky",
        *,
        city: str = "",
        high: float = 20.0,
        low: float = 10.0,
        rain: float | None = None,
        country: str = "",
    ) -> None:
        """Say what the weather is.

        Args:
            summary: a few words.
            city: where; by default everywhere that nothing else was said about.
            high: °C.
            low: °C.
            rain: the chance of it in percent, or None when it is not known.
            country: the country's name.
        """
        date = dt.datetime.fromtimestamp(self._time.now(), dt.UTC).date()
        self._days[city.casefold()] = Today(
            place=city, country=country, summary=summary, high=high, low=low, rain=rain, date=date, fetched=self._time.now()
        )

    def knows_no(self, city: str) -> None:
        """Let there be no such place.

        Args:
            city: its name.

        Raises:
            ValueError: it has none.
        """
        if not city:
            raise ValueError("name the city that is not known")
        self._days[city.casefold()] = None

    async def today(self, city: str, *, seconds: float = 8.0) -> Today:
        """See `Weather.today`."""
        place = await self.place(city, seconds=seconds)
        day = self._days.get(place.name.casefold()) or self._days[""]
        assert day is not None
        return msgspec.structs.replace(day, place=place.name)

    async def place(self, city: str, *, seconds: float = 8.0) -> Place:
        """See `Weather.place`."""
        error = self.met(seconds)
        if error is not None:
            raise WeatherUnavailable from error
        name = " ".join(city.split())
        if not name or self._days.get(name.casefold(), _SOMEWHERE) is None:
            raise PlaceUnknown
        return Place(name, 0.0, 0.0)


_SOMEWHERE = object()
