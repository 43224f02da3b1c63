"""`/v1/messages`: search, and «where is my message?»; `/v1/traces`: its spans, where nobody else keeps them."""

from __future__ import annotations

import re
import uuid

from litestar import get
from litestar.params import FromPath, FromQuery

from botstead.core.errors import Invalid
from botstead.store.history import Tale, Trace
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
    trace: FromQuery[str | None] = None,
) -> Found:
    """Messages that hold every word of `q`, newest first; without it, the newest messages. With `trace`, those of a trace."""
    if trace is not None:
        return await deps.history.traced(trace_of(trace), limit=limit)
    scope = await scope_of(deps, bot=bot, channel=channel)
    return await deps.history.search(words(q), limit=limit, before=before, scope=scope)


@get("/v1/messages/{message:int}", operation_id="getMessage", opt=needs("messages:read"), tags=TAGS, summary="Where a message is")
async def get_message(deps: Deps, message: Number) -> Tale:
    """One message: where it is and why, what to do next, its timeline, and where the time went, stage by stage."""
    return await deps.history.one(message)


@get("/v1/traces/{trace:str}", operation_id="getTrace", opt=needs("messages:read"), tags=TAGS, summary="Show a trace")
async def get_trace(deps: Deps, trace: FromPath[str]) -> Trace:
    """The spans of every message of a trace, as a collector would get them, built from what is kept of the messages."""
    return await deps.history.trace(trace_of(trace))


def trace_of(text: str) -> uuid.UUID:
    """Return a trace id.

    Raises:
        Invalid: it is none.
    """
    if _TRACE.fullmatch(text) is None:
        raise Invalid("A trace id is 32 hex digits.")
    return uuid.UUID(hex=text)


_TRACE = re.compile(r"[0-9a-fA-F]{32}", re.ASCII)
ROUTES = (search_messages, get_message, get_trace)
