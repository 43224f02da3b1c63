"""The addresses of the web chat: its page and files, what a visitor posts, and the stream of what is said."""

from __future__ import annotations

import asyncio
import secrets
import uuid
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIFormat, OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema
from litestar.params import FromPath, FromQuery
from litestar.types import ASGIApp

from botstead.channels.webchat.parse import BUTTON_LIMIT, TEXT_LIMIT, parse_posted
from botstead.channels.webchat.render import Shown
from botstead.channels.webchat.verify import COOKIE, check_origin, visitor_of
from botstead.core.errors import NotFound, TooMany
from botstead.core.messages import Delivery
from botstead.core.ports import Account
from botstead.web.chat import page
from botstead.web.chat.cursor import Cursor
from botstead.web.chat.deps import ChatDeps
from botstead.web.chat.limiter import Limiter
from botstead.web.chat.response import EventStream
from botstead.web.chat.stream import TOPIC, TYPING, Streams

BODY_LIMIT = 65_536
"""Bytes of one posted message."""
MESSAGES, MESSAGE_SECONDS = 10, 10.0
"""A visitor may post this many messages in this many seconds."""
COOKIE_SECONDS = 365 * 86_400
FOR_EVER = "public, max-age=31536000, immutable"
ANYONE: list[dict[str, list[str]]] = [{}]
"""No key is asked for: visitors are strangers."""
TAGS = ["Chat"]

AnyRequest = Request[Any, Any, Any]


@dataclass
class _PostOperation(Operation):
    """Describes the body, which the handler reads itself: its limits answer in our own words."""

    def __post_init__(self) -> None:
        schema = Schema(
            type=OpenAPIType.OBJECT,
            properties={
                "text": Schema(type=OpenAPIType.STRING, max_length=TEXT_LIMIT),
                "button": Schema(type=OpenAPIType.STRING, max_length=BUTTON_LIMIT),
                "message": Schema(type=OpenAPIType.INTEGER),
                "id": Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.UUID),
            },
        )
        self.request_body = RequestBody(content={"application/json": OpenAPIMediaType(schema=schema)}, required=True)


class Accepted(msgspec.Struct, frozen=True):
    """The answer to a posted message: its id, given after it was kept durably."""

    id: int


def chat_routes(deps: ChatDeps) -> list[HTTPRouteHandler]:
    """Build the routes of the web chat.

    Args:
        deps: what they need from the rest of the platform.
    """
    chat = _Chat(deps)
    return [
        get(
            "/chat/{bot:str}",
            operation_id="ChatPage",
            summary="The chat's page",
            media_type="text/html",
            tags=TAGS,
            security=ANYONE,
        )(chat.show),
        get("/chat/assets/{version:str}/{name:str}", include_in_schema=False, tags=TAGS, security=ANYONE)(chat.asset),
        post(
            "/chat/{bot:str}/messages",
            operation_id="ChatPost",
            summary="Say something",
            status_code=202,
            request_max_body_size=BODY_LIMIT,
            operation_class=_PostOperation,
            tags=TAGS,
            security=ANYONE,
        )(chat.accept),
        get(
            "/chat/{bot:str}/events",
            operation_id="ChatEvents",
            summary="Listen to what is said (server-sent events)",
            responses={200: ResponseSpec(Shown, generate_examples=False, media_type="text/event-stream")},
            tags=TAGS,
            security=ANYONE,
            after_request=_unchanged,
        )(chat.events),
    ]


