"""The registry on a real Postgres: bots, channels, secrets, rotation."""

from __future__ import annotations

import asyncio
import os

import pytest

from botstead.core.errors import Conflict, Invalid, NotFound, SealBroken
from botstead.core.ports import Prepared
from botstead.runtime.keyring import KeyRing
from botstead.runtime.sealing import Sealer
from botstead.store.postgres import Postgres
from botstead.store.records import Change
from botstead.store.registry import Registry


def ring() -> KeyRing:
    return KeyRing(current="k1", keys={"k1": os.urandom(32)}, pepper=os.urandom(32))


def on_registry(dsn, story, *, sealer=None):
    """Run a coroutine function on a registry of its own."""

    async def main():
        postgres = await Postgres.open(dsn)
        try:
            return await story(Registry(postgres, sealer or Sealer(ring())))
        finally:
            await postgres.close()

    return asyncio.run(main())


def accept(settings, secrets):
    """Take everything as it is, as a kind without rules would."""
    return Prepared(settings=settings, secrets=secrets)


def test_a_bot_is_created_listed_changed_and_deleted(postgres_dsn):
    async def story(registry):
        made = await registry.create_bot("shop", kind="http", settings={"url": "http://a"}, secrets={"secret": "s1"})
        assert (made.name, made.kind, made.enabled, made.settings) == ("shop", "http", True, {"url": "http://a"})
        with pytest.raises(Conflict):
            await registry.create_bot("shop", kind="http", settings={}, secrets={})
        changed, shown = await registry.change_bot("shop", Change(enabled=False, settings={"url": "http://b"}))
        assert (changed.enabled, changed.settings, shown) == (False, {"url": "http://b"}, {})
        (http,) = await registry.http_bots()
        assert http.secrets["secret"].reveal() == "s1"
        await registry.delete_bot("shop")
        assert await registry.bots(limit=10) == ()
        with pytest.raises(NotFound):
            await registry.delete_bot("shop")

    on_registry(postgres_dsn, story)


def test_a_bot_with_channels_is_hidden_and_comes_back_under_its_name(postgres_dsn):
    async def story(registry):
        first = await registry.create_bot("shop", kind="http", settings={}, secrets={})
        account = await registry.ensure_webchat("shop")
        await registry.delete_bot("shop")
        assert await registry.accounts() == ()
        assert await registry.channels(limit=10) == ()
        with pytest.raises(NotFound):
            await registry.account(account.public_id)
        again = await registry.create_bot("shop", kind="http", settings={}, secrets={})
        assert again.id == first.id
        assert again.enabled

    on_registry(postgres_dsn, story)


def test_bots_found_at_start_are_known_once(postgres_dsn):
    async def story(registry):
        first = await registry.ensure_bot("echo", "python")
        assert await registry.ensure_bot("echo", "python") == first
        await registry.set_problem("echo", "bot.py, line 3: no such name")
        assert (await registry.bot("echo")).problem == "bot.py, line 3: no such name"
        await registry.set_problem("echo", None)
        assert (await registry.bot("echo")).problem is None
        with pytest.raises(Conflict):
            await registry.ensure_bot("echo", "http")
        await registry.change_bot("echo", Change(enabled=False))
        await registry.ensure_bot("echo", "python")
        assert not (await registry.bot("echo")).enabled
        await registry.delete_bot("echo")
        await registry.ensure_bot("echo", "python")
        assert (await registry.bot("echo")).enabled

    on_registry(postgres_dsn, story)


def test_many_processes_make_one_web_chat(postgres_dsn):
    async def story(registry):
        await registry.ensure_bot("echo", "python")
        accounts = await asyncio.gather(*(registry.ensure_webchat("echo") for _ in range(5)))
        assert len({account.public_id for account in accounts}) == 1
        assert accounts[0].bot_name == "echo"
        assert accounts[0].public_id.startswith("ch_")

    on_registry(postgres_dsn, story)


def test_a_replaced_secret_is_still_accepted(postgres_dsn):
    async def story(registry):
        await registry.ensure_bot("echo", "python")
        prepared = Prepared(settings={"api_base": "http://x"}, secrets={"token": "one", "hook_secret": "h"})
        made = await registry.create_channel("echo", kind="telegram", name="Main", prepared=prepared)
        changed, _ = await registry.change_channel(made.public_id, Change(secrets={"token": "two"}, name="Other"), check=accept)
        revealed = {name: secret.reveal() for name, secret in changed.secrets.items()}
        assert revealed == {"token": "two", "token_previous": "one", "hook_secret": "h"}
        assert changed.name == "Other"
        again, _ = await registry.change_channel(made.public_id, Change(settings={"api_base": None}), check=accept)
        assert again.settings == {}
        assert again.secrets["token_previous"].reveal() == "one"
        same, _ = await registry.change_channel(made.public_id, Change(secrets={"token": "two"}), check=accept)
        assert same.secrets["token_previous"].reveal() == "one"

    on_registry(postgres_dsn, story)


