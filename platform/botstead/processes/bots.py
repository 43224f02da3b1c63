"""Which bots this worker runs: Python bots from folders, HTTP bots from the registry."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path

from botstead.bots.http import HttpBot
from botstead.bots.inject import Providers
from botstead.bots.loader import discover
from botstead.bots.manifest import Manifest, read_manifest
from botstead.bots.runner import PythonBot
from botstead.channels.registry import manifests
from botstead.core.errors import BotBroken, Conflict
from botstead.core.ports import Handler
from botstead.core.secret import Secret
from botstead.integrations.weather.client import Weather
from botstead.operate import canary
from botstead.pipeline.drafts import Drafts
from botstead.pipeline.hosted import BotResting, HostedBot
from botstead.processes import bot_host, models
from botstead.processes.foundation import Foundation, bot_folders
from botstead.processes.services import Services, lacking, telling
from botstead.runtime.egress import Dialer, RecordedEgress
from botstead.store.bot_secrets import KeptSecrets
from botstead.store.canary import ensure_bot as ensure_canary
from botstead.store.ledger import BotPromise, LedgerRows
from botstead.store.llm_usage import UsageRows
from botstead.telemetry.catalog import METRICS
from botstead.telemetry.logs import event

PYTHON = "python"
HTTP = "http"

_RAISED = re.compile(r"(line \d+: \w+): .*", re.DOTALL)
"""What the code of a bot raised, at the end of a problem. The log tells its kind alone; its words stand with the bot."""

logger = logging.getLogger(__name__)


class Bots:
    """Loads bots and makes them known. A bot that cannot run is named with file and line; the others run on."""

    def __init__(self, foundation: Foundation) -> None:
        """Start with none.

        Args:
            foundation: what it stands on.
        """
        self._foundation = foundation
        settings = foundation.settings
        self._environment = bot_host.environment(settings)
        self._egress = RecordedEgress(foundation.egress)
        outside = foundation.outside
        weather = Weather(outside, base=settings.weather_base, geocoding_base=settings.weather_geocoding_base)
        self._providers: Providers = {Weather: lambda _incoming: weather}
        self._secrets = KeptSecrets(foundation.secrets)
        self._meter = UsageRows(foundation.postgres)
        self._llm_key = models.read_key(settings.llm_key_file)
        language = models.LanguageModels(
            settings, outside, meter=self._meter, secrets=self._secrets, shared=lambda _bot: self._llm_key
        )
        self._services = Services(
            outside=outside, dialer=Dialer(allow=settings.egress_allow), secrets=self._secrets, models=language
        )
        streaming = [kind for kind, manifest in manifests().items() if manifest.streams]
        self._drafts = Drafts(foundation.wake, streaming)
        self._needing: dict[str, tuple[str, ...]] = {}
        self._lacking: dict[str, str | None] = {}
        self.handlers: dict[int, Handler] = {}
        self.quarantine: dict[int, HostedBot] = {}
        self._remote: dict[int, tuple[object, ...]] = {}
        self._promises = LedgerRows(foundation.postgres)

    async def load(self) -> None:
        """Load every folder and every HTTP bot, and make the Python ones known to everybody."""
        await self._secrets.refresh()
        for folder in discover(bot_folders(self._foundation.settings)):
            await self._load(folder)
        if self._foundation.settings.canary:
            await self._load_canary()
        await self.refresh_remote()
        await self._foundation.directory.refresh()
        for account in self._foundation.directory.accounts():
            METRICS.register("bot", account.bot_name)
        self._foundation.wake.publish("directory")

    async def _load(self, folder: Path) -> None:
        name = folder.name
        try:
            manifest = read_manifest(folder)
            name = manifest.name or name
            handler = self._handler(folder, manifest, name)
            name = handler.name
            if isinstance(handler, HostedBot):
                await handler.start()
            number = await self._known(name, self._lack(name, manifest.secrets))
            await self._promises.promise(number, _promise(handler, manifest))
        except (BotBroken, BotResting, Conflict) as error:
            event(logger, "bot_broken", level=logging.ERROR, bot=name, problem=_RAISED.sub(r"\1 …", error.message))
            await self._broken(name, error.message)
            return
        self.handlers[number] = handler
        if isinstance(handler, PythonBot | HostedBot):
            handler.drafts = self._drafts
        if not isinstance(handler, HttpBot):
            self.quarantine[number] = HostedBot.for_quarantine(
                folder,
                handler.limits,
                name=name,
                environment=self._environment,
                told=self._telling(name, manifest),
                lending=models.lending(manifest, self._foundation.settings, self._meter),
            )
        event(logger, "bot_loaded", bot=name, folder=folder.name)

    async def _load_canary(self) -> None:
        """Load our own bot; an operator's bot of its name keeps it."""
        number = await ensure_canary(self._foundation.postgres, canary.NAME)
        if number is None:
            event(logger, "canary_name_taken", level=logging.WARNING, bot=canary.NAME)
            return
        self.handlers[number] = PythonBot.load(canary.BOT, providers={}, outside=self._foundation.outside)
        METRICS.register("bot", canary.NAME)

    def _handler(self, folder: Path, manifest: Manifest, name: str) -> Handler:
        if manifest.kind == HTTP:
            return HttpBot(name, url=manifest.url, secret=Secret(manifest.secret), egress=self._egress, limits=manifest.limits)
        if manifest.limits.own_process:
            return HostedBot(
                name,
                folder,
                limits=manifest.limits,
                environment=self._environment,
                told=self._telling(name, manifest),
                lending=models.lending(manifest, self._foundation.settings, self._meter),
            )
        return PythonBot.load(
            folder, providers={**self._providers, **self._services.of(manifest)}, outside=self._foundation.outside
        )

    def _telling(self, name: str, manifest: Manifest) -> Callable[[], bytes]:
        shared = models.shared_for(manifest, self._llm_key)
        return lambda: telling((*manifest.secrets, *shared), {**self._secrets.of(name), **shared})

    def _lack(self, name: str, needed: tuple[str, ...]) -> str | None:
        self._needing[name] = needed
        self._lacking[name] = lacking(name, needed, self._secrets.of(name))
        return self._lacking[name]

    async def refresh_secrets(self) -> None:
        """Read the secrets of bots again, and note which bots still lack one.

        Raises:
            Unavailable: the database is away; those known stay.
        """
        await self._secrets.refresh()
        for name, needed in self._needing.items():
            before = self._lacking[name]
            if self._lack(name, needed) != before:
                await self._foundation.registry.set_problem(name, self._lacking[name])

    async def _known(self, name: str, problem: str | None) -> int:
        registry = self._foundation.registry
        number = await registry.ensure_bot(name, PYTHON)
        await registry.set_problem(name, problem)
        await registry.ensure_webchat(name)
        return number

    async def _broken(self, name: str, problem: str) -> None:
        try:
            await self._known(name, problem)
        except Conflict as error:
            event(logger, "bot_not_recorded", level=logging.ERROR, bot=name, problem=error.message)

    async def refresh_remote(self) -> None:
        """Take up HTTP bots that were added, changed or removed.

        Raises:
            Unavailable: the database is away; those known stay.
        """
        found = {bot.id: bot for bot in await self._foundation.registry.http_bots()}
        for number in set(self._remote) - set(found):
            del self._remote[number], self.handlers[number]
        for number, bot in found.items():
            secret = bot.secrets.get("secret")
            mark = (bot.settings.get("url"), secret.reveal() if secret else None)
            if self._remote.get(number) == mark or secret is None:
                continue
            try:
                self.handlers[number] = HttpBot(bot.name, url=str(bot.settings["url"]), secret=secret, egress=self._egress)
            except BotBroken as error:
                await self._foundation.registry.set_problem(bot.name, error.message)
                continue
            self._remote[number] = mark
            await self._foundation.registry.ensure_webchat(bot.name)
            METRICS.register("bot", bot.name)

    async def stop(self) -> None:
        """End processes and threads of bots."""
        for handler in (*self.handlers.values(), *self.quarantine.values()):
            if isinstance(handler, HostedBot):
                await handler.stop()
            elif isinstance(handler, PythonBot):
                handler.close()


def _promise(handler: Handler, manifest: Manifest) -> BotPromise:
    return BotPromise(seconds=handler.limits.promise, target=manifest.target, critical=manifest.critical)
