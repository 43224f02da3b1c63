"""`/v1/messages`: search, and «where is my message?»."""

from __future__ import annotations

from litestar import get
from litestar.params import FromQuery

from botstead.store.history import Tale
from botstead.store.transcripts import Found
from botstead.web.api.scopes import scope_of
from botstead.web.auth import needs
from botstead.web.deps import Deps
from botstead.web.paging import USUAL, Before, Limit, Number, words

TAGS = ["Messages"]


@get("/v1/messages", operation_id="searchMessages", opt=needs("messages:read"), tags=TAGS, summary="Search messages")
async def search_messages(  # noqa: PLR0913  # the query's parameters are a route's arguments
    deps: Deps,
    *,
    q: FromQuery[str] = "",
    limit: Limit = USUAL,
    before: Before = None,
    bot: FromQuery[str | None] = None,
    channel: FromQuery[str | None] = None,
) -> Found:
    """Messages that hold every word of `q`, newest first; without it, the newest messages."""
    scope = await scope_of(deps, bot=bot, channel=channel)
    return await deps.history.search(words(q), limit=limit, before=before, scope=scope)


@get("/v1/messages/{message:int}", operation_id="getMessage", opt=needs("messages:read"), tags=TAGS, summary="Where a message is")
async def get_message(deps: Deps, message: Number) -> Tale:
    """One message with its timeline: received, handled, answered, sent or not and why, or where it waits."""
    return await deps.history.one(message)


ROUTES = (search_messages, get_message)
