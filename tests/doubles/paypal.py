"""A PayPal to test against: orders, captures, refunds, tokens, and events signed with a certificate that is fetched from it.

    async with PayPalDouble() as paypal:
        paypal.hook(url, "WEBHOOKID")
        …
        await paypal.pay(order)            # approves it; or declined, pending (then arrived or denied), gone
        assert len(paypal.made("charge", ours)) == 1

As a process: `python -m tests.doubles.paypal --port 9500 --log taken.jsonl`; what it can be told from outside stands in `provider.py`,
and GET `/_control/authority` is the PEM for the setting `authority`.

Sources: PayPal's published descriptions (specs/NOTICE), https://developer.paypal.com/api/rest/webhooks/rest/.
"""

from __future__ import annotations

import json
import re
import time
import zlib
from base64 import b64decode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from tests.doubles import paypal_signing as signing
from tests.doubles.paypal_rules import wrong
from tests.doubles.provider import ProviderDouble, Refusal, run

CLIENT, CLIENT_SECRET = "client-of-the-double", "secret-of-the-double"
HOUR = 3_600.0
WHOLE = frozenset({"HUF", "JPY", "TWD"})
CERTIFICATE = "/v1/notifications/certs/CERT-double"


def refused(status: int, name: str, issue: str = "", message: str = "") -> Refusal:
    """An error as PayPal writes it."""
    details = [{"issue": issue, "description": message or issue}] if issue else []
    return Refusal(status, {"name": name, "message": message or name, "debug_id": "f00dcafe", "details": details, "links": []})


