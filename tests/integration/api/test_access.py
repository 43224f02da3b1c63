"""Who may call what: every route of the description, with every kind of key."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from litestar import get

from botstead.core.errors import ConfigurationError
from botstead.store.keys import SCOPES, mint
from botstead.web.auth import PUBLIC
from botstead.web.openapi import operations
from tests.integration.api.served import told

PLACEHOLDER = re.compile(r"\{[^}]+\}")


def _requests(api):
    for path, method, operation in operations(api.app.state.description):
        yield method, PLACEHOLDER.sub("1", path), operation["x-scope"]


async def _statuses(api, headers):
    return {(method, path): (await api.stranger.request(method, path, headers=headers)) for method, path, _ in _requests(api)}


def test_the_matrix(postgres_dsn):
    async def story(api):
        scopes = {(method, path): scope for method, path, scope in _requests(api)}
        assert len(scopes) > 25
        revoked, expired = await api.as_key("admin"), await api.as_key("admin", lifetime=timedelta(seconds=-1))
        await api.deps.keys.revoke(revoked["authorization"].split("_")[1])
        bad = [
            {},
            {"authorization": "Bearer nonsense"},
            {"authorization": f"Bearer {mint().text()}"},
            {"authorization": f"Basic {mint().text()}"},
            revoked,
            expired,
        ]
        for headers in bad:
            for call, answer in (await _statuses(api, headers)).items():
                if scopes[call] != PUBLIC:
                    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), call
                    assert answer.headers["www-authenticate"] == "Bearer"
        for scope in set(SCOPES) - {"admin"}:
            for call, answer in (await _statuses(api, await api.as_key(scope))).items():
                if scopes[call] not in {PUBLIC, scope}:
                    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), call
                else:
                    assert answer.status_code not in {401, 403}, call
                assert answer.status_code < 500, (call, answer.text)

    told(postgres_dsn, story)


def test_two_keys_in_one_request_are_refused(postgres_dsn):
    async def story(api):
        key = (await api.as_key("admin"))["authorization"]
        answer = await api.stranger.get("/v1/bots", headers=[("authorization", key), ("authorization", key)])
        assert answer.status_code == 401

    told(postgres_dsn, story)


@get("/v1/secret-door")
async def without_scope() -> None:
    """Nobody said who may call this."""


@get("/v1/other", opt={"scope": "everything"}, operation_id="other")
async def unknown_scope() -> None:
    """Nobody knows this scope."""


@pytest.mark.parametrize("route", [without_scope, unknown_scope])
def test_a_route_that_does_not_say_who_may_call_it_stops_the_start(postgres_dsn, route):
    with pytest.raises(ConfigurationError, match=r"declares the scope"):
        told(postgres_dsn, lambda _api: None, extra=[route])


@get("/v1/nameless", opt={"scope": "bots:read"}, operation_id="listBots")
async def same_name() -> None:
    """It takes another route's operation id."""


def test_a_route_needs_an_operation_id_of_its_own(postgres_dsn):
    with pytest.raises(Exception, match=r"operation_id"):
        told(postgres_dsn, lambda _api: None, extra=[same_name])


@get("/hello", operation_id="hello")
async def hello() -> dict[str, str]:
    """Anybody may."""
    return {"hello": "you"}


def test_public_routes_are_public(postgres_dsn):
    async def story(api):
        assert (await api.stranger.get("/hello")).json() == {"hello": "you"}

    told(postgres_dsn, story, public=[hello])


def test_the_last_use_of_a_key_is_noted_at_most_once_a_minute(postgres_dsn):
    async def story(api):
        headers = await api.as_key("bots:read")
        await api.stranger.get("/v1/bots", headers=headers)
        (first,) = await api.sql("SELECT last_used_at FROM api_key WHERE scopes = '{bots:read}'")
        await api.stranger.get("/v1/bots", headers=headers)
        (second,) = await api.sql("SELECT last_used_at FROM api_key WHERE scopes = '{bots:read}'")
        assert first["last_used_at"] == second["last_used_at"]
        assert first["last_used_at"] is not None

    told(postgres_dsn, story)