class _Chat:
    def __init__(self, deps: ChatDeps) -> None:
        self._deps = deps
        self._streams = Streams(deps)
        self._limiter = Limiter(most=MESSAGES, seconds=MESSAGE_SECONDS)

    def __deepcopy__(self, _memo: object) -> _Chat:
        """Stay one: Litestar copies route handlers deeply, and a bound method carries its object, pools and all."""
        return self

    async def show(self, bot: FromPath[str], request: AnyRequest) -> Response[bytes]:
        """Serve the page. Who comes for the first time gets the cookie that they are known by."""
        account = await self._account(bot)
        _, cookies = _visitor(request)
        return Response(
            page.page(bot, await self._deps.welcome(account)),
            media_type="text/html",
            headers={**page.SECURITY_HEADERS, "Cache-Control": "no-store"},
            cookies=cookies,
        )

    async def asset(self, version: FromPath[str], name: FromPath[str], request: AnyRequest) -> Response[bytes]:
        """Serve a file of the page. An old page may ask for another version: it gets ours, not to be kept."""
        tag = f'W/"{page.version()}"'
        known = request.headers.get("if-none-match") == tag
        packed = "gzip" in request.headers.get("accept-encoding", "")
        content = page.packed(name) if packed else page.asset(name)
        return Response(
            b"" if known else content,
            status_code=304 if known else 200,
            media_type=page.MEDIA_TYPES[name.rpartition(".")[2]],
            headers={
                **page.SECURITY_HEADERS,
                **({"Content-Encoding": "gzip"} if packed and not known else {}),
                "Vary": "accept-encoding",
                "Cache-Control": FOR_EVER if version == page.version() else "no-cache",
                "ETag": tag,
            },
        )

    async def accept(self, bot: FromPath[str], request: AnyRequest) -> Response[Accepted]:
        """Keep `{"text": …}` or `{"button": …}` durably. With an `id` (UUID) of yours, sending it again is safe."""
        account = await self._account(bot)
        check_origin(_delivery(request))
        visitor, cookies = _visitor(request)
        wait = self._limiter.take(f"{account.id}.{visitor}", asyncio.get_running_loop().time())
        if wait:
            raise TooMany(f"At most {MESSAGES} messages in {MESSAGE_SECONDS:.0f} seconds.", after=wait)
        event = parse_posted(await request.body(), visitor=visitor, fresh=uuid.uuid4())
        identity = await self._deps.accept_one(account, event)
        conversation = f"{account.id}.{visitor}"
        self._deps.wake.publish(TOPIC, conversation)
        self._deps.wake.publish(TOPIC, TYPING + conversation)
        return Response(Accepted(identity), cookies=cookies, headers={"Cache-Control": "no-store"})

    async def events(self, bot: FromPath[str], request: AnyRequest, after: FromQuery[str] = "") -> ASGIApp:
        """Stream what is said: the last 50 messages, or what came after `Last-Event-ID` (or `after`), then what comes."""
        account = await self._account(bot)
        visitor, cookies = _visitor(request)
        position = request.headers.get("last-event-id") or after
        return EventStream(
            self._streams,
            f"{account.id}.{visitor}",
            Cursor.decode(position, now=asyncio.get_running_loop().time()),
            draining=self._deps.draining,
            headers=[cookie.to_encoded_header() for cookie in cookies],
        )

    async def _account(self, bot: str) -> Account:
        account = await self._deps.find_account(bot)
        if account is None or not account.enabled:
            raise NotFound("There is no bot by that name to chat with.")
        return account


def _unchanged(response: Response[Any]) -> Response[Any]:
    """Keep the application's own hook away from a stream: it is no `Response`, and names all its headers itself."""
    return response


def _delivery(request: AnyRequest) -> Delivery:
    headers = tuple((name.lower(), value) for name, value in request.scope["headers"])
    return Delivery(b"", headers=headers)


def _visitor(request: AnyRequest) -> tuple[str, list[Cookie]]:
    """Find the visitor, or make one up together with the cookie to remember them by."""
    delivery = _delivery(request)
    known = visitor_of(delivery)
    visitor = known or str(uuid.UUID(bytes=secrets.token_bytes(16)))
    cookie = Cookie(
        COOKIE,
        value=visitor,
        path="/chat",
        max_age=COOKIE_SECONDS,
        secure=request.url.scheme == "https" or None,
        httponly=True,
        samesite="lax",
    )
    return visitor, [] if known else [cookie]
