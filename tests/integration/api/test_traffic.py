"""What `http_server_*` counts: routes, never paths; the beginning of a stream; no probes."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import httpx
import pytest

from botstead.telemetry.catalog import HTTP_ACTIVE, HTTP_DURATION
from botstead.web.traffic import Traffic
from tests.integration.api.served import told


def counted() -> dict[tuple[str, ...], int]:
    return {values: histogram.count for values, histogram in HTTP_DURATION.sets() if histogram.count}


def since(before: dict[tuple[str, ...], int]) -> dict[tuple[str, ...], int]:
    return {values: count - before.get(values, 0) for values, count in counted().items() if count > before.get(values, 0)}


def test_requests_are_counted_by_route_method_and_class(postgres_dsn):
    async def story(api):
        before = counted()
        key = api.client.headers["authorization"]
        transport = httpx.ASGITransport(Traffic(api.app))
        async with httpx.AsyncClient(transport=transport, base_url="http://test", headers={"authorization": key}) as client:
            assert (await client.get("/v1/bots/nobody")).status_code == 404
            assert (await client.get("/v1/bots")).status_code == 200
            assert (await client.get("/v1/bots?limit=7")).status_code == 200
            assert (await client.get("/secret-name/bsk_canary")).status_code == 404
            assert (await client.get("/health/live")).status_code == 200
            assert (await client.request("BREW", "/v1/bots")).status_code == 405
        return since(before)

    assert told(postgres_dsn, story) == {
        ("/v1/bots/{bot}", "GET", "4xx"): 1,
        ("/v1/bots", "GET", "2xx"): 2,
        ("none", "GET", "4xx"): 1,
        ("none", "_other", "4xx"): 1,
    }
    assert HTTP_ACTIVE.at().read() == 0


class Answers:
    """An application of one answer."""

    routes = (SimpleNamespace(path_format="/v1/bots"),)

    def __init__(self, *messages, then=None):
        self.messages = messages
        self.then = then

    async def __call__(self, scope, _receive, send):
        scope["path_template"] = "/v1/bots"
        for message in self.messages:
            await send(message)
        if self.then is not None:
            await self.then()


async def ask(app):
    async def nothing(*_):
        return None

    scope = {"type": "http", "method": "GET", "path": "/v1/bots", "headers": []}
    await Traffic(app)(scope, nothing, nothing)


def start(status, *headers):
    return {"type": "http.response.start", "status": status, "headers": headers}


def test_a_stream_counts_when_it_begins_and_once():
    seen = []

    async def look():
        seen.append(since(before))

    before = counted()
    asyncio.run(ask(Answers(start(200, (b"content-type", b"text/event-stream; charset=utf-8")), then=look)))
    assert seen == [{("/v1/bots", "GET", "2xx"): 1}]
    assert since(before) == seen[0]


def test_a_fault_without_an_answer_is_one_of_ours():
    async def fail():
        raise RuntimeError("no")

    before = counted()
    with pytest.raises(RuntimeError):
        asyncio.run(ask(Answers(then=fail)))
    assert since(before) == {("/v1/bots", "GET", "5xx"): 1}
    assert HTTP_ACTIVE.at().read() == 0


def test_a_client_that_goes_away_early_is_no_answer():
    before = counted()
    asyncio.run(ask(Answers()))
    assert since(before) == {}
