"""Receivers: where an operator wants to be told, as the file `receivers.yml` in the data folder says. Pure but for the loader.

    receivers:
      - {kind: telegram, chat: -1001234567890, token_file: /run/secrets/alerts_token}
      - {kind: email, to: me@example.org, from: bots@example.org, smarthost: "mail.example.org:587",
         username: bots, password_file: /run/secrets/mail, gets: [ticket]}
      - {kind: heartbeat, url_file: /run/secrets/watchdog_url}

Secrets are files. Alertmanager reads them itself where its version can; for older ones they are written into its configuration,
which only its owner may read then. Options by version: https://prometheus.io/docs/alerting/latest/configuration/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from botstead.core.errors import ConfigurationError
from botstead.operate.objectives import document
from botstead.operate.objectives.model import Text

RECEIVERS = "receivers.yml"
"""The operator's file in the data folder."""

Version = tuple[int, int]
Gets = Annotated[tuple[Literal["page", "ticket"], ...], msgspec.Meta(min_length=1)]
Read = Callable[[str], str]
Url = Annotated[str, msgspec.Meta(pattern=r"\Ahttps?://[^\s]+\Z")]


class Message(msgspec.Struct, frozen=True):
    """What is written: templates of Alertmanager."""

    title: str
    text: str


class _Receiver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What all receivers have.

    Args:
        gets: the severities that it is told of.
    """

    gets: Gets = ("page", "ticket")
    key: ClassVar[str]

    def entry(self, message: Message, secret: Secrets) -> dict[str, Any]:
        """Return its entry in Alertmanager's configuration.

        Args:
            message: what is written.
            secret: puts a secret in.
        """
        raise NotImplementedError


class Secrets:
    """Puts secrets into entries: as a file where this version of Alertmanager reads one, as text where it does not."""

    _SINCE: ClassVar[Mapping[str, Version]] = {"bot_token": (0, 26), "url": (0, 26), "webhook_url": (0, 28)}

    def __init__(self, version: Version, read: Read) -> None:
        """Prepare.

        Args:
            version: of Alertmanager, such as (0, 25).
            read: reads a secret's file.
        """
        self._version = version
        self._read = read
        self.inline = False
        """Whether a secret was put in as text."""

    def __call__(self, option: str, path: str) -> dict[str, str]:
        """Return an option and its value.

        Args:
            option: its name, without `_file`.
            path: the secret's file.

        Raises:
            ConfigurationError: the file must be read, and cannot be.
        """
        if self._version >= self._SINCE.get(option, (0, 0)):
            return {f"{option}_file": path}
        try:
            value = self._read(path).strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{path}, a secret of a receiver, cannot be read: {error}.") from error
        if not value:
            raise ConfigurationError(f"{path}, a secret of a receiver, is empty.")
        self.inline = True
        return {option: value}


class Telegram(_Receiver, frozen=True, kw_only=True, tag="telegram"):
    """A chat on Telegram.

    Args:
        chat: its number; negative for a group.
        token_file: file with the bot's token.
    """

    chat: int
    token_file: Text
    key = "telegram_configs"

    def entry(self, message: Message, secret: Secrets) -> dict[str, Any]:
        """Return its entry, as plain text: what breaks Telegram's HTML would break a page."""
        text = message.title + "\n" + message.text
        return {"chat_id": self.chat, **secret("bot_token", self.token_file), "parse_mode": "", "message": text}


class Slack(_Receiver, frozen=True, kw_only=True, tag="slack"):
    """A channel on Slack.

    Args:
        url_file: file with the address of an incoming webhook.
        channel: for webhooks that may write to several.
    """

    url_file: Text
    channel: str = ""
    key = "slack_configs"

    def entry(self, message: Message, secret: Secrets) -> dict[str, Any]:
        """Return its entry."""
        channel = {"channel": self.channel} if self.channel else {}
        return {**secret("api_url", self.url_file), **channel, "title": message.title, "text": message.text}


class Discord(_Receiver, frozen=True, kw_only=True, tag="discord"):
    """A channel on Discord.

    Args:
        url_file: file with the address of a webhook.
    """

    url_file: Text
    key = "discord_configs"

    def entry(self, message: Message, secret: Secrets) -> dict[str, Any]:
        """Return its entry."""
        return {**secret("webhook_url", self.url_file), "title": message.title, "message": message.text}


