"""The API's own description at `/openapi.json`. Problems, keys and scopes are said once, here, for every route."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from litestar import Litestar, Request, Response, get
from litestar.openapi.config import OpenAPIConfig
from litestar.types import ControllerRouterHandler

from botstead.core.errors import ConfigurationError
from botstead.web.auth import PUBLIC, handlers, needs
from botstead.web.problems import MEDIA_TYPE

VERSION = "3.1.0"
PROBLEM_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "description": "A URI that names the kind of problem."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What happened, and the next step."},
        "code": {"type": "string", "description": "The kind of problem for programs; never changes."},
        "retry_after": {"type": "integer", "description": "Seconds, as in the header Retry-After."},
    },
}
PROBLEM = {
    "description": "A problem document (RFC 9457).",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
METHODS = ("get", "post", "put", "patch", "delete")


def document(app: Litestar, routes: Sequence[ControllerRouterHandler], *, version: str) -> dict[str, Any]:
    """Describe every route of an application.

    A second application, never served, does the describing: the pages that Litestar would add load scripts from elsewhere.

    Args:
        app: the one that is served.
        routes: what it was built from.
        version: of this build.

    Raises:
        ConfigurationError: a route has no operation id, or shares it with another.
    """
    about = OpenAPIConfig(title="botstead", version=version, use_handler_docstrings=True)
    twin = Litestar(routes, openapi_config=about, dependencies=app.dependencies, logging_config=None)
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(twin.openapi_schema.to_schema()))
    plain["openapi"] = VERSION
    plain.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM_SCHEMA
    plain["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "description": "`bsk_…`"}}
    scopes = {_operation(path, method): handler.opt["scope"] for path, method, handler in handlers(app)}
    seen: set[str] = set()
    for path, method, operation in operations(plain):
        name = operation.get("operationId", "")
        if not name or name in seen:
            raise ConfigurationError(f"{method.upper()} {path} has no operation id of its own.")
        seen.add(name)
        _complete(operation, scopes[_operation(path, method)])
    return plain


def _operation(path: str, method: str) -> str:
    """Name an operation the same way for Litestar's `{bot:str}` and OpenAPI's `{bot}`."""
    parts = [part.partition(":")[0] + "}" if ":" in part else part for part in path.split("/")]
    return f"{method.upper()} {'/'.join(parts)}"


def _complete(operation: dict[str, Any], scope: str) -> None:
    for status in [status for status in operation["responses"] if status.startswith(("4", "5"))]:
        if "ValidationException" in str(operation["responses"][status]) or status == "400":
            del operation["responses"][status]
    operation["responses"]["default"] = PROBLEM
    operation["x-scope"] = scope
    operation["security"] = [] if scope == PUBLIC else [{"key": []}]


def operations(description: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield path, method and operation of a description."""
    for path, item in description["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


@get("/openapi.json", include_in_schema=False, opt=needs(PUBLIC))
async def openapi_json(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The description for programs."""
    return Response(msgspec.json.encode(request.app.state.description), media_type="application/json")


ROUTES = (openapi_json,)
