"""An OpenTelemetry collector as its clients see it: OTLP over HTTP, decoded with the official messages, scripted in how it fails."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse


@dataclass(frozen=True)
class Received:
    """One span, as the official messages read it."""

    trace: str
    id: str
    parent: str
    name: str
    kind: int
    began: int
    ended: int
    attributes: dict[str, Any]
    failed: bool
    problem: str
    resource: dict[str, Any]


@dataclass
class Answer:
    """What the collector says next."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    wait: float = 0.0
    hang_up: bool = False
    refuses: int = 0


class Collector:
    """Keeps the spans it accepted; answers what `answers` holds, then 200. Strict: what it cannot read is 400."""

    def __init__(self) -> None:
        self.spans: list[Received] = []
        self.requests: list[dict[str, str]] = []
        self.unread = 0
        self.raw: list[bytes] = []
        self.answers: deque[Answer] = deque()
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.requests.append({name.lower(): value for name, value in request.headers.items()})
        self.raw.append(body)
        answer = self.answers.popleft() if self.answers else Answer()
        await asyncio.sleep(answer.wait)
        if answer.hang_up:
            request.transport.abort()
            return web.Response(status=500)
        if answer.status != 200:
            return web.Response(status=answer.status, headers=answer.headers)
        try:
            self.spans += read(body, request.content_type)
        except ValueError:
            self.unread += 1
            return web.Response(status=400)
        told = ExportTraceServiceResponse()
        if answer.refuses:
            told.partial_success.rejected_spans = answer.refuses
            told.partial_success.error_message = "some were bad"
        return web.Response(body=told.SerializeToString(), content_type="application/x-protobuf")

    def trace(self, trace: str) -> list[Received]:
        return [span for span in self.spans if span.trace == trace]


def read(body: bytes, content_type: str) -> list[Received]:
    """Decode a request, and check what the specification demands of each span."""
    if content_type != "application/x-protobuf":
        raise ValueError(content_type)
    request = ExportTraceServiceRequest.FromString(body)
    if request.SerializeToString() != body:
        raise ValueError("fields that the messages do not know, or in another order")
    found = []
    for resource in request.resource_spans:
        about = _attributes(resource.resource.attributes)
        for scope in resource.scope_spans:
            found += [_span(span, about) for span in scope.spans]
    return found


def _span(span, resource: dict[str, Any]) -> Received:
    right = (
        len(span.trace_id) == 16
        and len(span.span_id) == 8
        and len(span.parent_span_id) in (0, 8)
        and any(span.trace_id)
        and any(span.span_id)
    )
    if not right or not span.name or span.end_time_unix_nano < span.start_time_unix_nano or not span.kind:
        raise ValueError(span.name)
    return Received(
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        name=span.name,
        kind=span.kind,
        began=span.start_time_unix_nano,
        ended=span.end_time_unix_nano,
        attributes=_attributes(span.attributes),
        failed=span.status.code == 2,
        problem=span.status.message,
        resource=resource,
    )


def _attributes(pairs) -> dict[str, Any]:
    found = {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
    if len(found) != len(pairs):
        raise ValueError("an attribute is given twice")
    return found


@asynccontextmanager
async def collector(port: int = 0) -> AsyncIterator[Collector]:
    """Run a collector on the loopback, on a free port unless one is named."""
    double = Collector()
    application = web.Application(client_max_size=8 * 1024 * 1024)
    application.router.add_post("/v1/traces", double.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    double.url = "http://{}:{}".format(*runner.addresses[0][:2])
    try:
        yield double
    finally:
        await runner.cleanup()
