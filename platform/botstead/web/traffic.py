"""How the API is used: how long requests took, by route, method and class of status. Stands in front of Litestar.

Probes of health are left out: the edge asks every second, and a process that drains says 503 on purpose. Deliveries have a metric
of their own (`channel_ack_duration_seconds`) and do not come by here.
"""

from __future__ import annotations

import time

from litestar import Litestar
from litestar.enums import ScopeType
from litestar.types import HTTPScope, Message, Receive, Scope, Send

from botstead.telemetry.catalog import HTTP_ACTIVE, HTTP_DURATION, register

HEALTH = "/health"
UNROUTED = "none"
"""`http_route` of a request that no route takes; its path is a stranger's, and never a label."""
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
STREAM = b"text/event-stream"


class Traffic:
    """An ASGI application that measures another."""

    def __init__(self, app: Litestar) -> None:
        """Make the routes known to the catalogue.

        Args:
            app: what answers.
        """
        self._app = app
        for label, values in (
            ("http_route", (UNROUTED, *(route.path_format for route in app.routes))),
            ("http_request_method", METHODS),
            ("http_response_status_code", CLASSES),
        ):
            for value in values:
                register(label, value)
        HTTP_ACTIVE.at().set(0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection, as ASGI asks for it."""
        if scope["type"] != ScopeType.HTTP or scope["path"].startswith(HEALTH):
            await self._app(scope, receive, send)
        else:
            await self._measured(scope, receive, send)

    async def _measured(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        answered = 0

        async def watched(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = message["status"]
                if _streams(message["headers"]):
                    _observe(scope, answered, began)
                    answered = 0
            await send(message)

        active = HTTP_ACTIVE.at()
        active.inc()
        try:
            await self._app(scope, receive, watched)
        except Exception:
            answered = answered or 500
            raise
        finally:
            active.dec()
            if answered:  # or the client went away before there was an answer
                _observe(scope, answered, began)


def _observe(scope: HTTPScope, status: int, began: float) -> None:
    route = scope.get("path_template") or UNROUTED
    HTTP_DURATION.at(route, scope["method"], f"{status // 100}xx").observe(time.perf_counter() - began)


def _streams(headers: object) -> bool:
    return any(name == b"content-type" and value.startswith(STREAM) for name, value in headers)  # type: ignore[attr-defined]
