"""Weather by Open-Meteo: a city's name in, today's weather out. See README.md here."""
