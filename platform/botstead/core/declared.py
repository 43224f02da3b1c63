"""Outside services that a bot declares in `bot.toml`: read by `bots`, used by `integrations`, which never import each other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

from botstead.core.errors import SecretMissing
from botstead.core.secret import Secret

MAIL_ADDRESS: Final = re.compile(r"(?!\.)[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,8}")
"""Mail addresses without quotes, comments and display name (RFC 5321, 4.1.2); names in other scripts as `xn--…`."""


class Auth(StrEnum):
    """How a REST service knows who asks."""

    NONE = "none"
    BEARER = "bearer"
    """`Authorization: Bearer`, RFC 6750."""
    BASIC = "basic"
    """`Authorization: Basic`, RFC 7617: `user` and the secret as password."""
    HEADER = "header"
    """The secret in a header of the service's own."""
    QUERY = "query"
    """The secret in the query."""
    OAUTH2 = "oauth2"
    """A token by client credentials, RFC 6749 section 4.4."""
    HMAC = "hmac"
    """A header with the HMAC of the raw body."""


class RestDeclared(msgspec.Struct, frozen=True, kw_only=True):
    """`[rest.NAME]`: a service with a REST API.

    Args:
        name: NAME, by which handlers ask for it.
        base: `https://host/path` that every path is below.
        auth: how it knows who asks.
        secret: the name of the bot's secret: token, password, key or client secret.
        user: with basic.
        header: with header and hmac: the header's name.
        prefix: with header and hmac: what stands before the value, such as `sha256=`.
        parameter: with query: the parameter's name.
        algorithm: with hmac: sha256, sha512 or sha1.
        encoding: with hmac: hex or base64.
        token_url: with oauth2.
        client_id: with oauth2.
        scope: with oauth2; may be empty.
        timeout: seconds that a call may take, all tries together.
        tries: at most, in all, of a call that may be repeated.
        cache: seconds that an answer to a GET is fresh; 0 keeps none.
        stale: seconds beyond `cache` that it may be given while a new one is fetched, or while the service is away.
        idempotency_header: the header for a key that makes a POST safe to repeat; empty when the service knows none.
    """

    name: str
    base: str
    auth: Auth = Auth.NONE
    secret: str = ""
    user: str = ""
    header: str = ""
    prefix: str = ""
    parameter: str = ""
    algorithm: str = "sha256"
    encoding: str = "hex"
    token_url: str = ""
    client_id: str = ""
    scope: str = ""
    timeout: float = 10.0
    tries: int = 3
    cache: float = 0.0
    stale: float = 0.0
    idempotency_header: str = ""


class MailDeclared(msgspec.Struct, frozen=True, kw_only=True):
    """`[mail]`: the server that sends the bot's mail.

    Args:
        url: `smtps://host:465`, or `smtp://host:587`, where STARTTLS follows.
        sender: `from` in the file: `shop@example.org` or `Shop <shop@example.org>`.
        user: who logs in; by default the address of `sender`.
        secret: the name of the bot's secret with the password; empty for a server that wants none.
        starttls: false for a relay on the same machine that has no TLS; never together with a password.
        timeout: seconds that a mail may take, all tries together.
        tries: at most, in all.
    """

    url: str
    sender: str
    user: str = ""
    secret: str = ""
    starttls: bool = True
    timeout: float = 30.0
    tries: int = 3


class SlackDeclared(msgspec.Struct, frozen=True, kw_only=True):
    """`[slack]`: where `Slack` posts.

    Args:
        secret: the name of the bot's secret: a token `xoxb-…`, or the URL of an incoming webhook.
        base: of the Web API, for another server than Slack's.
        timeout: seconds that a post may take, all tries together.
    """

    secret: str
    base: str = "https://slack.com/api"
    timeout: float = 10.0


class LlmDeclared(msgspec.Struct, frozen=True, kw_only=True):
    """`[llm]`: the language model that `Llm` asks, and how much of it a day may bring.

    Money is counted in billionths of the currency, so that the price of one token is exact.

    Args:
        base: `https://host/v1`, below which `/chat/completions` is; empty: the appliance's own, setting `llm_base`.
        model: its name at the server; empty: setting `llm_model`.
        secret: the name of the bot's secret with the key. Empty: with the appliance's base its `llm_key`, with another none.
        budget: money a day, in billionths; 0: tokens are counted instead.
        tokens: a day, asked and answered together, where there is no `budget`.
        currency: what prices and budget are in; a word for people, nothing is converted.
        price_in: of a million tokens that are asked, in billionths.
        price_out: of a million tokens that are answered, in billionths.
        share: percent of the day's budget that one message may use up.
        max_tokens: of one answer.
    """

    base: str = ""
    model: str = ""
    secret: str = ""
    budget: int = 0
    tokens: int = 200_000
    currency: str = "USD"
    price_in: int = 0
    price_out: int = 0
    share: float = 10.0
    max_tokens: int = 1_024

    @property
    def day(self) -> int:
        """What a day may bring: billionths of money, or tokens."""
        return self.budget or self.tokens

    @property
    def of_message(self) -> int:
        """What one message may use up, in the unit of `day`."""
        return max(1, int(self.day * self.share / 100))

    def cost(self, asked: int, answered: int) -> int:
        """Return what tokens cost, in billionths, rounded up.

        Args:
            asked: tokens in.
            answered: tokens out.
        """
        return -(-(asked * self.price_in + answered * self.price_out) // 1_000_000)

    def amount(self, asked: int, answered: int) -> int:
        """Return what tokens take of the day, in the unit of `day`.

        Args:
            asked: tokens in.
            answered: tokens out.
        """
        return self.cost(asked, answered) if self.budget else asked + answered


def needed(secrets: Mapping[str, Secret], name: str, *, bot: str) -> Secret:
    """Return a bot's secret.

    Args:
        secrets: what `BotSecrets.of` gave.
        name: from a declaration.
        bot: the bot's name.

    Raises:
        SecretMissing: it is not set; the message names the command that sets it.
    """
    if name not in secrets:
        raise SecretMissing(missing(bot, name))
    return secrets[name]


def missing(bot: str, name: str) -> str:
    """Say which secret a bot lacks, and how it gets it.

    Args:
        bot: the bot's name.
        name: of the secret.
    """
    return f"lacks the secret {name}. Set it: botstead bots secrets set {bot} {name} --file FILE"
