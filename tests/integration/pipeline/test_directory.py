"""A channel that is a moment old is known to whoever is asked for it, without a read for every stranger."""

from __future__ import annotations

import asyncio

import pytest

from botstead.core.errors import Unavailable
from botstead.core.ports import Prepared
from botstead.pipeline.directory import Directory
from botstead.store.valkey import MemoryWake
from tests.integration.pipeline.road import on_road


def test_a_channel_created_right_after_a_read_is_found_by_all_who_ask(postgres_dsn):
    async def story(road):
        await road.bot("echo")
        elsewhere = Directory(road.registry, MemoryWake())
        await elsewhere.refresh()
        prepared = Prepared(settings={}, secrets={})
        made = await road.registry.create_channel("echo", kind="memory", name="", prepared=prepared)
        found = await asyncio.gather(*(elsewhere.find(made.public_id) for _ in range(20)))
        assert [account and account.id for account in found] == [made.id] * 20

    on_road(postgres_dsn, story)


def test_nobody_is_unknown_while_the_database_is_away(postgres_dsn):
    async def story(road):
        tries = 0

        async def away():
            nonlocal tries
            tries += 1
            await asyncio.sleep(0.02)
            raise Unavailable

        road.registry.accounts = away
        found = await asyncio.gather(*(road.directory.find(f"stranger{n}") for n in range(20)), return_exceptions=True)
        assert {type(error) for error in found} == {Unavailable}
        assert tries == 1

    on_road(postgres_dsn, story)


@pytest.mark.parametrize("bot", ["echo", "nobody"])
def test_the_web_chat_of_a_bot_is_found_by_its_name(postgres_dsn, bot):
    async def story(road):
        await road.bot("echo")
        elsewhere = Directory(road.registry, MemoryWake())
        await elsewhere.refresh()
        await road.registry.ensure_webchat("echo")
        found = await elsewhere.webchat(bot)
        assert (found.bot_name if found else None) == ("echo" if bot == "echo" else None)

    on_road(postgres_dsn, story)
