"""The API application: routes, guard, problem documents, limits. Built once in `processes/`."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from litestar import Litestar, Response, Router
from litestar.datastructures import State
from litestar.di import Provide

from botstead.web import docs, openapi, runbooks
from botstead.web.api import bot_secrets, bots, channels, conversations, keys, letters, messages, objectives, payments, probes
from botstead.web.auth import PUBLIC, check_scopes, guard, needs
from botstead.web.deps import AcceptOne, AppDeps
from botstead.web.health import Probes
from botstead.web.problems import HANDLERS

__all__ = ["AcceptOne", "AppDeps", "Probes", "create_app"]

API = (bots, bot_secrets, channels, conversations, messages, letters, payments, objectives, keys)
HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}
"""On every answer that does not say otherwise."""


def _add_headers(response: Response[Any]) -> Response[Any]:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def create_app(deps: AppDeps) -> Litestar:
    """Build the application.

    Args:
        deps: what the routes use.

    Raises:
        ConfigurationError: a route declares no scope, or has no operation id.
    """
    ours = [route for module in (*API, probes, openapi, docs, runbooks) for route in module.ROUTES]
    routes = [*ours, *deps.extra, Router("/", route_handlers=list(deps.public), opt=needs(PUBLIC))]
    app = Litestar(
        route_handlers=routes,
        dependencies={"deps": Provide(lambda: deps, sync_to_thread=False)},
        guards=[guard(deps.keys)],
        exception_handlers=HANDLERS,
        middleware=list(deps.middleware),
        after_request=_add_headers,
        request_max_body_size=deps.body_limit,
        openapi_config=None,
        state=State(),
        logging_config=None,
    )
    check_scopes(app)
    app.state.description = openapi.document(app, routes, version=version("botstead"))
    return app
