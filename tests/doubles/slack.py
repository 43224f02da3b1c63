"""Slack on the loopback: `chat.postMessage` and an incoming webhook, strict about what they are sent, scripted in how they fail.

Sources: https://docs.slack.dev/reference/methods/chat.postMessage and
https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator

from aiohttp import web

TOKEN = "xoxb-0000000000-canary"
PATH = "/services/T0000/B0000/canarycanarycanary"
CHANNELS = {"#orders": "C0ORDERS", "C0ORDERS": "C0ORDERS"}


class SlackDouble:
    """Keeps the posts that it took; `answer` prepares the next answers."""

    def __init__(self) -> None:
        self.origin = ""
        self.posts: list[dict] = []
        self.asked = 0
        self.silent = False
        self.over = asyncio.Event()
        self.paths: list[str] = []
        self._answers: deque[tuple[int, dict | str, dict[str, str]]] = deque()

    @property
    def base(self) -> str:
        """Where the Web API is."""
        return f"{self.origin}/api"

    @property
    def hook(self) -> str:
        """The URL of the incoming webhook."""
        return self.origin + PATH

    def answer(self, status: int, body: dict | str, **headers: str) -> None:
        """Give this answer next."""
        self._answers.append((status, body, {name.replace("_", "-"): value for name, value in headers.items()}))

    async def handle(self, request: web.Request) -> web.Response:
        """Called by the server."""
        self.asked += 1
        self.paths.append(request.path)
        if self.silent:
            await self.over.wait()
        if self._answers:
            status, body, headers = self._answers.popleft()
            text = body if isinstance(body, str) else json.dumps(body)
            return web.Response(status=status, text=text, headers=headers)
        if request.path == PATH:
            return await self._webhook(request)
        return web.json_response(await self._post_message(request))

    async def _webhook(self, request: web.Request) -> web.Response:
        given = await request.json()
        if not given.get("text"):
            return web.Response(status=400, text="no_text")
        self.posts.append(given)
        return web.Response(text="ok")

    async def _post_message(self, request: web.Request) -> dict:
        if request.path != "/api/chat.postMessage":
            return {"ok": False, "error": "unknown_method"}
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return {"ok": False, "error": "invalid_auth" if "authorization" in request.headers else "not_authed"}
        if request.content_type != "application/json":
            return {"ok": False, "error": "invalid_post_type"}
        given = await request.json()
        if given.get("channel") not in CHANNELS:
            return {"ok": False, "error": "channel_not_found"}
        if not given.get("text"):
            return {"ok": False, "error": "no_text"}
        self.posts.append(given)
        ts = f"1503435956.{len(self.posts):06}"
        return {"ok": True, "channel": CHANNELS[given["channel"]], "ts": ts, "message": {"text": given["text"], "ts": ts}}


@contextlib.asynccontextmanager
async def slack() -> AsyncIterator[SlackDouble]:
    """Run one."""
    double = SlackDouble()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", double.handle)
    runner = web.AppRunner(application, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    double.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield double
    finally:
        double.over.set()
        await runner.cleanup()
