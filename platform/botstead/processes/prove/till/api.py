"""The till's API: keys with stored answers, what is in the log before anybody is told, and what goes wrong.

Sources: https://docs.stripe.com/api/idempotent_requests, https://docs.stripe.com/error-low-level, https://docs.stripe.com/rate-limits
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import msgspec

from botstead.processes.prove.serving import Asked, Log, Visit
from botstead.processes.prove.till.books import VERSION, Books, Line, Refused, listed, nested, shown
from botstead.processes.prove.till.hooks import Hooks
from botstead.processes.prove.till.troubles import Orders, Schedule, Trouble

CONTROL: Final = "/control"
PAGES: Final = "/v1/checkout/sessions"
REFUNDS: Final = "/v1/refunds"
EVENTS: Final = "/v1/events"
PAY: Final = "/pay/"
_KEY: Final = re.compile(r"Bearer [rs]k_(test|live)_[A-Za-z0-9]{8,}")
_FORM: Final = "application/x-www-form-urlencoded"
_encode: Final = msgspec.json.Encoder().encode


class Kept(msgspec.Struct):
    """The answer under a key; status 0 while its request is being done."""

    fingerprint: str
    status: int = 0
    body: bytes = b""


class Reply(msgspec.Struct, frozen=True):
    """What is answered."""

    status: int
    body: bytes
    replayed: bool = False


class Till:
    """The state behind all connections."""

    def __init__(self, log: Log, *, base: str) -> None:
        """Begin with empty books, without troubles.

        Args:
            log: what remembers.
            base: the till's own address.
        """
        self.books = Books(base)
        self.hooks = Hooks()
        self._log = log
        self._kept: dict[str, Kept] = {}
        self._orders = Orders()
        self._schedule = Schedule(self._orders)

    async def serve(self, asked: Asked, visit: Visit) -> None:
        """Answer one request.

        Args:
            asked: the request.
            visit: the connection that it came on.
        """
        if asked.path == CONTROL:
            self._orders = msgspec.json.decode(asked.body, type=Orders)
            self._schedule = Schedule(self._orders)
            visit.write(200, b"{}")
        elif asked.path.startswith(PAY):
            reply = await self._chosen(asked)
            visit.write(reply.status, reply.body)
        else:
            await self._called(asked, visit)

    async def _chosen(self, asked: Asked) -> Reply:
        """A person does something on a page."""
        choice = dict(parse_qsl(asked.query)).get("choice", "pay")
        try:
            self.books.choose(unquote(asked.path.removeprefix(PAY)), choice)
        except Refused as no:
            return Reply(no.status, _encode(no.body))
        await self._keep()
        return Reply(200, b"{}")

    async def _called(self, asked: Asked, visit: Visit) -> None:
        """A program calls the API."""
        found = self._route(asked)
        if found is None:
            visit.write(404, _encode(Refused("There is no such address.", code="resource_missing").body))
            return
        on, answer = found
        trouble = self._schedule.struck(on)
        if trouble is None:
            self._write(visit, await self._once(asked, answer))
            return
        self._log.write(Line(what="fault", at=time.time(), kind=trouble.name, on=on, applied=trouble.applied))
        await self._suffer(trouble, asked, answer, visit)

    async def _suffer(self, trouble: Trouble, asked: Asked, answer: Callable[[], Any], visit: Visit) -> None:
        key = asked.headers.get("idempotency-key", "")
        first = key not in self._kept
        done = await self._once(asked, answer) if trouble.applied or trouble.kind == "slow" else None
        if trouble.kind == "slow" and done is not None:
            await asyncio.sleep(trouble.seconds)
            self._write(visit, done)
        elif trouble.kind == "limited":
            body = _encode(Refused("Too many requests.", kind="rate_limit_error", code="rate_limit").body)
            visit.write(429, body, headers={"Retry-After": f"{trouble.seconds:.0f}"})
        elif trouble.kind == "error":
            body = _encode(Refused("Something went wrong on our end.", kind="api_error").body)
            if trouble.stored and key and first:
                self._kept.setdefault(key, Kept(_fingerprint(asked)))
                self._kept[key].status, self._kept[key].body = 500, body
            visit.write(500, body)
        else:
            await asyncio.sleep(trouble.seconds if trouble.kind == "hang" else 0)
            if visit.transport is not None:
                visit.transport.abort()

    async def _once(self, asked: Asked, answer: Callable[[], Any]) -> Reply:
        """Do it, or repeat what was answered under its key; what was done is on the disk by then."""
        key = asked.headers.get("idempotency-key") if asked.method == "POST" else None
        try:
            kept = self._kept.get(key) if key else None
            if kept is not None:
                return _again(kept, asked)
            made = Reply(200, _encode(answer()))
        except Refused as no:
            return Reply(no.status, _encode(no.body))
        if key:
            self._kept[key] = Kept(_fingerprint(asked))
        await self._keep()
        if key:
            self._kept[key].status, self._kept[key].body = made.status, made.body
        return made

    async def _keep(self) -> None:
        """Write what was made to the disk; only then tell it."""
        lines, self.books.lines = self.books.lines, []
        news, self.books.news = self.books.news, []
        written = [self._log.write(line) for line in lines]
        if written:
            await asyncio.shield(written[-1])
        for line in self.hooks.tell(news, self._orders, self._schedule):
            self._log.write(line)

    def _route(self, asked: Asked) -> tuple[str, Callable[[], Any]] | None:
        books, query = self.books, dict(parse_qsl(asked.query))
        name = unquote(asked.path.removeprefix(f"{PAGES}/"))
        if asked.method == "GET" and name != asked.path:
            return "look", lambda: shown(books.look(name, _expanded(asked)))
        known: dict[tuple[str, str], tuple[str, Callable[[], Any]]] = {
            ("POST", PAGES): ("open", lambda: shown(books.open(_form(asked)))),
            ("POST", REFUNDS): ("refund", lambda: books.refund(_form(asked))),
            ("GET", PAGES): ("list", lambda: _list(asked, books.pages)),
            ("GET", REFUNDS): ("list", lambda: _list(asked, books.refunds_of(query.get("payment_intent", "")))),
            ("GET", EVENTS): ("list", lambda: _list(asked, {})),
        }
        return known.get((asked.method, asked.path))

    @staticmethod
    def _write(visit: Visit, reply: Reply) -> None:
        visit.write(reply.status, reply.body, headers={"Idempotent-Replayed": "true"} if reply.replayed else {})


def _again(kept: Kept, asked: Asked) -> Reply:
    if kept.fingerprint != _fingerprint(asked):
        words = "Keys for idempotent requests can only be used with the same parameters they were first used with."
        raise Refused(words, kind="idempotency_error")
    if not kept.status:
        raise Refused("Another request with this key is in progress.", status=409, code="idempotency_key_in_use")
    return Reply(kept.status, kept.body, replayed=True)


def _authorized(asked: Asked) -> None:
    if not _KEY.fullmatch(asked.headers.get("authorization", "")):
        raise Refused("Invalid API Key provided.", status=401)
    if asked.headers.get("stripe-version") != VERSION:
        raise Refused("The version of the API is not the one of these books.")


def _expanded(asked: Asked) -> list[str]:
    """Return what is to be shown whole: `expand[]`, or `expand[0]` as Stripe's own client writes."""
    _authorized(asked)
    return [value for name, value in parse_qsl(asked.query) if name.startswith("expand[")]


def _form(asked: Asked) -> dict[str, Any]:
    _authorized(asked)
    if asked.headers.get("content-type", "").partition(";")[0] != _FORM:
        raise Refused("The body must be a form.")
    return nested(asked.body)


def _list(asked: Asked, found: dict[str, Any]) -> Any:
    _authorized(asked)
    return listed(found, dict(parse_qsl(asked.query)), asked.path)


def _fingerprint(asked: Asked) -> str:
    return hashlib.sha256(f"{asked.method} {asked.path}\n".encode() + asked.body).hexdigest()
