"""What an operator may give for a webhook channel, and what is made for them."""

from __future__ import annotations

import asyncio
import base64

import pytest
from standardwebhooks.webhooks import Webhook as Official

from botstead.channels.webhook import KIND
from botstead.core.errors import Invalid
from botstead.core.ports import Account
from botstead.core.secret import Secret

KEY = "whsec_" + base64.b64encode(b"k" * 32).decode()
PUBLIC = "whpk_" + base64.b64encode(b"p" * 32).decode()


def test_a_hook_secret_is_made_and_shown_once():
    first, second = KIND.prepare({}, {}), KIND.prepare({}, {})
    assert first.secrets == first.shown_once
    assert first.settings == {}
    assert first.secrets != second.secrets
    Official(first.secrets["hook_secret"])
    assert len(base64.b64decode(first.secrets["hook_secret"].removeprefix("whsec_"))) == 32


def test_a_given_secret_is_kept_and_not_shown():
    prepared = KIND.prepare({"url": "https://example.org/x"}, {"hook_secret": KEY})
    assert prepared.secrets == {"hook_secret": KEY}
    assert prepared.shown_once == {}
    assert prepared.settings == {"url": "https://example.org/x"}


def test_a_public_key_checks_but_another_secret_signs():
    prepared = KIND.prepare({"url": "https://example.org/x"}, {"hook_secret": PUBLIC})
    assert set(prepared.shown_once) == {"send_secret"}
    assert KIND.prepare({}, {"hook_secret": PUBLIC}).shown_once == {}


@pytest.mark.parametrize("url", ["", None, "http://127.0.0.1:9300/hook", "https://example.org", "HTTPS://EXAMPLE.ORG/x?y=1"])
def test_addresses_that_are_taken(url):
    KIND.prepare({"url": url}, {})


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org",
        "example.org",
        "https://",
        "https://u:p@example.org",
        "https://example.org:99999",
        "https://[::1",
        7,
        "https://example.org/" + "x" * 2000,
        "file:///etc/passwd",
    ],
)
def test_addresses_that_are_not(url):
    with pytest.raises(Invalid, match="url"):
        KIND.prepare({"url": url}, {})


@pytest.mark.parametrize(
    ("settings", "secrets", "message"),
    [
        ({"ulr": "https://example.org"}, {}, "Did you mean url"),
        ({}, {"hook_secrets": KEY}, "Did you mean hook_secret"),
        ({}, {"token": "x"}, "no secret token"),
        ({}, {"hook_secret": "short"}, "hook_secret"),
        ({}, {"hook_secret": "whsec_!!"}, "hook_secret"),
        ({}, {"hook_secret": "whpk_AAAA"}, "32 bytes"),
        ({}, {"hook_secret": "whpk_ä"}, "32 bytes"),
        ({}, {"send_secret": PUBLIC}, "cannot sign"),
    ],
)
def test_mistakes_are_named(settings, secrets, message):
    with pytest.raises(Invalid, match=message) as caught:
        KIND.prepare(settings, secrets)
    for value in secrets.values():
        assert value not in caught.value.message or value == "x"


def health(settings=None, secrets=None, *, enabled=True):
    secrets = {"hook_secret": Secret(KEY)} if secrets is None else secrets
    account = Account(
        id=1, public_id="p", kind="webhook", bot=1, bot_name="b", settings=settings or {}, secrets=secrets, enabled=enabled
    )
    return asyncio.run(KIND.install(account, None, "https://bots.example.org/hooks/p"))


def test_health_says_the_next_step():
    assert health().status == "ok"
    assert health().facts == {"hook_url": "https://bots.example.org/hooks/p"}
    assert "kept for the API" in health().detail
    assert "sent to the url" in health({"url": "https://example.org"}).detail
    assert health(secrets={}).status == "failing"
    assert health(enabled=False).status == "degraded"
