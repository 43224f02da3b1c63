"""What an operator gives for a new channel: filled in, or refused with the next step."""

from __future__ import annotations

import re

import pytest

from botstead.channels.telegram import KIND
from botstead.core.errors import Invalid

TOKEN = "123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11"


def test_a_token_is_enough():
    prepared = KIND.prepare({}, {"token": f" {TOKEN}\n"})
    assert prepared.settings == {"mode": "webhook", "api_base": "https://api.telegram.org"}
    assert prepared.secrets["token"] == TOKEN
    assert re.fullmatch(r"[A-Za-z0-9_-]{32,256}", prepared.secrets["hook_secret"])
    assert prepared.shown_once == {"hook_secret": prepared.secrets["hook_secret"]}
    assert KIND.prepare({}, {"token": TOKEN}).secrets["hook_secret"] != prepared.secrets["hook_secret"]


def test_what_is_given_is_kept():
    prepared = KIND.prepare({"mode": "poll", "api_base": "http://127.0.0.1:8081/"}, {"token": TOKEN, "hook_secret": "mine_1"})
    assert prepared.settings == {"mode": "poll", "api_base": "http://127.0.0.1:8081"}
    assert (prepared.secrets["hook_secret"], prepared.shown_once) == ("mine_1", {})


@pytest.mark.parametrize(
    ("settings", "secrets", "words"),
    [
        ({}, {}, "BotFather"),
        ({}, {"token": ""}, "BotFather"),
        ({}, {"token": "123456"}, "BotFather"),
        ({}, {"token": "bot" + TOKEN}, "BotFather"),
        ({}, {"token": TOKEN, "hook_secret": "has space"}, "hook_secret"),
        ({}, {"token": TOKEN, "hook_secret": "x" * 257}, "hook_secret"),
        ({}, {"tokn": TOKEN}, "Did you mean token?"),
        ({"mod": "poll"}, {"token": TOKEN}, "Did you mean mode?"),
        ({"colour": "red"}, {"token": TOKEN}, "api_base, mode"),
        ({"mode": "pull"}, {"token": TOKEN}, "poll"),
        ({"api_base": "api.telegram.org"}, {"token": TOKEN}, "api_base"),
        ({"api_base": "ftp://example.org"}, {"token": TOKEN}, "api_base"),
        ({"api_base": "https://example.org/?x=1"}, {"token": TOKEN}, "api_base"),
        ({"api_base": "http://[::1"}, {"token": TOKEN}, "api_base"),
        ({"api_base": 7}, {"token": TOKEN}, "api_base"),
        ({"mode": ["poll"]}, {"token": TOKEN}, "mode"),
    ],
)
def test_what_is_wrong_is_named(settings, secrets, words):
    with pytest.raises(Invalid) as refused:
        KIND.prepare(settings, secrets)
    assert words in refused.value.message
    assert TOKEN not in refused.value.message
