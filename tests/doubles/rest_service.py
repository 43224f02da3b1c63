"""A REST service on the loopback, with a token service beside it: keeps what it is sent, answers what it is told."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote_plus

from aiohttp import web

TOKEN_PATH = "/oauth/token"


@dataclass
class Asked:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class RestDouble:
    """Answers every path; `answer` prepares the next answers, `decide` looks at each request."""

    def __init__(self) -> None:
        self.origin = ""
        self.asked: list[Asked] = []
        self.token_requests: list[dict[str, list[str]]] = []
        self.clients: list[tuple[str, str]] = []
        self.expires_in: float | str | None = 3600
        self.valid: set[str] = set()
        self.silent = False
        self.over = asyncio.Event()
        self.gate: asyncio.Event | None = None
        self.arrived = asyncio.Event()
        self.decide: Callable[[Asked], web.Response | None] = lambda _asked: None
        self._answers: deque[tuple[int, bytes, dict[str, str]]] = deque()
        self._token_answers: deque[tuple[int, bytes]] = deque()

    def answer(self, status: int, body: bytes = b"{}", **headers: str) -> None:
        """Give this answer next."""
        self._answers.append((status, body, {name.replace("_", "-"): value for name, value in headers.items()}))

    def answer_token(self, status: int, body: bytes) -> None:
        """Let the token service give this answer next."""
        self._token_answers.append((status, body))

    async def handle(self, request: web.Request) -> web.Response:
        """Called by the server."""
        asked = Asked(request.method, request.raw_path, {k.lower(): v for k, v in request.headers.items()}, await request.read())
        if request.path == TOKEN_PATH:
            return await self._token(asked)
        self.asked.append(asked)
        self.arrived.set()
        if self.silent:
            await self.over.wait()
        if self.gate is not None:
            await self.gate.wait()
        if self._answers:
            status, body, headers = self._answers.popleft()
            return web.Response(status=status, body=body, headers=headers)
        decided = self.decide(asked)
        return decided if decided is not None else web.json_response({"number": len(self.asked)})

    async def _token(self, asked: Asked) -> web.Response:
        """RFC 6749, 4.4.2: form-encoded, the client by basic authentication with its parts form-encoded (2.3.1)."""
        assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
        self.token_requests.append(parse_qs(asked.body.decode(), strict_parsing=True))
        user, _, password = base64.b64decode(asked.headers["authorization"].removeprefix("Basic ")).decode().partition(":")
        self.clients.append((unquote_plus(user), unquote_plus(password)))
        if self.gate is not None:
            await self.gate.wait()
        if self._token_answers:
            status, body = self._token_answers.popleft()
            return web.Response(status=status, body=body)
        token = f"canary-token-{len(self.token_requests)}"
        self.valid.add(token)
        given = {"access_token": token, "token_type": "Bearer", "expires_in": self.expires_in}
        return web.json_response({name: value for name, value in given.items() if value is not None})


@contextlib.asynccontextmanager
async def rest_service() -> AsyncIterator[RestDouble]:
    """Run one."""
    double = RestDouble()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", double.handle)
    runner = web.AppRunner(application, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    double.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield double
    finally:
        double.over.set()
        if double.gate is not None:
            double.gate.set()
        await runner.cleanup()
