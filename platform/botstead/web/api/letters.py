"""`/v1/dead-letters`: what could not be handled or sent, and running it again."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from litestar import get, post
from litestar.params import FromQuery, JSONBody, QueryParameter

from botstead.core.errors import Invalid
from botstead.store.letters import Filter, Letter, LetterPage, Replay
from botstead.web.api.scopes import scope_of
from botstead.web.auth import needs
from botstead.web.deps import Deps
from botstead.web.paging import LARGEST, USUAL, Before, BotName, Limit, Number

TAGS = ["Dead letters"]
REASON = r"^[a-z_]{1,40}\Z"
Id = Annotated[int, msgspec.Meta(ge=1, le=LARGEST - 1)]
Side = Literal["in", "out", "internal"]


class ReplayWhich(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which letters to run again: those for which everything given holds. Without anything given, say `all`."""

    bot: BotName | None = None
    channel: Annotated[str, msgspec.Meta(max_length=60)] | None = None
    reason: Annotated[str, msgspec.Meta(pattern=REASON)] | None = None
    direction: Side | None = None
    first: Id | None = None
    last: Id | None = None
    all: bool = False
    dry_run: bool = False


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """It is back on the road. `GET /v1/messages/{id}` says where it is."""

    id: int


@get("/v1/dead-letters", operation_id="listDeadLetters", opt=needs("dead-letters:read"), tags=TAGS, summary="List dead letters")
async def list_letters(  # noqa: PLR0913  # the query's parameters are a route's arguments
    deps: Deps,
    *,
    limit: Limit = USUAL,
    before: Before = None,
    bot: FromQuery[str | None] = None,
    channel: FromQuery[str | None] = None,
    reason: Annotated[str | None, QueryParameter(pattern=REASON)] = None,
    direction: FromQuery[Side | None] = None,
    replayed: FromQuery[bool | None] = None,
) -> LetterPage:
    """Newest message first."""
    scope = await scope_of(deps, bot=bot, channel=channel)
    matching = Filter(bot=scope.bot, channel=scope.channel, reason=reason, direction=direction)
    return await deps.letters.list(limit=limit, before=before, matching=matching, replayed=replayed)


@get(
    "/v1/dead-letters/{message:int}",
    operation_id="getDeadLetter",
    opt=needs("dead-letters:read"),
    tags=TAGS,
    summary="Show a dead letter",
)
async def get_letter(deps: Deps, message: Number) -> Letter:
    """One dead letter by its message's id, with the error."""
    return await deps.letters.get(message)


@post(
    "/v1/dead-letters/{message:int}/replay",
    operation_id="replayDeadLetter",
    opt=needs("dead-letters:replay"),
    status_code=202,
    tags=TAGS,
    summary="Run one again",
)
async def replay_letter(deps: Deps, message: Number) -> Replayed:
    """Once for each failure; 409 when it was replayed and has not failed since."""
    await deps.letters.replay(message)
    deps.wake.publish("inbox")
    return Replayed(id=message)


@post(
    "/v1/dead-letters/replay",
    operation_id="replayDeadLetters",
    opt=needs("dead-letters:replay"),
    status_code=202,
    tags=TAGS,
    summary="Run many again",
)
async def replay_letters(deps: Deps, data: JSONBody[ReplayWhich]) -> Replay:
    """By filter, range of ids, or both; `dry_run` only counts them as `left`."""
    given = (data.bot, data.channel, data.reason, data.direction, data.first, data.last)
    if not (data.all or data.dry_run or any(value is not None for value in given)):
        raise Invalid('Say which ones, or {"all": true}.')
    scope = await scope_of(deps, bot=data.bot, channel=data.channel)
    which = Filter(
        bot=scope.bot,
        channel=scope.channel,
        reason=data.reason,
        direction=data.direction,
        first=data.first or 1,
        last=data.last or LARGEST - 1,
    )
    result = await deps.letters.replay_all(which, dry_run=data.dry_run)
    if result.replayed:
        deps.wake.publish("inbox")
    return result


ROUTES = (list_letters, get_letter, replay_letter, replay_letters)