class PayPalDouble(ProviderDouble):
    """The server."""

    key_header = "PayPal-Request-Id"
    keys_kept = 6 * HOUR

    def __init__(self, *, token_seconds: int = 32_400, **options: Any) -> None:
        """Build it; see `ProviderDouble`.

        Args:
            token_seconds: how long a token is said to hold.
            **options: of `ProviderDouble`.
        """
        super().__init__(**options)
        self.orders: dict[str, dict[str, Any]] = {}
        self.tokens: set[str] = set()
        self.certificate = signing.certificate()
        self.webhooks: dict[str, str] = {}
        self.believed = True
        self._token_seconds = token_seconds
        self._invoices: set[str] = set()

    def routes(self) -> list[web.RouteDef]:
        """Its addresses."""
        return [
            web.post("/v1/oauth2/token", self.api(self._token)),
            web.post("/v2/checkout/orders", self.api(self._create)),
            web.get("/v2/checkout/orders/{id}", self.api(self._get)),
            web.post("/v2/checkout/orders/{id}/capture", self.api(self._capture)),
            web.post("/v2/payments/captures/{id}/refund", self.api(self._refund)),
            web.get("/v1/notifications/webhooks", self.api(self._webhooks)),
            web.post("/v1/notifications/verify-webhook-signature", self.api(self._vouch)),
            web.get(CERTIFICATE, self._certificate),
            web.get("/_control/authority", self._authority),
        ]

    def problem(self, status: int) -> bytes:
        """An error of its own."""
        name = "RATE_LIMIT_REACHED" if status == 429 else "INTERNAL_SERVER_ERROR"
        return msgspec.json.encode({"name": name, "message": "An internal server error occurred.", "debug_id": "f00dcafe"})

    def key_reused(self) -> Refusal:
        """What it says to a key that was used for something else."""
        return refused(400, "INVALID_REQUEST", "DUPLICATE_REQUEST_ID")

    def key_in_use(self) -> Refusal:
        """What it says to a key whose first request is not finished."""
        return refused(409, "RESOURCE_CONFLICT", "PREVIOUS_REQUEST_IN_PROGRESS")

    def hook(self, url: str, secret: str = "") -> None:
        """Send events there, signed for the webhook of that id."""
        name = secret or f"WEBHOOK{len(self.webhooks)}"
        self.webhooks[name] = url
        self.hooks.tell(url, lambda body: signing.headers(body, webhook_id=name, cert_url=self.url + CERTIFICATE))

    async def pay(self, session: str, outcome: str = "paid") -> None:
        """Let a person do something with an order: paid (they approve), declined, pending, arrived, denied, gone."""
        order = self._order(session)
        waits = order["_then"] == "pending" and order["status"] == "COMPLETED"
        if order["status"] != "PAYER_ACTION_REQUIRED" and not (waits and outcome in {"arrived", "denied"}):
            raise refused(422, "UNPROCESSABLE_ENTITY", "ORDER_ALREADY_APPROVED")
        match outcome:
            case "paid" | "declined" | "pending":
                order |= {"status": "APPROVED", "_then": outcome}
                self._tell("CHECKOUT.ORDER.APPROVED", "checkout-order", _shown(order))
            case "arrived":
                self._arrive(order)
            case "denied":
                self._captured(order)["status"] = "DECLINED"
                self._tell("PAYMENT.CAPTURE.DENIED", "capture", self._captured(order))
            case "gone":
                del self.orders[session]
            case _:
                raise refused(422, "UNPROCESSABLE_ENTITY", f"nobody can do «{outcome}» there")

    def _captured(self, order: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = order["purchase_units"][0]["payments"]["captures"][0]
        return found

    def _arrive(self, order: dict[str, Any]) -> None:
        """Take the money, once for each capture: the only place where it comes in."""
        capture, unit = self._captured(order), order["purchase_units"][0]
        capture["status"] = "COMPLETED"
        order["_then"] = "paid"
        capture.pop("status_details", None)
        amount = capture["amount"]
        ours = unit.get("custom_id", "")
        self.move(
            "charge", order=ours, id=capture["id"], amount=amount["value"], currency=amount["currency_code"], of=order["id"]
        )
        self._tell("PAYMENT.CAPTURE.COMPLETED", "capture", capture)

    def _tell(self, kind: str, resource_type: str, resource: Mapping[str, Any]) -> None:
        event = {
            "id": self.new_id("WH-"),
            "event_version": "1.0",
            "create_time": _moment(),
            "resource_type": resource_type,
            "event_type": kind,
            "summary": kind.replace(".", " ").capitalize(),
            "resource": resource,
            "links": [],
        }
        self.violations += wrong(event, "event", spec="paypal-webhooks-v1")
        # Bodies are as long as PayPal cares to write them; the signature is about bytes, so spaces and order matter.
        self.hooks.send(event["id"], json.dumps(event, indent=1, ensure_ascii=False).encode())

    async def _token(self, request: web.Request, body: bytes) -> Mapping[str, Any]:
        given = request.headers.get("Authorization", "")
        if not given.startswith("Basic ") or b64decode(given[6:]).decode() != f"{CLIENT}:{CLIENT_SECRET}":
            raise refused(401, "invalid_client", message="Client Authentication failed")
        if body != b"grant_type=client_credentials":
            self.violations.append("a token is asked for with client credentials")
        token = self.new_id("A21AA")
        self.tokens.add(token)
        return {"access_token": token, "token_type": "Bearer", "expires_in": self._token_seconds, "scope": ""}

    async def _create(self, request: web.Request, body: bytes) -> Mapping[str, Any]:
        fields = self._read(request, body)
        complaints = list(wrong(fields, "order_request", closed=True))
        unit = fields["purchase_units"][0]
        amount = unit["amount"]
        digits = 0 if amount["currency_code"] in WHOLE else 2
        if not re.fullmatch(r"[1-9][0-9]*" if digits == 0 else r"[0-9]+\.[0-9]{2}", amount["value"]):
            complaints.append(f"DECIMAL_PRECISION: {amount}")
        if complaints:
            self.violations += complaints
            raise refused(422, "UNPROCESSABLE_ENTITY", complaints[0])
        name = f"{self._number + 1:05d}ORDER{zlib.crc32(self.new_id('O').encode()):08X}"
        order: dict[str, Any] = {
            "id": name,
            "intent": fields["intent"],
            "status": "PAYER_ACTION_REQUIRED",
            "create_time": _moment(),
            "purchase_units": [{"reference_id": "default", **unit}],
            "links": [
                {"href": f"{self.url}/v2/checkout/orders/{name}", "rel": "self", "method": "GET"},
                {"href": f"{self.url}/pay/{name}", "rel": "payer-action", "method": "GET"},
            ],
            "_then": "",
        }
        self.orders[name] = order
        return self._answer(order)

    async def _get(self, request: web.Request, _body: bytes) -> Mapping[str, Any]:
        self._authorized(request)
        return self._answer(self._order(request.match_info["id"]))

    async def _capture(self, request: web.Request, body: bytes) -> Mapping[str, Any]:
        self._read(request, body)
        order = self._order(request.match_info["id"])
        unit = order["purchase_units"][0]
        if order["status"] == "COMPLETED":
            raise refused(422, "UNPROCESSABLE_ENTITY", "ORDER_ALREADY_CAPTURED")
        if order["status"] != "APPROVED":
            raise refused(422, "UNPROCESSABLE_ENTITY", "ORDER_NOT_APPROVED")
        if order["_then"] == "declined":
            order["status"] = "PAYER_ACTION_REQUIRED"
            raise refused(422, "UNPROCESSABLE_ENTITY", "INSTRUMENT_DECLINED")
        if unit["invoice_id"] in self._invoices:
            raise refused(422, "UNPROCESSABLE_ENTITY", "DUPLICATE_INVOICE_ID")
        self._invoices.add(unit["invoice_id"])
        capture = {
            "id": self.new_id("CAP").upper(),
            "status": "PENDING",
            "status_details": {"reason": "ECHECK"},
            "amount": unit["amount"],
            "custom_id": unit.get("custom_id", ""),
            "invoice_id": unit["invoice_id"],
            "final_capture": True,
            "create_time": _moment(),
            "supplementary_data": {"related_ids": {"order_id": order["id"]}},
            "links": [],
        }
        unit["payments"] = {"captures": [capture]}
        order["status"] = "COMPLETED"
        if order["_then"] == "pending":
            self._tell("PAYMENT.CAPTURE.PENDING", "capture", capture)
        else:
            self._arrive(order)
        return self._answer(order)

    async def _refund(self, request: web.Request, body: bytes) -> Mapping[str, Any]:
        fields = self._read(request, body)
        if set(fields) - {"amount", "invoice_id", "custom_id", "note_to_payer"}:
            self.violations.append(f"a refund has no {set(fields)}")
        self.violations += wrong(fields.get("amount", {}), "money", closed=True)
        name = request.match_info["id"]
        order = next(
            (one for one in self.orders.values() if one["status"] == "COMPLETED" and self._captured(one)["id"] == name), None
        )
        if order is None:
            raise refused(404, "RESOURCE_NOT_FOUND", "INVALID_RESOURCE_ID")
        payments, capture = order["purchase_units"][0]["payments"], self._captured(order)
        before = sum((Decimal(one["amount"]["value"]) for one in payments.get("refunds", [])), Decimal(0))
        whole = Decimal(capture["amount"]["value"])
        amount = fields.get("amount", capture["amount"])
        total = before + Decimal(amount["value"])
        if before == whole:
            raise refused(422, "UNPROCESSABLE_ENTITY", "CAPTURE_FULLY_REFUNDED")
        if total > whole:
            raise refused(422, "UNPROCESSABLE_ENTITY", "REFUND_AMOUNT_EXCEEDED")
        currency = amount["currency_code"]
        refund = {
            "id": self.new_id("REF").upper(),
            "status": "COMPLETED",
            "amount": amount,
            "custom_id": fields.get("custom_id", capture["custom_id"]),
            "create_time": _moment(),
            "seller_payable_breakdown": {"total_refunded_amount": {"currency_code": currency, "value": str(total)}},
            "links": [{"href": f"{self.url}/v2/payments/captures/{name}", "rel": "up", "method": "GET"}],
        }
        self.violations += wrong(refund, "refund")
        payments.setdefault("refunds", []).append(refund)
        capture["status"] = "REFUNDED" if total == whole else "PARTIALLY_REFUNDED"
        ours = order["purchase_units"][0]["custom_id"]
        self.move("refund", order=ours, id=refund["id"], amount=amount["value"], currency=currency, of=name)
        self._tell("PAYMENT.CAPTURE.REFUNDED", "refund", refund)
        return refund

    async def _webhooks(self, request: web.Request, _body: bytes) -> Mapping[str, Any]:
        self._authorized(request)
        return {"webhooks": [{"id": name, "url": url, "event_types": [{"name": "*"}]} for name, url in self.webhooks.items()]}

    async def _vouch(self, request: web.Request, body: bytes) -> Mapping[str, Any]:
        fields = self._read(request, body, keyed=False)
        self.violations += wrong(fields, "verify_webhook_signature", spec="paypal-webhooks-v1")
        raw = bytes(msgspec.json.decode(body, type=dict[str, msgspec.Raw])["webhook_event"])
        said = [fields["transmission_id"], fields["transmission_time"], fields["webhook_id"], str(zlib.crc32(raw))]
        try:
            signing.key(0).public_key().verify(
                b64decode(fields["transmission_sig"]), "|".join(said).encode(), PKCS1v15(), SHA256()
            )
        except InvalidSignature:
            return {"verification_status": "FAILURE"}
        return {"verification_status": "SUCCESS" if self.believed else "FAILURE"}

    async def _certificate(self, request: web.Request) -> web.Response:
        self.requests.append((request.method, request.path))
        return web.Response(body=self.certificate, content_type="application/x-pem-file")

    async def _authority(self, _request: web.Request) -> web.Response:
        return web.Response(body=signing.authority_pem(), content_type="application/x-pem-file")

    def _answer(self, order: Mapping[str, Any]) -> Mapping[str, Any]:
        shown = _shown(order)
        self.violations += wrong(shown, "order")
        return shown

    def _read(self, request: web.Request, body: bytes, *, keyed: bool = True) -> dict[str, Any]:
        self._authorized(request)
        if request.content_type != "application/json":
            self.violations.append(f"{request.path}: the body must be JSON")
        if keyed and not 0 < len(request.headers.get(self.key_header, "")) <= 108:
            self.violations.append(f"{request.path}: a request that costs money has no PayPal-Request-Id")
        if keyed and request.headers.get("Prefer") != "return=representation":
            self.violations.append(f"{request.path}: without Prefer the answer says next to nothing")
        fields: dict[str, Any] = json.loads(body)
        return fields

    def _authorized(self, request: web.Request) -> None:
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            raise refused(
                401, "AUTHENTICATION_FAILURE", message="Authentication failed due to invalid authentication credentials."
            )

    def _order(self, name: str) -> dict[str, Any]:
        if name not in self.orders:
            raise refused(404, "RESOURCE_NOT_FOUND", "INVALID_RESOURCE_ID", "Specified resource ID does not exist.")
        return self.orders[name]


def _shown(order: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in order.items() if not name.startswith("_")}


def _moment(clock: Callable[[], float] = time.time) -> str:
    return datetime.fromtimestamp(clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


if __name__ == "__main__":
    run(PayPalDouble, "A PayPal to test against.")
