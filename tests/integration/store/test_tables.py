"""Piccolo's view of a table is what Postgres has."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from botstead.store.tables import TABLES

NAMES = {
    "INTEGER": "integer",
    "BIGINT": "bigint",
    "SMALLINT": "smallint",
    "TEXT": "text",
    "JSONB": "jsonb",
    "BYTEA": "bytea",
    "BOOLEAN": "boolean",
    "TIMESTAMPTZ": "timestamp with time zone",
    "UUID": "uuid",
    "TEXT[]": "ARRAY",
}
COLUMNS = "SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_name = $1"


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_columns_match_the_database(postgres_dsn, table):
    async def read():
        connection = await asyncpg.connect(postgres_dsn)
        try:
            return await connection.fetch(COLUMNS, table._meta.tablename)
        finally:
            await connection.close()

    real = {row["column_name"]: (row["data_type"], row["is_nullable"] == "YES") for row in asyncio.run(read())}
    seen = {column._meta.name: (NAMES[column.column_type], column._meta.null) for column in table._meta.columns}
    assert seen == real
