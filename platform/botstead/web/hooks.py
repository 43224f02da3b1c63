"""`POST /hooks/{channel_id}`: a provider's delivery. Raw bytes first, verified, then kept, then acknowledged.

The hot path, so it stands in front of Litestar: its routing, copied scopes and guards cost a delivery more than all that
is done here. An unknown channel and a bad signature give the same answer; whatever comes in, a client's fault is 4xx; when
the database is away the answer is 503 with Retry-After, and the provider delivers again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from botstead.core.errors import BotsteadError, Rejected, TooLarge
from botstead.core.messages import Answer, Delivery, Event, Kind, Parsed
from botstead.core.ports import Accept, Account, ChannelKind
from botstead.telemetry import tracecontext
from botstead.telemetry.catalog import ACK, REJECTED
from botstead.telemetry.exemplars import kept
from botstead.telemetry.logs import event
from botstead.web import problems

PREFIX = "/hooks/"
MOST_EVENTS = 500
"""Events in one delivery; no provider comes near it."""
EMPTY = Answer(body=b"{}")
SLOW = 0.5
"""Seconds from which on an acknowledgement is worth looking at; the objective is one second."""
TRACEPARENT = tracecontext.HEADER.encode()

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class HookDeps:
    """What the hooks are built from.

    Args:
        find: a channel by its public id.
        kinds: channel kinds by name.
        accept: the door to the inbox.
        moved: notes a conversation's new address: (account, event).
        body_limit: bytes.
        rejected: told of a delivery that was turned away: (the channel's number, why).
    """

    find: Callable[[str], Awaitable[Account | None]]
    kinds: Mapping[str, ChannelKind]
    accept: Accept
    moved: Callable[[Account, Event], Awaitable[None]]
    body_limit: int
    rejected: Callable[[int, str], None] = lambda _channel, _reason: None


class Hooks:
    """The ASGI application in front: takes deliveries, and hands every other request on."""

    def __init__(self, deps: HookDeps, otherwise: ASGIApp) -> None:
        """Build it.

        Args:
            deps: what the hooks need.
            otherwise: the application for everything else.
        """
        self._deps = deps
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI asks for it."""
        if scope["type"] == ScopeType.HTTP and scope["path"].startswith(PREFIX):
            await self._deliver(scope, receive, send)
        else:
            await self._otherwise(scope, receive, send)

    async def _deliver(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        began = time.monotonic()
        kind = "_other"
        account: Account | None = None
        headers: tuple[tuple[bytes, bytes], ...] = ()
        try:
            if scope["method"] != "POST":
                answer = Answer(body=_problem(405, "method_not_allowed", "Deliver with POST."), status=405)
                await _answer(send, answer, ((b"allow", b"POST"),))
                return
            body = await _body(scope, receive, self._deps.body_limit)
            delivery = Delivery(body, tuple(scope["headers"]), "POST", scope["query_string"])
            account = await self._deps.find(scope["path"].removeprefix(PREFIX).strip("/"))
            kind = account.kind if account else kind
            answer = await _take(self._deps, account, delivery)
        except BotsteadError as error:
            answer, headers = _refusal(error, kind)
            if account is not None and isinstance(error, Rejected):
                self._deps.rejected(account.id, error.reason)
        except Exception as error:  # noqa: BLE001  # the last line: a fault of ours is said, never shown
            event(logger, "hook_failed", level=logging.ERROR, exception=error, channel=kind)
            answer = Answer(body=_problem(500, "internal_error", "Something went wrong here."), status=500)
        await _answer(send, answer, headers)
        if answer.status < 400:
            _acknowledged(kind, time.monotonic() - began)
        elif answer.status >= 500:
            ACK.at(kind)  # starts at 0: the objective adds the two up
            REJECTED.at(kind, "unavailable").inc()


def _acknowledged(kind: str, took: float) -> None:
    """Note how long an acknowledgement took; a slow one leads to its message."""
    if took > SLOW and (trace := kept.get()) is not None:
        ACK.at(kind).observe_traced(took, trace.hex)
    else:
        ACK.at(kind).observe(took)


async def _take(deps: HookDeps, account: Account | None, delivery: Delivery) -> Answer:
    """Verify, parse, keep. Raises what the answer should be."""
    kind = deps.kinds.get(account.kind) if account else None
    if account is None or kind is None or not account.enabled:
        raise Rejected(reason="unknown")
    kind.verify(delivery, account, time.time())
    parsed: Parsed = kind.parse(delivery, account)
    if len(parsed.events) > MOST_EVENTS:
        raise TooLarge(f"A delivery may hold {MOST_EVENTS} events.")
    for found in parsed.events:
        if found.kind is Kind.MOVED:
            await deps.moved(account, found)
    await deps.accept(account, _with_context(parsed.events, delivery))
    return parsed.answer or EMPTY


def _with_context(events: tuple[Event, ...], delivery: Delivery) -> tuple[Event, ...]:
    """Let the messages of a verified delivery belong to the trace of whoever sent it, if they named one."""
    caller = tracecontext.passed_on(delivery.header(TRACEPARENT))
    return tuple(msgspec.structs.replace(found, traceparent=caller) for found in events) if caller else events


async def _body(scope: HTTPScope, receive: Receive, limit: int) -> bytes:
    declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    if declared.isdigit() and int(declared[:20]) > limit:
        raise TooLarge
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Rejected(reason="malformed")
        part: bytes = message.get("body", b"")  # type: ignore[assignment]  # a request message by now
        size += len(part)
        if size > limit:
            raise TooLarge
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


def _refusal(error: BotsteadError, kind: str) -> tuple[Answer, tuple[tuple[bytes, bytes], ...]]:
    if isinstance(error, Rejected):
        REJECTED.at(kind, error.reason).inc()
        return Answer(body=_problem(401, "unauthorized", "The delivery is not signed for this channel."), status=401), ()
    if error.status >= 500 and not error.expected:
        event(logger, "hook_failed", level=logging.ERROR, exception=error, channel=kind)
    headers = ((b"retry-after", str(max(1, round(error.after or 1))).encode()),) if error.retry == "after" else ()
    return Answer(body=_problem(error.status, error.code, error.message), status=error.status), headers


def _problem(status: int, code: str, detail: str) -> bytes:
    return msgspec.json.encode(problems.describe(status=status, code=code, detail=detail))


async def _answer(send: Send, answer: Answer, headers: tuple[tuple[bytes, bytes], ...]) -> None:
    content_type = answer.content_type if answer.status < 400 else problems.MEDIA_TYPE.encode()
    length = (b"content-length", str(len(answer.body)).encode())
    await send(
        {"type": "http.response.start", "status": answer.status, "headers": [(b"content-type", content_type), length, *headers]}
    )
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})
