"""Fixtures that every test may use: real servers, one for the whole run; a fresh migrated database for each test."""

from __future__ import annotations

import asyncio
import os
import uuid

import pytest

from tests import servers


@pytest.fixture(scope="session", autouse=True)
def _clean_environment():
    """Tests do not see the settings of whoever runs them."""
    for name in [name for name in os.environ if name.startswith("BOTSTEAD_") and not name.startswith("BOTSTEAD_TEST_")]:
        del os.environ[name]


@pytest.fixture(scope="session")
def postgres_server():
    """The Postgres of this run."""
    with servers.postgres_server() as server:
        yield server


def _admin(dsn: str, statement: str) -> None:
    import asyncpg

    async def execute() -> None:
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(execute())


@pytest.fixture(scope="session")
def _template(postgres_server) -> str:
    from botstead.store import migrate

    _admin(postgres_server.dsn, "CREATE DATABASE botstead_template")
    asyncio.run(migrate.migrate(postgres_server.database("botstead_template")))
    return "botstead_template"


@pytest.fixture
def postgres_dsn(postgres_server, _template):
    """The address of a fresh, migrated database."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    _admin(postgres_server.dsn, f"CREATE DATABASE {name} TEMPLATE {_template} STRATEGY FILE_COPY")
    yield postgres_server.database(name)
    _admin(postgres_server.dsn, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def valkey_server():
    """The Valkey of this run."""
    with servers.valkey_server() as server:
        yield server


@pytest.fixture
def valkey_url(valkey_server) -> str:
    """The address of a running Valkey."""
    return valkey_server.url
