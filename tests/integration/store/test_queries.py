"""Every named statement is understood by a real Postgres with our schema."""

from __future__ import annotations

import asyncio
from importlib import resources

import asyncpg
import pytest

from botstead.store.queries import load

GROUPS = sorted(file.name.removesuffix(".sql") for file in resources.files("botstead.store").joinpath("sql").iterdir())
PLACEHOLDERS = {"{part}": "0", "{name}": "message_0_words", "{first}": "0", "{end}": "50000", "{view}": "pg_stat_bgwriter"}
"""What statements take in their text, where parameters are not allowed."""


@pytest.mark.parametrize("group", GROUPS)
def test_every_statement_prepares(group, postgres_dsn):
    async def story():
        connection = await asyncpg.connect(postgres_dsn)
        try:
            for name, statement in load(group).items():
                assert statement.startswith("--"), f"{group}.{name} lacks its line of purpose"
                for placeholder, value in PLACEHOLDERS.items():
                    statement = statement.replace(placeholder, value)  # noqa: PLW2901  # filled in step by step
                await connection.prepare(statement)
        finally:
            await connection.close()

    asyncio.run(story())
