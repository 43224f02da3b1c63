"""The web chat as a channel among others."""

from __future__ import annotations

import asyncio
import tomllib
from importlib import resources

import msgspec
import pytest

from botstead.channels.webchat import KIND
from botstead.core.errors import Invalid, Rejected, Unreadable
from botstead.core.messages import Delivery, Outcome, Send
from botstead.core.ports import Account, ChannelKind, Sending

ACCOUNT = Account(id=1, public_id="p", kind="webchat", bot=1, bot_name="echo")


def test_it_keeps_the_port():
    kind: ChannelKind = KIND
    assert kind.kind == "webchat"
    for name in ("manifest.toml", "quality.toml"):
        assert tomllib.loads(resources.files("botstead.channels.webchat").joinpath(name).read_text())


def test_hooks_are_refused():
    with pytest.raises(Rejected):
        KIND.verify(Delivery(b"{}"), ACCOUNT, 0.0)
    with pytest.raises(Unreadable):
        KIND.parse(Delivery(b"{}"), ACCOUNT)


def test_sent_means_readable():
    receipt = asyncio.run(KIND.deliver(Sending(id=9, conversation="v", action=Send("x")), ACCOUNT, None))
    assert (receipt.outcome, receipt.external_id) == (Outcome.SENT, "9")


def test_health_and_install_say_where_it_is():
    for answer in (KIND.health(ACCOUNT, None), KIND.install(ACCOUNT, None, "")):
        health = asyncio.run(answer)
        assert (health.status, health.detail) == ("ok", "Served at /chat/echo.")
    off = asyncio.run(KIND.health(msgspec.structs.replace(ACCOUNT, enabled=False), None))
    assert off.status == "degraded"


def test_good_settings_are_kept():
    settings = {"title": "Shop", "about": "Sells.", "suggestions": ["help"]}
    assert KIND.prepare(settings, {}).settings == settings
    assert KIND.prepare({}, {}).secrets == {}


@pytest.mark.parametrize(
    ("settings", "secrets"),
    [
        ({"titel": "x"}, {}),
        ({"title": ""}, {}),
        ({"title": 5}, {}),
        ({"title": "x" * 65}, {}),
        ({"suggestions": "help"}, {}),
        ({"suggestions": ["x"] * 7}, {}),
        ({"suggestions": [""]}, {}),
        ({}, {"token": "x"}),
    ],
)
def test_wrong_settings_are_named(settings, secrets):
    with pytest.raises(Invalid):
        KIND.prepare(settings, secrets)
