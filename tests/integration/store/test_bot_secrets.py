"""Secrets of bots on a real Postgres: sealed, bound to their place, sealed again under a new key, gone with their bot."""

from __future__ import annotations

import asyncio
import os

import pytest

from botstead.core.errors import Conflict, NotFound, SealBroken
from botstead.runtime.keyring import KeyRing
from botstead.runtime.sealing import Sealer
from botstead.store import migrate
from botstead.store.bot_secrets import MOST, KeptSecrets, SecretRows
from botstead.store.postgres import Postgres
from botstead.store.registry import Registry

VALUE = "xoxb-canary-1234567890"


def ring(*, current: str = "k1", **keys: bytes) -> KeyRing:
    return KeyRing(current=current, keys=keys or {"k1": os.urandom(32)}, pepper=os.urandom(32))


def on_rows(dsn, story):
    """Run a story on rows of its own, with a bot named shop."""

    async def main():
        postgres = await Postgres.open(dsn)
        try:
            sealer = Sealer(ring())
            await Registry(postgres, sealer).ensure_bot("shop", "python")
            await story(postgres, SecretRows(postgres, sealer))
        finally:
            await postgres.close()

    asyncio.run(main())


async def sql(postgres, statement, *arguments):
    async with postgres.connection() as connection:
        return await connection.fetch(statement, *arguments)


def test_a_secret_is_set_replaced_listed_without_its_value_and_deleted(postgres_dsn):
    async def story(_postgres, rows):
        kept = KeptSecrets(rows)
        assert kept.of("shop") == {}
        first = await rows.set("shop", "crm_token", VALUE)
        await kept.refresh()
        assert kept.of("shop")["crm_token"].reveal() == VALUE
        again = await rows.set("shop", "crm_token", "another")
        assert again.set_at > first.set_at
        assert await rows.list("shop") == (again,)
        assert kept.of("shop")["crm_token"].reveal() == VALUE, "as of the last look"
        await rows.delete("shop", "crm_token")
        await kept.refresh()
        assert kept.of("shop") == {}
        with pytest.raises(NotFound, match="bots secrets list shop"):
            await rows.delete("shop", "crm_token")
        with pytest.raises(NotFound, match="no bot named nobody"):
            await rows.set("nobody", "crm_token", VALUE)

    on_rows(postgres_dsn, story)


def test_no_row_holds_the_value_and_a_moved_row_does_not_open(postgres_dsn):
    async def story(postgres, rows):
        await rows.set("shop", "one", VALUE)
        (row,) = await sql(postgres, "SELECT * FROM bot_secret")
        assert VALUE.encode() not in bytes(row["sealed"])
        await sql(postgres, "UPDATE bot_secret SET name = 'two'")
        with pytest.raises(SealBroken):
            await rows.all()

    on_rows(postgres_dsn, story)


def test_a_new_key_seals_every_secret_again_and_the_old_key_can_go(postgres_dsn):
    async def story(postgres, _rows):
        old, new = os.urandom(32), os.urandom(32)
        await SecretRows(postgres, Sealer(ring(k1=old))).set("shop", "one", VALUE)
        rotated = await SecretRows(postgres, Sealer(ring(current="k2", k1=old, k2=new))).all()
        only_new = await SecretRows(postgres, Sealer(ring(current="k2", k2=new))).all()
        assert rotated["shop"]["one"].reveal() == only_new["shop"]["one"].reveal() == VALUE

    on_rows(postgres_dsn, story)


def test_a_deleted_bot_leaves_no_secret_behind(postgres_dsn):
    async def story(postgres, rows):
        registry = Registry(postgres, Sealer(ring()))
        await registry.ensure_webchat("shop")
        await registry.ensure_bot("short", "python")
        await rows.set("shop", "one", VALUE)
        await rows.set("short", "one", VALUE)
        assert await migrate.holds_sealed(postgres_dsn)
        await registry.delete_bot("shop")
        await registry.delete_bot("short")
        assert await sql(postgres, "SELECT * FROM bot_secret") == []
        assert not await migrate.holds_sealed(postgres_dsn)

    on_rows(postgres_dsn, story)


def test_a_bot_has_a_bound(postgres_dsn):
    async def story(_postgres, rows):
        for number in range(MOST):
            await rows.set("shop", f"s{number}", VALUE)
        with pytest.raises(Conflict):
            await rows.set("shop", "one_more", VALUE)
        await rows.set("shop", "s0", "a known one can be replaced")

    on_rows(postgres_dsn, story)
