"""The process of one bot: loads its folder and runs the events that the worker sends.

Started by `pipeline.hosted.HostedBot` as `python -m botstead.processes.bot_host`.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from botstead.bots.inject import Providers
from botstead.bots.manifest import read_manifest
from botstead.bots.runner import PythonBot
from botstead.core import settings as configuration
from botstead.core.ports import BotSecrets
from botstead.core.purse import PurseMeter
from botstead.core.settings import LIST_SEPARATOR, PREFIX, Settings
from botstead.integrations.weather.client import Weather
from botstead.pipeline.answering import answering
from botstead.pipeline.drafts import ToldDrafts
from botstead.processes.models import SHARED, LanguageModels, read_key
from botstead.processes.services import Services, ToldSecrets
from botstead.runtime import hosting
from botstead.runtime.egress import Dialer, EgressClient, RecordedEgress
from botstead.runtime.outside import Outside
from botstead.store.valkey import MemoryCache

GIVEN = ("egress_allow", "weather_base", "weather_geocoding_base", "llm_base", "llm_model")
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


def build(settings: Settings, folder: Path, *, secrets: BotSecrets) -> tuple[Providers, Outside]:
    """Compose what handlers can ask for, and the way to services. The cache is the process's own.

    Args:
        settings: as given by `environment`.
        folder: the bot's.
        secrets: what the bot calls services with.

    Raises:
        ConfigurationError: the settings or `bot.toml` are wrong.
    """
    outside = Outside(RecordedEgress(EgressClient(allow=settings.egress_allow)), MemoryCache())
    weather = Weather(outside, base=settings.weather_base, geocoding_base=settings.weather_geocoding_base)
    own = read_key(settings.llm_key_file)
    models = LanguageModels(
        settings, outside, meter=PurseMeter(), secrets=secrets, shared=lambda bot: secrets.of(bot).get(SHARED, own)
    )
    services = Services(outside=outside, dialer=Dialer(allow=settings.egress_allow), secrets=secrets, models=models)
    return {Weather: lambda _incoming: weather, **services.of(read_manifest(folder))}, outside


def make(folder: Path, *, secrets: BotSecrets) -> hosting.Answer:
    """Load a bot's folder, with the settings of this process.

    Args:
        folder: holds `bot.py`.
        secrets: what the bot calls services with.

    Raises:
        ConfigurationError: the settings or the bot are wrong.
    """
    settings = configuration.load(os.environ)  # noqa: TID251  the one place where this process reads its settings
    providers, outside = build(settings, folder, secrets=secrets)
    bot = PythonBot.load(folder, providers=providers, outside=outside)
    bot.drafts = ToldDrafts(hosting.partly.get)
    return answering(bot)


if __name__ == "__main__":
    given = ToldSecrets()
    hosting.main(partial(make, secrets=given), told=given.take)
