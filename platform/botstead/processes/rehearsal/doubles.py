"""All doubles of one test, and what a handler gets of them: what its `bot.toml` declares, as in production."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Final, cast, get_type_hints

import msgspec

from botstead.bots.bot import Bot
from botstead.bots.http_client import Http
from botstead.bots.inject import Make, Named, Providers
from botstead.bots.manifest import Manifest
from botstead.bots.testing import KitClock
from botstead.core.declared import LlmDeclared, MailDeclared, RestDeclared, SlackDeclared
from botstead.core.secret import Secret
from botstead.integrations.llm.client import LanguageModel
from botstead.integrations.mail.client import Mail, MailOffice
from botstead.integrations.rest.client import Rest
from botstead.integrations.weather.client import Weather
from botstead.processes.models import LanguageModels
from botstead.processes.rehearsal.http import HttpDouble, RestDouble
from botstead.processes.rehearsal.llm import KitMeter, LlmDouble
from botstead.processes.rehearsal.mail import MailDouble
from botstead.processes.rehearsal.outside import KitOutside, ServiceDouble
from botstead.processes.rehearsal.slack import SlackDouble
from botstead.processes.rehearsal.weather import WeatherDouble
from botstead.processes.services import Services
from botstead.runtime.egress import Dialer
from botstead.runtime.outside import Outside

_SECRET: Final = "secret"  # noqa: S105  a name
_VALUE: Final = "xoxb-test"
_REST: Final = "rest-"
OPEN: Final = Manifest(
    egress=("*",),
    mail=MailDeclared(url="smtps://mail.example", sender="bot@example.org"),
    slack=SlackDeclared(secret=_SECRET),
    llm=LlmDeclared(base="https://llm.example/v1", model="double"),
)
"""What a `Bot` without a folder may use: everything."""


class KitSecrets:
    """Every bot has every secret that its `bot.toml` names. Implements `core.ports.BotSecrets`."""

    def __init__(self, names: tuple[str, ...]) -> None:
        """Make them up.

        Args:
            names: from the manifest.
        """
        self._kept = {name: Secret(_VALUE) for name in names}

    def of(self, bot: str) -> Mapping[str, Secret]:
        """Return them.

        Args:
            bot: any.
        """
        del bot
        return self._kept


class Doubles:
    """One of each kind. They outlive restarts of the bot."""

    def __init__(self, clock: KitClock) -> None:
        """Build them.

        Args:
            clock: the kit's time.
        """
        self._clock = clock
        self._rest: dict[str, RestDouble] = {}
        self.weather = WeatherDouble(clock)
        self.http = HttpDouble(clock)
        self.mail = MailDouble(clock)
        self.slack = SlackDouble(clock)
        self.llm = LlmDouble(clock)
        self.outside = cast("Outside", KitOutside(self._service))

    def rest(self, name: str) -> RestDouble:
        """Return the double of `[rest.NAME]`.

        Args:
            name: NAME.
        """
        if name not in self._rest:
            self._rest[name] = RestDouble(self._clock, name)
        return self._rest[name]

    def providers(self, manifest: Manifest) -> Providers:
        """Return what handlers can ask for by type. What is not declared is refused with the line to add.

        Args:
            manifest: of the bot.
        """
        secrets, dialer = KitSecrets(manifest.secrets), Dialer(allow=())
        services = Services(outside=self.outside, dialer=dialer, secrets=secrets, models=_models(self.llm))
        found: dict[type, Make | Named] = {**services.of(manifest), Weather: lambda _incoming: self.weather}
        http = Http(self.outside, manifest.egress)
        found[Http] = lambda _incoming: http
        for name, declared in manifest.rest.items():
            self.rest(name).base, self.rest(name).token_url = declared.base, declared.token_url
        office = found[Mail]
        if isinstance(office, MailOffice):
            office.server = self.mail
        return found

    def _service(self, name: str) -> ServiceDouble:
        if name.startswith(_REST):
            return self.rest(name.removeprefix(_REST))
        return self.slack if name == "slack" else self.http


def open_to(bot: Bot) -> Manifest:
    """Declare whatever the handlers of a bot without a folder ask for.

    Args:
        bot: the author's object.
    """
    names = {name for route in bot.routes for name in _asking_for(Rest, route.function)}
    return msgspec.structs.replace(OPEN, rest={name: RestDeclared(name=name, base=f"https://{name}.example") for name in names})


def _asking_for(kind: type, function: Any) -> list[str]:
    try:
        hints = get_type_hints(function)
    except (NameError, TypeError, AttributeError):
        return []  # the wiring says it, with file and line
    return [name for name in inspect.signature(function).parameters if hints.get(name) is kind]


class _Models:
    def __init__(self, server: LlmDouble) -> None:
        self._server = server

    def of(self, manifest: Manifest) -> LanguageModel | Named:
        if manifest.llm is None:
            return Named({}, lambda _name: "Add to bot.toml: [llm].")
        named = msgspec.structs.replace(manifest.llm, model=manifest.llm.model or "double")
        return LanguageModel(named, server=self._server, meter=KitMeter())


def _models(server: LlmDouble) -> LanguageModels:
    return cast("LanguageModels", _Models(server))
