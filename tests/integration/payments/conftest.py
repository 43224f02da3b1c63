"""One database for each file here, emptied before each story: making one costs more than most stories."""

from __future__ import annotations

import asyncio
import uuid

import asyncpg
import pytest

EMPTY = """
DELETE FROM test_payment; DELETE FROM payment_event; DELETE FROM payment_attempt; DELETE FROM payment;
DELETE FROM inbox; DELETE FROM outbox; DELETE FROM delivery; DELETE FROM dead_letter; DELETE FROM seen; DELETE FROM message;
DELETE FROM conversation; DELETE FROM worker; DELETE FROM address; DELETE FROM api_key; DELETE FROM channel; DELETE FROM bot;
UPDATE partition SET worker = NULL, careful = false WHERE worker IS NOT NULL OR careful;
"""


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def _database(postgres_server, _template):
    name = f"payments_{uuid.uuid4().hex[:12]}"
    asyncio.run(_execute(postgres_server.dsn, f"CREATE DATABASE {name} TEMPLATE {_template} STRATEGY FILE_COPY"))
    yield postgres_server.database(name)
    asyncio.run(_execute(postgres_server.dsn, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def postgres_dsn(_database):
    """The address of a database in which nobody has ever paid."""
    asyncio.run(_execute(_database, EMPTY))
    return _database
