"""What handlers can ask for of outside services: made for each bot, by what its `bot.toml` declares."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from botstead.bots.inject import Named, Providers
from botstead.bots.manifest import Manifest
from botstead.core.declared import missing
from botstead.core.ports import BotSecrets
from botstead.core.secret import Secret
from botstead.integrations.llm.client import Llm
from botstead.integrations.mail.client import Mail, MailOffice
from botstead.integrations.rest.client import Rest, RestDesk
from botstead.integrations.rest.service import RestService
from botstead.integrations.slack.client import Slack, SlackDesk
from botstead.processes.models import LanguageModels
from botstead.runtime.egress import Dialer
from botstead.runtime.outside import Outside


class Services:
    """Makes them. One object a process."""

    def __init__(self, *, outside: Outside, dialer: Dialer, secrets: BotSecrets, models: LanguageModels | None = None) -> None:
        """Prepare.

        Args:
            outside: for what is HTTP.
            dialer: for what is no HTTP.
            secrets: of the bots of this process.
            models: their language models; None: there are none here.
        """
        self._models = models
        self._outside = outside
        self._dialer = dialer
        self._secrets = secrets

    def of(self, manifest: Manifest) -> Providers:
        """Return what the handlers of one bot can ask for, by type.

        Args:
            manifest: of the bot.
        """
        models: Providers = {} if self._models is None else {Llm: self._models.of(manifest)}
        return {Rest: self._rest(manifest), Mail: self._mail(manifest), Slack: self._slack(manifest), **models}

    def _rest(self, manifest: Manifest) -> Named:
        made = {
            name: RestDesk(RestService(declared, secrets=self._secrets, outside=self._outside))
            for name, declared in manifest.rest.items()
        }
        return Named(made, lambda name: f'Add to bot.toml: [rest.{name}], base = "https://api.example.org".')

    def _slack(self, manifest: Manifest) -> SlackDesk | Named:
        if manifest.slack is None:
            return _undeclared('[slack], secret = "slack"')
        return SlackDesk(manifest.slack, secrets=self._secrets, outside=self._outside)

    def _mail(self, manifest: Manifest) -> MailOffice | Named:
        if manifest.mail is None:
            return _undeclared('[mail], url = "smtps://mail.example.org", from = "bot@example.org" and secret = "mail_password"')
        return MailOffice(manifest.mail, secrets=self._secrets, dialer=self._dialer)


def _undeclared(table: str) -> Named:
    return Named({}, lambda _name: f"Add to bot.toml: {table}.")


class ToldSecrets:
    """The secrets of the one bot of this process, as its worker told them (implements `core.ports.BotSecrets`)."""

    def __init__(self) -> None:
        """Start with none."""
        self._kept: Mapping[str, Secret] = {}

    def of(self, bot: str) -> Mapping[str, Secret]:
        """Return them; there is only one bot."""
        del bot
        return self._kept

    def take(self, told: bytes) -> None:
        """Take what the worker told.

        Args:
            told: from `telling`.
        """
        values = msgspec.json.decode(told, type=dict[str, str])
        self._kept = {name: Secret(value) for name, value in values.items()}


def telling(names: tuple[str, ...], secrets: Mapping[str, Secret]) -> bytes:
    """Write what a bot's own process is told of its secrets: those that its `bot.toml` names, and no other.

    Args:
        names: from the manifest.
        secrets: all that the bot has.
    """
    if not names:
        return b""
    return msgspec.json.encode({name: secrets[name].reveal() for name in names if name in secrets})


def lacking(bot: str, names: tuple[str, ...], secrets: Mapping[str, Secret]) -> str | None:
    """Say which secrets a bot lacks and how it gets them; None when it has all.

    Args:
        bot: the bot's name.
        names: from the manifest.
        secrets: all that the bot has.
    """
    absent = [name for name in names if name not in secrets]
    return None if not absent else "It " + "; it ".join(missing(bot, name) for name in absent)
