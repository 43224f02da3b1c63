"""A Stripe to test against: strict about what it is sent, with idempotency keys, pages that can be paid, and signed events.

    async with StripeDouble() as stripe:
        stripe.hook(url, "whsec_…")
        …
        await stripe.pay(session)                  # or declined, later (then arrived or bounced), expired
        assert len(stripe.made("charge", order)) == 1

As a process: `python -m tests.doubles.stripe --port 9400 --log taken.jsonl`; what it can be told from outside stands in `provider.py`.

Sources: https://docs.stripe.com/api, the types of Stripe's own client, https://docs.stripe.com/api/idempotent_requests.
"""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
from aiohttp import web

from botstead.processes.prove.till.books import VERSION, Books, Refused, event, listed, shown
from tests.doubles.provider import ProviderDouble, Refusal, run
from tests.doubles.stripe_rules import EVENTS, ONE_SESSION, REFUND, REFUNDS, SESSION, SESSIONS, nested, wrong

KEY = re.compile(r"Bearer ([rs]k_(test|live)_[A-Za-z0-9]{8,})")
TWO_ZEROS = frozenset({"isk", "ugx"})
LAST_ZERO = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})
DAY = 86_400
OUTCOMES = {
    "paid": "pay",
    "declined": "decline",
    "later": "later",
    "arrived": "arrive",
    "bounced": "bounce",
    "expired": "expire",
}
"""What a person does, and what the books call it."""


def refused(status: int, message: str, *, code: str | None = None, kind: str = "invalid_request_error") -> Refusal:
    """An error as Stripe writes it."""
    return Refusal(status, {"error": {"type": kind, "message": message, "code": code}})


