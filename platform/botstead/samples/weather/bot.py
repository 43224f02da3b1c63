"""Tells today's weather in a city, and asks for the city when it is missing."""

from botstead import Bot, Chat, Weather

bot = Bot("weather")


@bot.command("weather [<city>]")
async def forecast(chat: Chat, weather: Weather, city: str = "") -> str:
    """Tell today's weather in a city."""
    if not city:
        city = await chat.ask("Which city?")
    today = await weather.today(city)
    rain = "" if today.rain is None else f", {today.rain:.0f} % chance of rain"
    return f"{today.summary}, {today.high:.0f}°C in {today.place}{rain}\n{today.attribution}"
