"""The page's markup: nothing an operator writes becomes markup, and nothing is inline."""

from __future__ import annotations

import asyncio
import re

import pytest

from botstead.core.errors import NotFound
from botstead.core.ports import Account
from botstead.web.chat import page
from botstead.web.chat.deps import Welcome, welcome_from_settings

SCRIPT_LIMIT = 15_000
"""Bytes over the wire of all scripts together."""
HOSTILE = "<script>alert(1)</script>\"'&$title"


def test_text_of_the_operator_stays_text():
    text = page.page("weather", Welcome(HOSTILE, HOSTILE, (HOSTILE,))).decode()
    assert "<script>alert" not in text
    assert text.count("<script") == 1
    assert '$title"' not in text.replace("&#x27;&amp;$title", "")


def test_nothing_is_inline_and_nothing_comes_from_elsewhere():
    text = page.page("weather", Welcome("Weather")).decode()
    assert not re.search(r"\son\w+=|\sstyle=|<style|https?://", text)
    assert "'unsafe" not in page.SECURITY_HEADERS["Content-Security-Policy"]
    assert "Say hello" in text


def test_every_file_that_the_page_names_exists():
    text = page.page("weather", Welcome("Weather")).decode()
    names = re.findall(rf"/chat/assets/{page.version()}/([\w.]+)", text)
    assert len(names) == 7
    assert all(page.asset(name) for name in names)
    scripts = [name for name in set(names) if name.endswith(".js")]
    assert sum(len(page.packed(name)) for name in scripts) <= SCRIPT_LIMIT


@pytest.mark.parametrize("name", ["page.html", "../page.py", "", "none.js", "chat.js/"])
def test_other_files_are_not_served(name):
    with pytest.raises(NotFound):
        page.asset(name)


def account(**settings) -> Account:
    return Account(id=1, public_id="p", kind="webchat", bot=1, bot_name="my-shop", settings=settings)


def test_the_welcome_comes_from_the_channels_settings():
    assert asyncio.run(welcome_from_settings(account())) == Welcome("My shop")
    full = account(title="Shop", about="Sells.", suggestions=["help"])
    assert asyncio.run(welcome_from_settings(full)) == Welcome("Shop", "Sells.", ("help",))
