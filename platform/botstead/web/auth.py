"""Who may call what. Every route declares its scope in `opt`; without one the application does not start.

`opt={"scope": "bots:read"}` asks for a key with that scope; `opt={"scope": PUBLIC}` says that strangers may call it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from botstead.core.errors import ConfigurationError, Forbidden, Rejected
from botstead.store.keys import SCOPES, Keys, Principal

PUBLIC = "public"
"""The scope of routes that strangers may call."""
_LONGEST = 200
"""Characters of an Authorization header that are looked at."""

Connection = ASGIConnection[Any, Any, Any, Any]


def needs(scope: str) -> dict[str, str]:
    """Return the `opt` of a route: `@get(…, opt=needs("bots:read"))`."""
    return {"scope": scope}


def bearer(connection: Connection) -> str | None:
    """Return the key that a request carries, or None when it carries none.

    Raises:
        Rejected: there is an Authorization header of another kind, or more than one.
    """
    found = connection.headers.getall("authorization", [])
    if not found:
        return None
    kind, _, key = found[0][:_LONGEST].partition(" ")
    if len(found) > 1 or kind.lower() != "bearer":
        raise Rejected("Send one API key: `Authorization: Bearer bsk_…`.", reason="malformed")
    return key.strip()


async def known(connection: Connection, keys: Keys) -> Principal | None:
    """Return who asks, or None when no key was sent.

    Raises:
        Rejected: the key is not valid.
        Unavailable: the database is away.
    """
    key = bearer(connection)
    return None if key is None else await keys.authenticate(key)


def guard(keys: Keys) -> Guard:
    """Build the guard of the whole application.

    Args:
        keys: knows the keys.
    """

    async def allow(connection: Connection, handler: BaseRouteHandler) -> None:
        scope = handler.opt.get("scope")
        if scope == PUBLIC or connection.scope.get("method") == "OPTIONS":
            return
        principal = await known(connection, keys)
        if principal is None:
            raise Rejected("An API key is needed: `Authorization: Bearer bsk_…`.", reason="missing")
        if not principal.may(str(scope)):
            raise Forbidden(f"This key lacks the scope {scope}. Ask for a key that has it.")
        connection.scope["auth"] = principal

    return allow


def handlers(app: Litestar) -> Iterable[tuple[str, str, BaseRouteHandler]]:
    """Yield path, method and handler of every route, without the OPTIONS that Litestar adds itself."""
    for route in app.routes:
        found = getattr(route, "route_handlers", None) or (route.route_handler,)  # type: ignore[union-attr]  # the kinds differ
        for handler in found:
            methods = getattr(handler, "http_methods", {"*"})
            for method in sorted(methods):
                if method != "OPTIONS":
                    yield route.path, method, handler


def check_scopes(app: Litestar) -> None:
    """Refuse an application with a route that does not say who may call it.

    Raises:
        ConfigurationError: a route declares no scope, or an unknown one; the message names it.
    """
    for path, method, handler in handlers(app):
        scope = handler.opt.get("scope")
        if scope != PUBLIC and scope not in SCOPES:
            raise ConfigurationError(
                f"{method} {path} declares the scope {scope!r}. Give it one of {PUBLIC}, {', '.join(SCOPES)}."
            )
