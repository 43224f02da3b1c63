"""`Slack`: what handlers post with, by a bot token or an incoming webhook."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Final

from botstead.core.declared import SlackDeclared, needed
from botstead.core.messages import Call
from botstead.core.ports import BotSecrets, Incoming
from botstead.core.secret import Secret
from botstead.integrations.slack import models
from botstead.integrations.slack.errors import SlackInvalid, SlackKeyRefused, SlackThrottled
from botstead.integrations.slack.models import Posted
from botstead.runtime.outside import Outside, Policy
from botstead.runtime.retry_after import retry_after

POLICY: Final = Policy(tries=3, longest_try=5.0, places=8)
TRIES: Final = 3
_JSON: Final = "application/json; charset=utf-8"
_ANSWER_LIMIT: Final = 262_144


class SlackDesk:
    """The posts of one bot; makes a `Slack` for each run."""

    def __init__(self, declared: SlackDeclared, *, secrets: BotSecrets, outside: Outside) -> None:
        """Build it; `processes/` does.

        Args:
            declared: `[slack]` of `bot.toml`.
            secrets: has the token or the webhook's URL.
            outside: calls services.
        """
        self.declared = declared
        self.secrets = secrets
        self.service = outside.service("slack", POLICY)

    def __call__(self, incoming: Incoming) -> Slack:
        """Return what one run posts with.

        Args:
            incoming: the event that the run is about.
        """
        return Slack(self, incoming.bot)


class Slack:
    """Posts into Slack as `bot.toml` declares: `slack: Slack` in a handler's parameters."""

    escaped = staticmethod(models.escaped)

    def __init__(self, desk: SlackDesk, bot: str) -> None:
        """Build it; the platform does."""
        self._desk = desk
        self._bot = bot

    async def post(self, channel: str, text: str, *, thread: str = "") -> Posted:
        """Post a text. A post that may have arrived is not repeated: Slack knows no key for it.

        Args:
            channel: an id such as C0123456789, or a name such as #orders. An incoming webhook posts into the channel that it was
                made for, whatever is named here.
            text: 1 to 40,000 characters in Slack's format; put what people wrote through `Slack.escaped`.
            thread: the `ts` of the post that this one answers to.

        Raises:
            SlackInvalid: the text is empty or too long, or Slack does not take it.
            SlackChannelUnknown: there is no such channel, or the bot is not in it.
            SlackKeyRefused: the token is not valid, or may not post.
            SlackThrottled: Slack takes no more for a while, longer than this call may wait.
            SlackUnavailable: Slack has trouble of its own.
            SecretMissing: the secret is not set; the message says how to set it.
            EgressError: no answer came; see its subclasses.
        """
        declared = self._desk.declared
        call, secrets = self._call(channel, text, thread)
        over = time.monotonic() + declared.timeout
        for number in range(1, TRIES + 1):
            left = over - time.monotonic()
            response = await self._desk.service.ask(call, secrets, seconds=left, repeatable=False)
            after = retry_after(response.headers.get("retry-after"), now=time.time())
            try:
                return models.read(response, after=after)
            except SlackThrottled:  # it was not taken, so it can be repeated
                if number == TRIES or after is None or time.monotonic() + after >= over:
                    raise
                await asyncio.sleep(after)
        raise AssertionError("unreachable")

    def _call(self, channel: str, text: str, thread: str) -> tuple[Call, Mapping[str, Secret]]:
        declared = self._desk.declared
        secret = needed(self._desk.secrets.of(self._bot), declared.secret, bot=self._bot)
        value = secret.reveal()
        headers = {"content-type": _JSON}
        if (hook := models.webhook(value)) is not None:
            hidden = {f"part{number}": Secret(part) for number, part in enumerate(hook.segments)}
            url = hook.origin + "".join(f"/{{secret:{name}}}" for name in hidden)
            content = models.body("", text, thread)
            return Call(method="POST", url=url, headers=headers, body=content, limit=_ANSWER_LIMIT), hidden
        if not value.startswith("xox"):
            raise SlackKeyRefused(f"The secret {declared.secret} is neither a token xoxb-… nor the URL of an incoming webhook.")
        if not channel:
            raise SlackInvalid("A token posts into a channel that is named.")
        headers["authorization"] = "Bearer {secret:token}"
        content = models.body(channel, text, thread)
        url = f"{declared.base}/chat.postMessage"
        return Call(method="POST", url=url, headers=headers, body=content, limit=_ANSWER_LIMIT), {"token": secret}