def test_a_refused_change_changes_nothing(postgres_dsn):
    def refuse(_settings, _secrets):
        raise Invalid("no")

    async def story(registry):
        await registry.ensure_bot("echo", "python")
        made = await registry.ensure_webchat("echo")
        with pytest.raises(Invalid):
            await registry.change_channel(made.public_id, Change(name="x", enabled=False), check=refuse)
        with pytest.raises(Invalid):
            await registry.change_channel(made.public_id, Change(settings={"a": "\x00"}), check=accept)
        assert (await registry.account(made.public_id)).enabled
        assert (await registry.change_channel(made.public_id, Change(settings={"a": "\\u0000"}), check=accept))[0].settings == {
            "a": "\\u0000"
        }

    on_registry(postgres_dsn, story)


def test_secrets_open_only_with_their_ring_and_in_their_row(postgres_dsn):
    keys = ring()

    async def write(registry):
        await registry.ensure_bot("echo", "python")
        prepared = Prepared(settings={}, secrets={"token": "plain-token"})
        return await registry.create_channel("echo", kind="telegram", name="", prepared=prepared)

    async def swap(registry):
        other = await registry.ensure_webchat("echo")
        async with registry._postgres.unit() as connection:
            sealed = await connection.fetchval("SELECT secrets FROM channel WHERE secrets IS NOT NULL")
            assert b"plain-token" not in sealed
            await connection.execute("UPDATE channel SET secrets = $1 WHERE public_id = $2", sealed, other.public_id)
        with pytest.raises(SealBroken):
            await registry.accounts()

    async def read(registry):
        with pytest.raises(SealBroken):
            await registry.accounts()

    on_registry(postgres_dsn, write, sealer=Sealer(keys))
    on_registry(postgres_dsn, read)
    on_registry(postgres_dsn, swap, sealer=Sealer(keys))


def test_a_deleted_channel_refuses_deliveries_and_forgets_its_secrets(postgres_dsn):
    async def story(registry):
        await registry.ensure_bot("echo", "python")
        made = await registry.ensure_webchat("echo")
        await registry.delete_channel(made.public_id)
        with pytest.raises(NotFound):
            await registry.account_by_number(made.id)
        with pytest.raises(NotFound):
            await registry.delete_channel(made.public_id)
        assert (await registry.ensure_webchat("echo")).public_id != made.public_id

    on_registry(postgres_dsn, story)


def test_a_disabled_bot_disables_its_channels(postgres_dsn):
    async def story(registry):
        await registry.ensure_bot("echo", "python")
        await registry.ensure_webchat("echo")
        await registry.change_bot("echo", Change(enabled=False))
        (account,) = await registry.accounts()
        assert not account.enabled

    on_registry(postgres_dsn, story)


def test_addresses_and_offsets_only_go_forward(postgres_dsn):
    async def story(registry):
        await registry.ensure_bot("echo", "python")
        channel = (await registry.ensure_webchat("echo")).id
        await registry.move(channel, "-100", "1.old")
        await registry.move(channel, "-200", "1.old")
        await registry.move(channel, "-100", "1.old")
        assert [address.external for address in await registry.addresses()] == ["-200", "-100"]
        assert await registry.poll_offset(channel) is None
        for following in (7, 9, 8):
            await registry.save_poll_offset(channel, following)
        assert await registry.poll_offset(channel) == 9

    on_registry(postgres_dsn, story)


def test_health_and_pages(postgres_dsn):
    async def story(registry):
        for name in ("a", "b", "c"):
            await registry.ensure_bot(name, "python")
            await registry.ensure_webchat(name)
        page = await registry.channels(limit=2)
        assert [channel.bot for channel in page] == ["c", "b"]
        assert [channel.bot for channel in await registry.channels(limit=2, before=page[-1].number)] == ["a"]
        assert [channel.bot for channel in await registry.channels(bot="b", limit=9)] == ["b"]
        await registry.set_health(page[0].public_id, {"status": "ok"})
        assert (await registry.channel(page[0].public_id)).health == {"status": "ok"}
        assert [bot.name for bot in await registry.bots(limit=2)] == ["c", "b"]

    on_registry(postgres_dsn, story)
