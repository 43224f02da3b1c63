"""What can go wrong with the weather, each a sentence that the person may read."""

from __future__ import annotations

from botstead.core.errors import Declined


class WeatherError(Declined):
    """The weather cannot be told right now. Please try again in a few minutes."""

    code = "weather"


class PlaceUnknown(WeatherError):
    """There is no such place. Please check the spelling, or name a larger place nearby."""

    code = "weather_place_unknown"


class WeatherUnavailable(WeatherError):
    """The weather service cannot be reached right now. Please try again in a few minutes."""

    code = "weather_unavailable"