class Email(_Receiver, frozen=True, kw_only=True, tag="email", rename={"sender": "from"}):
    """A mailbox.

    Args:
        to: one or more addresses, separated by commas.
        sender: `from`.
        smarthost: the mail server, host:port.
        username: where it wants one.
        password_file: file with the password, where it wants one.
    """

    to: Text
    sender: Text
    smarthost: Annotated[str, msgspec.Meta(pattern=r"\A[^\s:]+:[0-9]{1,5}\Z")]
    username: str = ""
    password_file: str = ""
    key = "email_configs"

    def entry(self, message: Message, secret: Secrets) -> dict[str, Any]:
        """Return its entry."""
        account = {"auth_username": self.username} if self.username else {}
        password = secret("auth_password", self.password_file) if self.password_file else {}
        address = {"to": self.to, "from": self.sender, "smarthost": self.smarthost}
        return {**address, **account, **password, "headers": {"Subject": message.title}, "html": "", "text": message.text}


class _Posted(_Receiver, frozen=True, kw_only=True):
    """Somebody who gets Alertmanager's own JSON.

    Args:
        url: where to POST, where that is no secret.
        url_file: file with that address.
    """

    url: Url | None = None
    url_file: str = ""
    key = "webhook_configs"

    def __post_init__(self) -> None:
        """Refuse two addresses, and none."""
        if bool(self.url) == bool(self.url_file):
            raise ValueError(f"a {self.__struct_config__.tag} has either url or url_file")

    def entry(self, message: Message, secret: Secrets) -> dict[str, Any]:  # noqa: ARG002  # JSON has no text of ours
        """Return its entry."""
        return {"url": self.url} if self.url else secret("url", self.url_file)


class Webhook(_Posted, frozen=True, kw_only=True, tag="webhook"):
    """Any program that takes Alertmanager's JSON.

    Args:
        token_file: file with a token that is sent as `Authorization: Bearer`.
    """

    token_file: str = ""

    def entry(self, message: Message, secret: Secrets) -> dict[str, Any]:
        """Return its entry."""
        return {**super().entry(message, secret), **_bearer(self.token_file)}


class Ntfy(_Receiver, frozen=True, kw_only=True, tag="ntfy"):
    """A topic on ntfy 2.14 or newer, which makes a text of Alertmanager's JSON.

    See https://docs.ntfy.sh/publish/#message-templating.

    Args:
        url: the topic's address, such as https://ntfy.sh/our-alerts-4f7c.
        token_file: file with an access token.
    """

    url: Url
    token_file: str = ""
    key = "webhook_configs"

    def entry(self, message: Message, secret: Secrets) -> dict[str, Any]:  # noqa: ARG002  # ntfy has templates of its own
        """Return its entry."""
        return {"url": f"{self.url}?template=alertmanager", **_bearer(self.token_file)}


class Heartbeat(_Posted, frozen=True, kw_only=True, tag="heartbeat"):
    """Somebody outside who says so when nothing comes any more: a service for dead man's switches, or another appliance.

    It is told once a minute.
    """


Receiver = Telegram | Slack | Discord | Email | Webhook | Ntfy | Heartbeat


class Receivers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The document `receivers.yml`."""

    receivers: tuple[Receiver, ...]


def load_receivers(path: Path) -> tuple[Receiver, ...]:
    """Read the operator's receivers; none when there is no such file.

    Args:
        path: where it is.

    Raises:
        ConfigurationError: the message names file and line.
    """
    return document.read(path, Receivers).receivers if path.exists() else ()


def placed(receivers: Iterable[Receiver], folder: Path) -> tuple[Receiver, ...]:
    """Return receivers whose files are named from the root: a name alone is a file beside `receivers.yml`.

    Args:
        receivers: as the operator wrote them.
        folder: of his file, as Alertmanager sees it.
    """
    return tuple(
        msgspec.structs.replace(each, **{name: str(folder / path) for name, path in files_of(each).items()}) for each in receivers
    )


def files_of(receiver: Receiver) -> dict[str, str]:
    """Return the files that a receiver names, by the name of the field.

    Args:
        receiver: any.
    """
    return {name: value for name, value in msgspec.structs.asdict(receiver).items() if name.endswith("_file") and value}


def _bearer(path: str) -> dict[str, Any]:
    return {"http_config": {"authorization": {"credentials_file": path}}} if path else {}
