"""The process of one bot: loads its folder and runs the events that the worker sends.

Started by `pipeline.hosted.HostedBot` as `python -m botstead.processes.bot_host`.
"""

from __future__ import annotations

import os
from pathlib import Path

from botstead.bots.inject import Providers
from botstead.bots.runner import PythonBot
from botstead.core import settings as configuration
from botstead.core.ports import Egress
from botstead.core.settings import LIST_SEPARATOR, PREFIX, Settings
from botstead.integrations.weather.client import Weather
from botstead.pipeline.answering import answering
from botstead.runtime import hosting
from botstead.runtime.egress import EgressClient, RecordedEgress
from botstead.store.valkey import MemoryCache

GIVEN = ("egress_allow", "weather_base", "weather_geocoding_base")
"""The settings that a bot's process needs. It gets no others: no database, no key ring, no cache of everybody."""


def environment(settings: Settings) -> dict[str, str]:
    """Make the whole environment of a bot's process.

    Args:
        settings: of the worker.
    """
    values = {name: getattr(settings, name) for name in GIVEN}
    texts = {name: value if isinstance(value, str) else LIST_SEPARATOR.join(value) for name, value in values.items()}
    named = {f"{PREFIX}{name.upper()}": text for name, text in texts.items() if text}
    return {"PATH": os.defpath, "MALLOC_ARENA_MAX": "2", "PYTHONUNBUFFERED": "1", **named}


def build(settings: Settings) -> tuple[Providers, Egress]:
    """Compose what handlers can ask for, and the way out. The cache is the process's own.

    Args:
        settings: as given by `environment`.
    """
    egress = RecordedEgress(EgressClient(allow=settings.egress_allow))
    weather = Weather(egress, MemoryCache(), base=settings.weather_base, geocoding_base=settings.weather_geocoding_base)
    return {Weather: lambda _incoming: weather}, egress


def make(folder: Path) -> hosting.Answer:
    """Load a bot's folder, with the settings of this process.

    Args:
        folder: holds `bot.py`.

    Raises:
        ConfigurationError: the settings or the bot are wrong.
    """
    settings = configuration.load(os.environ)  # noqa: TID251  the one place where this process reads its settings
    providers, egress = build(settings)
    return answering(PythonBot.load(folder, providers=providers, egress=egress))


if __name__ == "__main__":
    hosting.main(make)
