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
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from aiohttp import web

from tests.doubles.provider import ProviderDouble, Refusal, run
from tests.doubles.stripe_rules import EVENTS, ONE_SESSION, REFUND, REFUNDS, SESSION, SESSIONS, nested, wrong

VERSION = "2026-10-28.endive"
KEY = re.compile(r"Bearer ([rs]k_(test|live)_[A-Za-z0-9]{8,})")
TWO_ZEROS = frozenset({"isk", "ugx"})
LAST_ZERO = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})
DAY = 86_400


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
        self.sessions: dict[str, dict[str, Any]] = {}
        self.intents: dict[str, dict[str, Any]] = {}
        self.charges: dict[str, dict[str, Any]] = {}
        self.refunds: dict[str, dict[str, Any]] = {}
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
        page = self._known(self.sessions, session)
        waits = page["status"] == "complete" and page["payment_status"] == "unpaid"
        if page["status"] != "open" and not (waits and outcome in {"arrived", "bounced"}):
            raise refused(400, f"The page {session} is {page['status']}.")
        match outcome:
            case "paid":
                self._take(page)
                self._tell("checkout.session.completed", page)
            case "declined":
                intent = self._intent(page, "requires_payment_method")
                intent["last_payment_error"] = {
                    "type": "card_error",
                    "code": "card_declined",
                    "message": "Your card was declined.",
                }
                self._tell("payment_intent.payment_failed", intent)
            case "later":
                self._intent(page, "processing")
                page["status"] = "complete"
                self._tell("checkout.session.completed", page)
            case "arrived":
                self._take(page)
                self._tell("checkout.session.async_payment_succeeded", page)
            case "bounced":
                self._intent(page, "requires_payment_method")
                self._tell("checkout.session.async_payment_failed", page)
            case "expired":
                page |= {"status": "expired", "url": None}
                self._tell("checkout.session.expired", page)
            case _:
                raise refused(400, f"Nobody can do «{outcome}» there.")

    def _take(self, page: dict[str, Any]) -> None:
        """Charge, once: the only place where money comes in."""
        intent = self._intent(page, "succeeded")
        charge = _charge(self.new_id("ch_"), intent)
        self.charges[charge["id"]] = charge
        intent |= {"latest_charge": charge["id"], "amount_received": intent["amount"]}
        page |= {"status": "complete", "payment_status": "paid", "url": None}
        order = page["client_reference_id"] or ""
        self.move("charge", order=order, id=charge["id"], amount=charge["amount"], currency=charge["currency"], of=page["id"])

    def _intent(self, page: dict[str, Any], status: str) -> dict[str, Any]:
        if page["payment_intent"] is None:
            intent = _intent(self.new_id("pi_"), page)
            self.intents[intent["id"]] = intent
            page["payment_intent"] = intent["id"]
        intent = self.intents[page["payment_intent"]]
        intent["status"] = status
        return intent

    def _tell(self, kind: str, thing: Mapping[str, Any]) -> None:
        event = {
            "id": self.new_id("evt_"),
            "object": "event",
            "api_version": VERSION,
            "created": int(time.time()),
            "data": {"object": {name: value for name, value in thing.items() if not name.startswith("_")}},
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": kind,
        }
        self.events.append(event)
        self.hooks.send(str(event["id"]), msgspec.json.encode(event))

    async def _create(self, request: web.Request, body: bytes) -> Mapping[str, Any]:
        fields = self._read(request, body, SESSION, keyed=True)
        lines = list(fields.get("line_items", {}).values())
        if fields.get("mode") != "payment" or len(lines) != 1 or "price_data" not in lines[0]:
            raise refused(400, "This double sells one thing at a time.")
        price = lines[0]["price_data"]
        amount, currency = int(price.get("unit_amount", 0)) * int(lines[0].get("quantity", 1)), price["currency"]
        for complaint in _unpayable(amount, currency):
            raise self._broken(complaint)
        if not re.match("https?://", fields.get("success_url", "")):
            raise self._broken("Not a valid URL: success_url")
        page = _session(self.new_id("cs_test_"), fields, amount, currency, self.url)
        self.sessions[page["id"]] = page
        return _shown(page)

    async def _get_session(self, request: web.Request, _body: bytes) -> Mapping[str, Any]:
        self._asked(request, ONE_SESSION)
        page = dict(_shown(self._known(self.sessions, request.match_info["id"])))
        wanted = [value for name, value in request.query.items() if name.startswith("expand")]
        if wanted and page["payment_intent"]:
            intent = dict(_shown(self.intents[page["payment_intent"]]))
            if "payment_intent.latest_charge" in wanted and intent["latest_charge"]:
                intent["latest_charge"] = _shown(self.charges[intent["latest_charge"]])
            page["payment_intent"] = intent
        return page

    async def _list_sessions(self, request: web.Request, _body: bytes) -> Mapping[str, Any]:
        return self._page(request, self.sessions, SESSIONS)

    async def _get_intent(self, request: web.Request, _body: bytes) -> Mapping[str, Any]:
        self._authorized(request)
        return _shown(self._known(self.intents, request.match_info["id"]))

    async def _get_refund(self, request: web.Request, _body: bytes) -> Mapping[str, Any]:
        self._authorized(request)
        return self._known(self.refunds, request.match_info["id"])

    async def _refund(self, request: web.Request, body: bytes) -> Mapping[str, Any]:
        fields = self._read(request, body, REFUND, keyed=True)
        intent = self._known(self.intents, fields.get("payment_intent", ""))
        charge = self.charges.get(intent["latest_charge"] or "")
        if charge is None:
            raise refused(400, "This payment has no successful charge to refund.")
        amount = int(fields.get("amount", charge["amount"] - charge["amount_refunded"]))
        if charge["refunded"]:
            raise refused(400, f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
        if not 0 < amount <= charge["amount"] - charge["amount_refunded"]:
            raise refused(400, "Refund amount is greater than unrefunded amount on charge.")
        refund = _refund(self.new_id("re_"), charge, amount, fields.get("metadata", {}))
        self.refunds[refund["id"]] = refund
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        order = intent["metadata"].get("order", "")
        self.move("refund", order=order, id=refund["id"], amount=amount, currency=charge["currency"], of=charge["id"])
        self._tell("charge.refunded", charge)
        self._tell("refund.updated", refund)
        return refund

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

    def _page(self, request: web.Request, found: Mapping[str, Mapping[str, Any]], shape: Any) -> Mapping[str, Any]:
        """A list, newest first, as https://docs.stripe.com/api/pagination says."""
        self._asked(request, shape)
        lowest, highest = int(request.query.get("created[gte]", 0)), int(request.query.get("created[lte]", 2**40))
        listed = [one for one in reversed(found.values()) if lowest <= one["created"] <= highest]  # type: ignore[call-overload]
        after = request.query.get("starting_after")
        if after:
            listed = listed[[one["id"] for one in listed].index(after) + 1 :]
        limit = int(request.query.get("limit", 10))
        if not 1 <= limit <= 100:
            raise self._broken("Invalid limit: 1 to 100")
        return {
            "object": "list",
            "url": request.path,
            "has_more": len(listed) > limit,
            "data": [_shown(one) for one in listed[:limit]],
        }

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


def _shown(thing: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in thing.items() if not name.startswith("_")}


def _session(name: str, fields: Mapping[str, Any], amount: int, currency: str, base: str) -> dict[str, Any]:
    now = int(time.time())
    return {
        "id": name,
        "object": "checkout.session",
        "adaptive_pricing": {"enabled": fields.get("adaptive_pricing", {}).get("enabled") == "true"},
        "amount_subtotal": amount,
        "amount_total": amount,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "cancel_url": fields.get("cancel_url"),
        "client_reference_id": fields.get("client_reference_id"),
        "created": now,
        "currency": currency,
        "custom_fields": [],
        "custom_text": {"after_submit": None, "shipping_address": None, "submit": None, "terms_of_service_acceptance": None},
        "customer": None,
        "expires_at": now + DAY,
        "livemode": False,
        "metadata": dict(fields.get("metadata", {})),
        "mode": "payment",
        "payment_intent": None,
        "payment_method_types": ["card"],
        "payment_status": "unpaid",
        "shipping_options": [],
        "status": "open",
        "success_url": fields["success_url"],
        "url": f"{base}/pay/{name}",
        "_intent": dict(fields.get("payment_intent_data", {}).get("metadata", {})),
    }


def _intent(name: str, page: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": name,
        "object": "payment_intent",
        "amount": page["amount_total"],
        "amount_capturable": 0,
        "amount_received": 0,
        "capture_method": "automatic_async",
        "confirmation_method": "automatic",
        "created": int(time.time()),
        "currency": page["currency"],
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": page["_intent"],
        "payment_method_types": ["card"],
        "status": "requires_payment_method",
    }


def _charge(name: str, intent: Mapping[str, Any]) -> dict[str, Any]:
    address = {"city": None, "country": None, "line1": None, "line2": None, "postal_code": None, "state": None}
    return {
        "id": name,
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": intent["amount"],
        "amount_refunded": 0,
        "billing_details": {"address": address, "email": None, "name": None, "phone": None, "tax_id": None},
        "captured": True,
        "created": int(time.time()),
        "currency": intent["currency"],
        "disputed": False,
        "livemode": False,
        "metadata": intent["metadata"],
        "paid": True,
        "payment_intent": intent["id"],
        "refunded": False,
        "status": "succeeded",
    }


def _refund(name: str, charge: Mapping[str, Any], amount: int, metadata: Mapping[str, str]) -> dict[str, Any]:
    return {
        "id": name,
        "object": "refund",
        "amount": amount,
        "charge": charge["id"],
        "created": int(time.time()),
        "currency": charge["currency"],
        "metadata": dict(metadata),
        "payment_intent": charge["payment_intent"],
        "status": "succeeded",
    }


if __name__ == "__main__":
    run(StripeDouble, "A Stripe to test against.")
