"""How an installation says it is, and how it is made known to Telegram."""

from __future__ import annotations

import json

import pytest

from botstead.channels.telegram import KIND
from tests.doubles.telegram import Fault
from tests.integration.telegram.stories import HOOK_SECRET, TOKEN, told

HOOK = "https://bots.example.org/hooks/pub"


def test_a_webhook_is_installed_with_secret_and_kinds():
    async def story(stage):
        stage.bot.message("waiting since before")
        stage.bot.webhook.push = lambda update: None  # nobody listens at this address
        for _ in range(2):
            health = await KIND.install(stage.account(), stage.egress, HOOK)
            assert (health.status, health.facts) == ("ok", {"mode": "webhook"})
        method, fields = stage.bot.requests[-1]
        assert (method, fields["url"], fields["secret_token"]) == ("setWebhook", HOOK, HOOK_SECRET)
        assert {"chat_member", "message_reaction", "callback_query"} <= set(fields["allowed_updates"])
        assert "drop_pending_updates" not in fields
        assert len(stage.bot.pending) == 1
        health = await KIND.health(stage.account(), stage.egress)
        assert (health.status, health.facts["hook"], health.facts["username"]) == ("ok", "ours", "double_bot")

    told(story)


@pytest.mark.parametrize(("mode", "hook_url"), [("webhook", ""), ("poll", HOOK)])
def test_without_an_address_updates_are_fetched(mode, hook_url):
    async def story(stage):
        stage.bot.message("kept")
        health = await KIND.install(stage.account(mode=mode), stage.egress, hook_url)
        assert (health.status, health.facts) == ("ok", {"mode": "poll"})
        assert stage.bot.requests[-1] == ("deleteWebhook", {"drop_pending_updates": False})
        assert len(stage.bot.pending) == 1

    told(story)


@pytest.mark.parametrize(
    ("mode", "url", "error", "status", "words"),
    [
        ("webhook", HOOK, "", "ok", "delivers to this"),
        ("webhook", HOOK, "Connection refused", "degraded", "1 updates wait: Connection refused"),
        ("webhook", "https://other.example.org/x", "", "failing", "other.example.org"),
        ("webhook", "", "", "degraded", "BOTSTEAD_PUBLIC_URL"),
        ("poll", "", "", "ok", "long polling"),
        ("poll", HOOK, "", "degraded", "Install again"),
    ],
)
def test_what_telegram_knows_becomes_a_sentence(mode, url, error, status, words):
    async def story(stage):
        if error:
            stage.bot.message("waits")
            stage.bot.webhook.last_error_message = error
        stage.bot.webhook.url = url
        health = await KIND.health(stage.account(mode=mode), stage.egress)
        assert (health.status, words in health.detail) == (status, True), health
        assert health.facts["pending_update_count"] == len(stage.bot.pending)
        assert TOKEN not in json.dumps(health.facts) + health.detail

    told(story)


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        (Fault(method="getMe", status=401, description="Unauthorized"), "failing", "BotFather"),
        (Fault(method="getMe", status=502, description="Bad Gateway"), "degraded", "Bad Gateway"),
        (Fault(method="getWebhookInfo", status=429, retry_after=1, description="Too Many Requests"), "degraded", "Too Many"),
        (Fault(method="getMe", kind="foreign", status=503), "degraded", "api_base"),
        (Fault(method="getWebhookInfo", kind="close"), "unknown", "could not be asked"),
    ],
)
def test_when_telegram_does_not_say(fault, status, words):
    async def story(stage):
        stage.bot.fault(fault)
        health = await KIND.health(stage.account(), stage.egress)
        assert (health.status, words in health.detail) == (status, True), health

    told(story)


def test_an_installation_that_telegram_refuses():
    async def story(stage):
        stage.bot.fault(Fault(method="setWebhook", status=400, description="Bad Request: bad webhook: IP address is reserved"))
        health = await KIND.install(stage.account(), stage.egress, HOOK)
        assert (health.status, "IP address is reserved" in health.detail) == ("failing", True)

    told(story)
