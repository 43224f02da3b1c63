"""Whatever a stranger or a key holder sends: never a 5xx, always a problem document."""

from __future__ import annotations

import asyncio
import itertools
import json

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from botstead.web.openapi import operations
from tests.integration.api.served import served, told

DEEP = b"[" * 100_000 + b"]" * 100_000
BODIES = [
    b"",
    b"null",
    b"[]",
    b"{",
    b"\xff\xfe",
    b"\xef\xbb\xbf{}",
    DEEP,
    b'{"name":' * 5_000 + b"1" + b"}" * 5_000,
    b'{"name":"\\ud800","url":"https://x.example.org"}',
    b'{"name":"a","url":"https://x.example.org","name":"b","extra":1}',
    b'{"text":"\\u0000"}',
    b'{"kind":"webhook","settings":{"a":"\\u0000"}}',
    b'{"kind":"webhook","settings":{"a":' + b"[" * 5_000 + b"]" * 5_000 + b"}}",
    b'{"first":' + b"9" * 400 + b"}",
    b'{"first":1e999,"last":NaN}',
    b'{"name":["x"],"scopes":{}}',
    b'{"name":"x","scopes":["bots:read"],"expires_in_days":99999999999}',
    b"{" + b",".join(b'"k%d":1' % number for number in range(100_000)) + b"}",
]
SEGMENTS = [
    "1",
    "%00",
    "%ff",
    "..%2f",
    "a" * 3_000,
    "9" * 30,
    "-1",
    "1.%2500",
    "99999999999.x",
    "ch_" + "a" * 20,
    "%F0%9F%A4%96",
    "shop",
]
QUERIES = [
    "limit=0",
    "limit=x",
    "before=-1",
    "before=9223372036854775808",
    "q=%00",
    "q=%ff%fe",
    "q=" + "a" * 600,
    "bot=%00",
    "channel=ch_%00",
]
QUERIES += ["direction=up", "reason=%00", "replayed=maybe", "limit=1&limit=2", "before=" + "9" * 5_000, "q=%ED%A0%80&limit=5"]


def _check(answer, what):
    assert answer.status_code < 500, (what, answer.text)
    if answer.status_code >= 400:
        problem = answer.json()
        assert answer.headers["content-type"] == "application/problem+json", what
        assert problem["status"] == answer.status_code
        assert problem["code"]
        assert problem["title"]
        assert problem["detail"]


def _calls(api, method=None):
    for path, verb, operation in operations(api.app.state.description):
        if method is None or verb == method:
            yield verb, path, operation


def _fill(path, segment):
    parts = [segment if part.startswith("{") else part for part in path.split("/")]
    return "/".join(parts)


def test_bodies(postgres_dsn):
    async def story(api):
        await api.deps.registry.ensure_bot("shop", "python")
        channel = (await api.deps.registry.ensure_webchat("shop")).public_id
        for verb, path, operation in _calls(api):
            if "requestBody" not in operation:
                continue
            where = _fill(path, channel if "/channels/{" in path else "1.a" if "conversations" in path else "shop")
            for body in BODIES:
                answer = await api.client.request(verb, where, content=body, headers={"content-type": "application/json"})
                _check(answer, (verb, where, body[:60]))
                assert answer.status_code >= 400 or (verb == "patch" and body == b"{}") or answer.status_code == 202, (
                    where,
                    body[:60],
                )

    told(postgres_dsn, story)


def test_addresses_and_queries(postgres_dsn):
    async def story(api):
        for verb, path, _ in _calls(api):
            for segment in SEGMENTS if "{" in path else ["-"]:
                _check(await api.client.request(verb, _fill(path, segment)), (verb, path, segment[:40]))
        lists = [path for _, path, _ in _calls(api, "get") if "{" not in path]
        for path, query in itertools.product(lists, QUERIES):
            _check(await api.client.get(f"{path}?{query}"), (path, query[:40]))

    told(postgres_dsn, story)


