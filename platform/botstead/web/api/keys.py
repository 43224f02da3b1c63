"""`/v1/keys`: who may call this API."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from litestar import Request, delete, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from botstead.store.keys import KeyRecord
from botstead.web.auth import needs
from botstead.web.deps import Deps
from botstead.web.paging import USUAL, Limit, Line, checked

TAGS = ["Keys"]
USUAL_DAYS = 90


class KeyPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of keys; `next` is the `before` of the next page."""

    items: tuple[KeyRecord, ...]
    next: str | None = None


class KeyCreate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to make. Without `expires_in_days` it lasts 90 days; null means for ever."""

    name: Line
    scopes: Annotated[list[Annotated[str, msgspec.Meta(max_length=40)]], msgspec.Meta(min_length=1, max_length=40)]
    expires_in_days: Annotated[int, msgspec.Meta(ge=1, le=3650)] | None = USUAL_DAYS


class KeyMade(msgspec.Struct, frozen=True, kw_only=True):
    """The new key. `key` is shown now and never again."""

    id: str
    key: str
    name: str
    scopes: tuple[str, ...]
    expires_at: datetime | None


@get("/v1/keys", operation_id="listKeys", opt=needs("keys:read"), tags=TAGS, summary="List API keys")
async def list_keys(
    deps: Deps,
    limit: Limit = USUAL,
    before: Annotated[str | None, QueryParameter(pattern=r"^[0-9A-Za-z]{1,40}$")] = None,
) -> KeyPage:
    """Revoked and expired ones too; never a secret."""
    found = await deps.keys.list(limit=limit + 1, before=before)
    return KeyPage(items=found[:limit], next=found[limit - 1].id if len(found) > limit else None)


@post("/v1/keys", operation_id="createKey", opt=needs("keys:write"), tags=TAGS, summary="Make an API key")
async def create_key(deps: Deps, request: Request[Any, Any, Any], data: JSONBody[KeyCreate]) -> KeyMade:
    """With at most the scopes of the key that asks."""
    lifetime = None if data.expires_in_days is None else timedelta(days=data.expires_in_days)
    record, key = await deps.keys.create(data.name, data.scopes, by=request.scope["auth"], lifetime=lifetime)
    return KeyMade(id=record.id, key=key.text(), name=record.name, scopes=record.scopes, expires_at=record.expires_at)


@delete("/v1/keys/{key:str}", operation_id="revokeKey", opt=needs("keys:write"), tags=TAGS, summary="Revoke an API key")
async def revoke_key(deps: Deps, request: Request[Any, Any, Any], key: FromPath[str]) -> None:
    """From now on it opens nothing."""
    await deps.keys.revoke(checked("key", key), by=request.scope["auth"])


ROUTES = (list_keys, create_key, revoke_key)
