"""API keys on a real Postgres, and the first key of all."""

from __future__ import annotations

import asyncio
import stat
from datetime import timedelta

import pytest

from botstead.core.errors import Conflict, Forbidden, Invalid, NotFound, Rejected
from botstead.store.keys import ADMIN, Keys, Principal, mint
from botstead.store.postgres import Postgres


class Hands:
    """A clock that is set by hand."""

    def __init__(self, now):
        self.time = now

    def now(self):
        return self.time

    def monotonic(self):
        return self.time


def on_keys(dsn, story, *, pepper=b"p" * 32, clock=None):
    async def main():
        postgres = await Postgres.open(dsn)
        try:
            return await story(Keys(postgres, pepper, clock=clock))
        finally:
            await postgres.close()

    return asyncio.run(main())


def test_a_key_opens_until_it_expires_or_is_revoked(postgres_dsn):
    clock = Hands(2_000_000_000.0)

    async def story(keys):
        record, key = await keys.create("ci", ["bots:read"], lifetime=timedelta(days=1))
        assert await keys.authenticate(key.text()) == Principal(key.id, frozenset({"bots:read"}))
        clock.time += 86_401
        with pytest.raises(Rejected):
            await keys.authenticate(key.text())
        clock.time -= 86_401
        await keys.revoke(record.id)
        for refused in (key.text(), mint().text(), "nonsense"):
            with pytest.raises(Rejected):
                await keys.authenticate(refused)
        with pytest.raises(Conflict):
            await keys.revoke(record.id)
        with pytest.raises(NotFound):
            await keys.revoke("none")

    on_keys(postgres_dsn, story, clock=clock)


def test_the_secret_is_not_in_the_database(postgres_dsn):
    async def story(keys):
        _, key = await keys.create("ci", ["bots:read"])
        async with keys._postgres.connection() as connection:
            row = await connection.fetchval("SELECT api_key::text FROM api_key WHERE id = $1", key.id)
        assert key.secret not in row
        assert key.secret.encode().hex() not in row
        return key

    key = on_keys(postgres_dsn, story)

    async def other_pepper(keys):
        with pytest.raises(Rejected):
            await keys.authenticate(key.text())

    on_keys(postgres_dsn, other_pepper, pepper=b"q" * 32)


def test_nobody_gives_away_more_than_they_have(postgres_dsn):
    async def story(keys):
        small = Principal("k", frozenset({"keys:write", "bots:read"}))
        record, _ = await keys.create("n", ["bots:read", "bots:read"], by=small)
        assert record.scopes == ("bots:read",)
        with pytest.raises(Forbidden):
            await keys.create("n", ["bots:write"], by=small)
        for wrong in ([], ["everything"]):
            with pytest.raises(Invalid):
                await keys.create("n", wrong)

    on_keys(postgres_dsn, story)


def test_the_first_key_is_written_once_by_whoever_comes_first(postgres_dsn, tmp_path):
    path = tmp_path / "deep" / "admin.key"

    async def story(keys):
        made = await asyncio.gather(*(keys.ensure_admin_key(path) for _ in range(4)))
        assert made.count(True) == 1
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert (await keys.authenticate(path.read_text().strip())).may("bots:write")
        assert [file.name for file in path.parent.iterdir()] == ["admin.key"]
        assert not await keys.ensure_admin_key(path)
        assert len(await keys.list(limit=9)) == 1
        path.unlink()
        assert not await keys.ensure_admin_key(path)
        assert not path.exists()

    on_keys(postgres_dsn, story)


def test_a_key_file_opens_a_fresh_database_unless_it_was_revoked(postgres_dsn, tmp_path):
    path, key = tmp_path / "admin.key", mint()
    path.write_text(key.text() + "\n")

    async def story(keys):
        assert not await keys.ensure_admin_key(path) or path.read_text().strip() == key.text()
        assert (await keys.authenticate(key.text())).scopes == {ADMIN}
        await keys.revoke(key.id)
        await keys.ensure_admin_key(path)
        with pytest.raises(Rejected):
            await keys.authenticate(key.text())
        path.write_text("rubbish")
        with pytest.raises(Invalid):
            await keys.ensure_admin_key(path)

    on_keys(postgres_dsn, story)
