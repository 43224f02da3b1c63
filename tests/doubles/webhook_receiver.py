"""A program that receives webhooks, as somebody else would write it: on aiohttp, checking with the official library."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from standardwebhooks.webhooks import Webhook, WebhookVerificationError


@dataclass
class Received:
    """One request whose signature was right."""

    id: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Answer:
    """What the receiver says next."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    wait: float = 0.0
    hang_up: bool = False


class WebhookReceiver:
    """Keeps what it received; answers what `answers` holds, then 200 with nothing."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.received: list[Received] = []
        self.refused = 0
        self.answers: deque[Answer] = deque()
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        try:
            Webhook(self.secret).verify(body, dict(request.headers))
        except WebhookVerificationError:
            self.refused += 1
            return web.Response(status=401)
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(headers["webhook-id"], headers, json.loads(body)))
        answer = self.answers.popleft() if self.answers else Answer()
        await asyncio.sleep(answer.wait)
        if answer.hang_up:
            request.transport.abort()
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)


@asynccontextmanager
async def receiver(secret: str) -> AsyncIterator[WebhookReceiver]:
    """Run a receiver on a free port of the loopback."""
    double = WebhookReceiver(secret)
    application = web.Application()
    application.router.add_post("/replies", double.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    double.url = f"http://{host}:{port}/replies"
    try:
        yield double
    finally:
        await runner.cleanup()
