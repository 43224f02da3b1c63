"""Posts over the real way out, to a double that the official SDK posts to as well."""

from __future__ import annotations

import asyncio
import time

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from botstead.core.declared import SlackDeclared
from botstead.core.errors import EgressError, EgressTimeout, SecretMissing
from botstead.core.messages import Event, Kind
from botstead.core.ports import Incoming
from botstead.core.secret import Secret
from botstead.integrations.slack.client import Slack, SlackDesk
from botstead.integrations.slack.errors import (
    SlackChannelUnknown,
    SlackInvalid,
    SlackKeyRefused,
    SlackThrottled,
    SlackUnavailable,
)
from botstead.runtime.egress import EgressClient
from botstead.runtime.outside import Outside
from botstead.store.valkey import MemoryCache
from tests.doubles.slack import PATH, TOKEN, SlackDouble, slack


class Given:
    """Secrets as a test wants them."""

    def __init__(self, **values: str) -> None:
        self.values = {name: Secret(value) for name, value in values.items()}

    def of(self, _bot: str) -> dict[str, Secret]:
        return self.values


class Watched:
    """The real way out; keeps the calls as code above the transport sees them."""

    def __init__(self) -> None:
        self.egress = EgressClient(allow=["127.0.0.1"])
        self.calls: list[str] = []

    async def call(self, call, secrets=None):
        self.calls.append(repr(call) + repr(secrets))
        return await self.egress.call(call, secrets or {})


class Setting:
    """A double and what posts to it."""

    def __init__(self, double: SlackDouble, watched: Watched) -> None:
        self.double = double
        self.watched = watched
        self.outside = Outside(watched, MemoryCache())

    def slack(self, *, secret: str | None = TOKEN, timeout: float = 5.0) -> Slack:
        """What a run posts with."""
        given = Given() if secret is None else Given(slack=secret)
        declared = SlackDeclared(secret="slack", base=self.double.base, timeout=timeout)
        event = Event(kind=Kind.MESSAGE, conversation="a", key="k", text="x")
        incoming = Incoming(id=7, bot="shop", channel="t", account=1, conversation="1.a", event=event)
        return SlackDesk(declared, secrets=given, outside=self.outside)(incoming)


def told(story) -> None:
    """Run a story."""

    async def main() -> None:
        watched = Watched()
        try:
            async with slack() as double:
                await story(Setting(double, watched))
        finally:
            await watched.egress.close()

    asyncio.run(main())


def test_a_post_tells_where_it_stands_and_a_thread_answers_to_it():
    async def story(setting):
        first = await setting.slack().post("#orders", "*New order*")
        assert (first.channel, first.ts) == ("C0ORDERS", "1503435956.000001")
        await setting.slack().post(first.channel, "Paid.", thread=first.ts)
        assert setting.double.posts == [
            {"channel": "#orders", "text": "*New order*"},
            {"channel": "C0ORDERS", "text": "Paid.", "thread_ts": first.ts},
        ]

    told(story)


def test_the_official_sdk_and_we_post_the_same():
    async def story(setting):
        client = AsyncWebClient(token=TOKEN, base_url=setting.double.base + "/")
        theirs = await client.chat_postMessage(channel="#orders", text="Hello")
        ours = await setting.slack().post("#orders", "Hello")
        assert (ours.channel, len(ours.ts)) == (theirs["channel"], len(theirs["ts"]))
        hook = await AsyncWebhookClient(setting.double.hook).send(text="Hello")
        assert (hook.status_code, hook.body) == (200, "ok")
        await setting.slack(secret=setting.double.hook).post("", "Hello")
        token, by_us, webhook, by_us_too = setting.double.posts
        assert (token, webhook) == (by_us, by_us_too)
        with pytest.raises(SlackApiError, match="channel_not_found"):
            await client.chat_postMessage(channel="#nowhere", text="Hello")

    told(story)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, {"ok": False, "error": "channel_not_found"}, SlackChannelUnknown),
        (200, {"ok": False, "error": "not_in_channel"}, SlackChannelUnknown),
        (200, {"ok": False, "error": "invalid_auth"}, SlackKeyRefused),
        (200, {"ok": False, "error": "token_revoked"}, SlackKeyRefused),
        (200, {"ok": False, "error": "msg_too_long"}, SlackInvalid),
        (500, "oops", SlackUnavailable),
        (403, "invalid_token", SlackKeyRefused),
        (404, "no_service", SlackChannelUnknown),
    ],
)
def test_each_error_of_slack_is_a_kind_of_ours(status, body, kind):
    async def story(setting):
        setting.double.answer(status, body)
        with pytest.raises(kind) as refused:
            await setting.slack().post("#orders", "Hello")
        assert type(refused.value) is kind
        assert setting.double.asked == 1, "whoever repeats a post that may have arrived posts twice"

    told(story)


def test_retry_after_is_obeyed_and_the_post_goes_out_once():
    async def story(setting):
        setting.double.answer(429, {"ok": False, "error": "ratelimited"}, retry_after="1")
        began = time.monotonic()
        await setting.slack().post("#orders", "Hello")
        assert time.monotonic() - began >= 1.0
        assert len(setting.double.posts) == 1

    told(story)


def test_a_wait_beyond_the_deadline_is_told_instead():
    async def story(setting):
        setting.double.answer(429, {"ok": False, "error": "ratelimited"}, retry_after="30")
        began = time.monotonic()
        with pytest.raises(SlackThrottled) as throttled:
            await setting.slack().post("#orders", "Hello")
        assert throttled.value.after == 30.0
        assert time.monotonic() - began < 2

    told(story)


def test_a_silent_slack_costs_no_more_than_the_deadline():
    async def story(setting):
        setting.double.silent = True
        began = time.monotonic()
        with pytest.raises(EgressTimeout):
            await setting.slack(timeout=0.3).post("#orders", "Hello")
        assert time.monotonic() - began < 1.5
        assert setting.double.asked == 1, "it may have arrived, so it is not repeated"

    told(story)


def test_neither_errors_nor_calls_hold_the_secret():
    async def story(setting):
        for secret in (TOKEN, setting.double.hook):
            for answer in ((200, {"ok": False, "error": "invalid_auth"}), (200, {"ok": False, "error": secret})):
                setting.double.answer(*answer)
                with pytest.raises(EgressError) as refused:
                    await setting.slack(secret=secret).post("#orders", "Hello")
                assert "canary" not in refused.value.message
        assert setting.double.paths[-1] == PATH, "every segment arrives as it is"
        assert len(setting.watched.calls) == 4
        assert "canary" not in "".join(setting.watched.calls)
        with pytest.raises(SlackKeyRefused) as nonsense:
            await setting.slack(secret="canary").post("#orders", "Hello")
        assert "canary" not in nonsense.value.message

    told(story)


def test_a_missing_secret_is_told_with_the_command_that_sets_it():
    async def story(setting):
        with pytest.raises(SecretMissing, match="botstead bots secrets set shop slack --file"):
            await setting.slack(secret=None).post("#orders", "Hello")
        with pytest.raises(SlackInvalid, match="a channel that is named"):
            await setting.slack().post("", "Hello")
        assert setting.double.asked == 0

    told(story)