def test_deep_json_is_the_callers_fault_and_says_so(postgres_dsn):
    async def story(api):
        answer = await api.client.post("/v1/bots", content=DEEP)
        assert (answer.status_code, answer.json()["code"]) == (400, "unreadable")
        assert "deep" in answer.json()["detail"]

    told(postgres_dsn, story)


def test_a_body_over_the_limit_is_too_large(postgres_dsn):
    async def story(api):
        answer = await api.client.post("/v1/bots", content=b" " * 2_000)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")

        async def pieces():
            for _ in range(20):
                yield b" " * 100

        chunked = await api.client.post("/v1/bots", content=pieces())
        assert chunked.status_code == 413

    told(postgres_dsn, story, body_limit=1_000)


def test_framework_errors_are_problems_too(postgres_dsn):
    async def story(api):
        missing = await api.stranger.get("/v1/nothing")
        _check(missing, "404")
        assert missing.status_code == 404
        wrong = await api.client.put("/v1/bots")
        _check(wrong, "405")
        assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
        assert "GET" in wrong.headers["allow"]
        host = await api.stranger.get("/health/live", headers={"host": "a b"})
        _check(host, "host")
        typed = await api.client.post("/v1/bots", json={"name": "Wrong Name", "url": "https://x.example.org"})
        assert (typed.status_code, typed.json()["code"]) == (422, "invalid")
        assert "name" in typed.json()["detail"]
        assert "Wrong" not in typed.json()["detail"]

    told(postgres_dsn, story)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "text", "kind", "secret_previous"]), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = [
    "name",
    "url",
    "kind",
    "secret",
    "enabled",
    "settings",
    "secrets",
    "text",
    "buttons",
    "scopes",
    "expires_in_days",
    "bot",
    "all",
    "dry_run",
    "first",
]


def test_any_json_on_any_route(postgres_dsn):
    async def story(api, bodies):
        await api.deps.registry.ensure_bot("shop", "python")
        await api.deps.registry.ensure_webchat("shop")
        for body, (verb, path, _) in zip(
            bodies, itertools.cycle(list(_calls(api, "post")) + list(_calls(api, "patch"))), strict=False
        ):
            where = _fill(path, "1.a" if "conversations" in path else "shop")
            content = json.dumps(body).encode("utf-8", "surrogatepass")
            _check(await api.client.request(verb, where, content=content), (verb, where, body))

    drawn = []

    @settings(max_examples=150, database=None, suppress_health_check=list(HealthCheck), deadline=None)
    @given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=5))
    def draw(body):
        drawn.append(body)

    draw()
    told(postgres_dsn, lambda api: story(api, drawn))


def test_our_own_fault_says_nothing_of_the_inside(postgres_dsn, caplog):
    async def story(api):
        await api.sql("DROP TABLE poll_offset")
        await api.sql("ALTER TABLE bot RENAME COLUMN problem TO difficulty")
        answer = await api.client.get("/v1/bots")
        assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
        assert "difficulty" not in answer.text
        assert "column" not in answer.text

    told(postgres_dsn, story)
    assert "request_failed" in caplog.text


@pytest.mark.parametrize("path", ["/v1/bots", "/v1/messages?q=x", "/health/ready"])
def test_a_database_that_is_away_is_503_with_retry_after(postgres_dsn, path):
    async def main():
        async with served(postgres_dsn) as api:
            await api.postgres.close()
            answer = await api.client.get(path)
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) >= 1

    asyncio.run(main())


def test_answers_are_not_kept_by_anybody(postgres_dsn):
    async def story(api):
        for answer in (await api.client.get("/v1/keys"), await api.stranger.get("/v1/keys"), await api.stranger.get("/health")):
            assert isinstance(answer, httpx.Response)
            assert answer.headers["cache-control"] == "no-store"

    told(postgres_dsn, story)
