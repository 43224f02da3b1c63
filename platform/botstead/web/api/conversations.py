"""`/v1/conversations`: who talks with which bot, what was said, and saying something."""

from __future__ import annotations

import secrets as randomness
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from botstead.core.errors import Conflict, Invalid, NotFound
from botstead.core.messages import Button, Event, Kind, Send
from botstead.pipeline.partitions import account_of, external_id
from botstead.store.transcripts import Found, Talks
from botstead.telemetry import tracecontext
from botstead.web.api.scopes import scope_of
from botstead.web.auth import needs
from botstead.web.deps import Deps
from botstead.web.paging import NO_NUL, USUAL, Before, Limit, checked

TEXT_LIMIT = 32_000
BUTTON_ROWS, BUTTONS_IN_ROW = 25, 8
BUTTON_BYTES = 64
"""The smallest limit of any provider, see `core.messages.Button`."""
KEY_LIMIT = 200
TAGS = ["Conversations"]
LARGEST_CHANNEL = 2**31 - 1


class ButtonIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A button: pressing it sends `value` (or the label) back to the bot, or opens `url`."""

    label: Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=NO_NUL)]
    value: Annotated[str, msgspec.Meta(max_length=BUTTON_BYTES, pattern=NO_NUL)] = ""
    url: Annotated[str, msgspec.Meta(max_length=2_000, pattern=r"^(https?://[^\s\x00-\x1f]+)?\Z")] = ""


Row = Annotated[list[ButtonIn], msgspec.Meta(min_length=1, max_length=BUTTONS_IN_ROW)]


class MessageIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something to say: Markdown, and rows of buttons."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=TEXT_LIMIT, pattern=NO_NUL)]
    buttons: Annotated[list[Row], msgspec.Meta(max_length=BUTTON_ROWS)] = []


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """It is kept and will be sent in the conversation's order. `GET /v1/messages/{id}` says where it is."""

    id: int
    conversation: str


def to_send(data: MessageIn) -> Send:
    """Turn a request into an action.

    Raises:
        Invalid: a button's value is longer than any provider takes.
    """
    rows = tuple(tuple(Button(label=one.label, value=one.value, url=one.url) for one in row) for row in data.buttons)
    if any(len(button.value.encode()) > BUTTON_BYTES for row in rows for button in row):
        raise Invalid(f"A button's value takes at most {BUTTON_BYTES} bytes.")
    return Send(text=data.text, buttons=rows)


def dedup_key(request: Request[Any, Any, Any]) -> str:
    """Return the key under which a request is done once: the caller's `Idempotency-Key`, or one of our own.

    Raises:
        Invalid: the header is empty, too long, not printable ASCII, or given twice.
    """
    given = request.headers.getall("idempotency-key", [])
    if not given:
        return f"api:{randomness.token_hex(16)}"
    key = given[0]
    if len(given) > 1 or not 0 < len(key) <= KEY_LIMIT or not key.isascii() or not key.isprintable():
        raise Invalid(f"Idempotency-Key takes 1 to {KEY_LIMIT} printable ASCII characters, once.")
    return f"api:key:{key}"


def caller_of(request: Request[Any, Any, Any]) -> str:
    """Return the caller's W3C trace context, or "" when it gave none or something else: a trace is never worth an error."""
    given = request.headers.getall(tracecontext.HEADER, [])
    return tracecontext.passed_on(given[0]) if len(given) == 1 else ""


@get("/v1/conversations", operation_id="listConversations", opt=needs("messages:read"), tags=TAGS, summary="List conversations")
async def list_conversations(
    deps: Deps,
    limit: Limit = USUAL,
    before: Before = None,
    bot: FromQuery[str | None] = None,
    channel: FromQuery[str | None] = None,
) -> Talks:
    """By last activity, newest first. A page may be short and still have a `next` one."""
    scope = await scope_of(deps, bot=bot, channel=channel)
    return await deps.history.conversations(limit=limit, before=before, scope=scope)


@get(
    "/v1/conversations/{conversation:str}/messages",
    operation_id="listConversationMessages",
    opt=needs("messages:read"),
    tags=TAGS,
    summary="Read a conversation",
)
async def read_conversation(deps: Deps, conversation: FromPath[str], limit: Limit = USUAL, before: Before = None) -> Found:
    """Newest message first. A `%` in the id is written `%25` in the address."""
    return await deps.history.messages(checked("conversation", conversation), limit=limit, before=before)


@post(
    "/v1/conversations/{conversation:str}/messages",
    operation_id="sendMessage",
    opt=needs("messages:send"),
    status_code=202,
    tags=TAGS,
    summary="Say something in a conversation",
)
async def send_message(
    deps: Deps, request: Request[Any, Any, Any], conversation: FromPath[str], data: JSONBody[MessageIn]
) -> Accepted:
    """Answers once it is kept durably. With the header `Idempotency-Key` a repeated request is done once.

    With a `traceparent` the message belongs to the caller's trace.
    """
    number = account_of(checked("conversation", conversation))
    if not 0 < number <= LARGEST_CHANNEL or not external_id(conversation):
        raise NotFound("There is no such conversation.")
    account = await deps.registry.account_by_number(number)
    if not account.enabled:
        raise Conflict("This channel or its bot is disabled. Enable it, then send again.")
    event = Event(
        kind=Kind.SEND,
        conversation=external_id(conversation),
        key=dedup_key(request),
        actions=(to_send(data),),
        traceparent=caller_of(request),
    )
    return Accepted(id=await deps.accept_one(account, event), conversation=conversation)


ROUTES = (list_conversations, read_conversation, send_message)