class StripeDouble(ProviderDouble):
    """The server."""

    key_header = "Idempotency-Key"
    keys_kept = float(DAY)

    def __init__(self, **options: Any) -> None:
        """Build it; see `ProviderDouble`."""
        super().__init__(**options)
        self.books = Books("")
        self.sessions, self.intents = self.books.pages, self.books.intents
        self.charges, self.refunds = self.books.charges, self.books.refunds
        self.events: list[dict[str, Any]] = []

    def routes(self) -> list[web.RouteDef]:
        """Eight addresses of the API."""
        return [
            web.post("/v1/checkout/sessions", self.api(self._create)),
            web.get("/v1/checkout/sessions", self.api(self._list_sessions)),
            web.get("/v1/checkout/sessions/{id}", self.api(self._get_session)),
            web.get("/v1/payment_intents/{id}", self.api(self._get_intent)),
            web.post("/v1/refunds", self.api(self._refund)),
            web.get("/v1/refunds", self.api(self._list_refunds)),
            web.get("/v1/refunds/{id}", self.api(self._get_refund)),
            web.get("/v1/events", self.api(self._list_events)),
        ]

    def problem(self, status: int) -> bytes:
        """An error of its own."""
        kind = "rate_limit_error" if status == 429 else "api_error"
        return msgspec.json.encode({"error": {"type": kind, "message": "Something went wrong on Stripe's end."}})

    def key_reused(self) -> Refusal:
        """400, as documented."""
        return refused(400, "Keys for idempotent requests can only be used with the same parameters.", kind="idempotency_error")

    def key_in_use(self) -> Refusal:
        """409, as documented."""
        return refused(409, "There is currently another in-progress request using this key.", code="idempotency_key_in_use")

    def hook(self, url: str, secret: str = "") -> None:
        """Send events there, signed."""
        self.hooks.tell(url, lambda body: {"Stripe-Signature": signature(body, secret)})

    async def pay(self, session: str, outcome: str = "paid") -> None:
        """Let a person do something on a page: paid, declined, later, arrived, bounced, expired."""
        if outcome not in OUTCOMES:
            raise refused(400, f"Nobody can do «{outcome}» there.")
        self._do(lambda: self.books.choose(session, OUTCOMES[outcome]))

    def _do(self, what: Callable[[], Any]) -> Any:
        """Do something in the books; note the money that it moved, and tell what happened."""
        try:
            done = what()
        except Refused as no:
            raise Refusal(no.status, no.body) from None
        lines, self.books.lines = self.books.lines, []
        for line in lines:
            if line.what != "page":
                thing = self.charges.get(line.id) or self.refunds[line.id]
                of = thing.get("charge") or thing["payment_intent"]
                self.move(line.what, order=line.order, id=line.id, amount=line.amount, currency=thing["currency"], of=of)
        news, self.books.news = self.books.news, []
        for one in news:
            said = event(self.new_id("evt_"), one)
            self.events.append(said)
            self.hooks.send(str(said["id"]), msgspec.json.encode(said))
        return done

    async def _create(self, request: web.Request, body: bytes) -> Mapping[str, Any]:
        fields = self._read(request, body, SESSION, keyed=True)
        lines = list(fields.get("line_items", {}).values())
        if fields.get("mode") != "payment" or len(lines) != 1 or "price_data" not in lines[0]:
            raise refused(400, "This double sells one thing at a time.")
        price = lines[0]["price_data"]
        amount, currency = int(price.get("unit_amount", 0)) * int(lines[0].get("quantity", 1)), price["currency"]
        for complaint in _unpayable(amount, currency):
            raise self._broken(complaint)
        self.books.base = self.url
        return shown(self._do(lambda: self.books.open(fields)))

    async def _get_session(self, request: web.Request, _body: bytes) -> Mapping[str, Any]:
        self._asked(request, ONE_SESSION)
        wanted = [value for name, value in request.query.items() if name.startswith("expand")]
        return shown(self._do(lambda: self.books.look(request.match_info["id"], wanted)))

    async def _list_sessions(self, request: web.Request, _body: bytes) -> Mapping[str, Any]:
        return self._page(request, self.sessions, SESSIONS)

    async def _get_intent(self, request: web.Request, _body: bytes) -> Mapping[str, Any]:
        self._authorized(request)
        return shown(self._known(self.intents, request.match_info["id"]))

    async def _get_refund(self, request: web.Request, _body: bytes) -> Mapping[str, Any]:
        self._authorized(request)
        return self._known(self.refunds, request.match_info["id"])

    async def _refund(self, request: web.Request, body: bytes) -> Mapping[str, Any]:
        fields = self._read(request, body, REFUND, keyed=True)
        return self.give_back(fields)

    def give_back(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """Refund, by the fields of the form."""
        return dict(self._do(lambda: self.books.refund(fields)))

    async def _list_refunds(self, request: web.Request, _body: bytes) -> Mapping[str, Any]:
        wanted = request.query.get("payment_intent")
        found = {key: one for key, one in self.refunds.items() if wanted in (None, one["payment_intent"])}
        return self._page(request, found, REFUNDS)

    async def _list_events(self, request: web.Request, _body: bytes) -> Mapping[str, Any]:
        taken = {"true": True, "false": False}.get(request.query.get("delivery_success", ""))
        found = {one["id"]: one for one in self.events if taken is None or (one["id"] in self.hooks.taken) is taken}
        return self._page(request, found, EVENTS)

    def _asked(self, request: web.Request, shape: Any) -> None:
        """Hold a query to the types of the official client."""
        self._authorized(request)
        for complaint in wrong(nested(request.query_string.encode()), shape):
            raise self._broken(complaint)

    def _page(self, request: web.Request, found: Mapping[str, dict[str, Any]], shape: Any) -> Mapping[str, Any]:
        """A list, newest first, as https://docs.stripe.com/api/pagination says."""
        self._asked(request, shape)
        return dict(self._do(lambda: listed(found, request.query, request.path)))

    def _read(self, request: web.Request, body: bytes, shape: Any, *, keyed: bool) -> dict[str, Any]:
        """Read a form, and hold it to the types of the official client."""
        self._authorized(request)
        if request.content_type != "application/x-www-form-urlencoded":
            raise self._broken("The body must be a form.")
        if keyed and not 0 < len(request.headers.get(self.key_header, "")) <= 255:
            self.violations.append(f"{request.path}: a request that costs money has no idempotency key")
        fields = nested(body)
        for complaint in wrong(fields, shape):
            raise self._broken(complaint)
        return fields

    def _authorized(self, request: web.Request) -> None:
        if not KEY.fullmatch(request.headers.get("Authorization", "")):
            raise refused(401, "Invalid API Key provided.")
        if request.headers.get("Stripe-Version") != VERSION:
            raise self._broken("The version of the API is not the pinned one.")

    def _broken(self, complaint: str) -> Refusal:
        self.violations.append(complaint)
        return refused(400, complaint)

    def _known(self, among: Mapping[str, dict[str, Any]], name: str) -> dict[str, Any]:
        if name not in among:
            raise refused(404, f"No such object: '{name}'", code="resource_missing")
        return among[name]


def signature(body: bytes, *secrets: str, at: float | None = None) -> str:
    """Sign as https://docs.stripe.com/webhooks/signature says, with each secret during a roll."""
    now = int(time.time() if at is None else at)
    made = [hmac.new(secret.encode(), b"%d." % now + body, "sha256").hexdigest() for secret in secrets]
    return ",".join(
        [f"t={now}", *(f"v1={one}" for one in made), "v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39"]
    )


def _unpayable(amount: int, currency: str) -> Iterator[str]:
    """What https://docs.stripe.com/currencies#special-cases refuses."""
    if not 0 < amount < 10**8 or currency != currency.lower():
        yield "Invalid amount or currency."
    if currency in TWO_ZEROS and amount % 100:
        yield "Invalid amount. The currency has become effectively zero-decimal and amounts must be evenly divisible by 100."
    if currency in LAST_ZERO and amount % 10:
        yield "Invalid amount. The last digit must be 0."


if __name__ == "__main__":
    run(StripeDouble, "A Stripe to test against.")
