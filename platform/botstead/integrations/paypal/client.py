"""`PayPal`: makes orders that people approve, captures and refunds, and says how its account is."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from botstead.core import bodies
from botstead.core.clock import Clock, SystemClock
from botstead.core.errors import EgressBroken, PaymentRefused
from botstead.core.messages import Call, Delivery, Event, Health, Outcome, Parsed, Reason, Receipt
from botstead.core.money import PaymentState
from botstead.core.ports import Account, Egress, Prepared, Sending
from botstead.core.tills import Order, Standing
from botstead.integrations.paypal import account as accounts
from botstead.integrations.paypal import parse as parsing
from botstead.integrations.paypal import verify as verifying
from botstead.integrations.paypal.amounts import to_paypal
from botstead.integrations.paypal.certificates import Certificates
from botstead.integrations.paypal.errors import Refused, require
from botstead.integrations.paypal.models import PayPalOrder, Refund, back, of_order, ours, refund_key
from botstead.integrations.paypal.token import Tokens
from botstead.runtime.outside import Outside, Policy
from botstead.telemetry.logs import event as log

T = TypeVar("T")

SECONDS: Final = 20.0
"""For one call, all its tries together."""
KEYS_KEPT: Final = 5.5 * 3_600.0
"""Seconds within which a repeated `PayPal-Request-Id` surely gets the stored answer: PayPal keeps them for six hours."""
_LONGEST_TITLE: Final = 127
_ALREADY: Final = frozenset({"ORDER_ALREADY_CAPTURED", "ORDER_ALREADY_COMPLETED", "ORDER_NOT_APPROVED", "PAYER_ACTION_REQUIRED"})
"""Refusals of a capture that only say that the order stands otherwise than we thought."""
_DECLINED: Final = frozenset({"INSTRUMENT_DECLINED", "TRANSACTION_REFUSED", "PAYER_CANNOT_PAY"})
_POLICY: Final = Policy(tries=3, first_wait=0.5, retried=frozenset({409, 429, 500, 502, 503, 504}))

logger = logging.getLogger(__name__)


class PayPal:
    """`core.ports.ChannelKind` and `core.tills.PaymentProvider` for PayPal.

    What is sent for an order has a `PayPal-Request-Id` of the order's row. PayPal forgets it after six hours; what may be older
    is asked after first. Two orders of PayPal's for one of ours share its `invoice_id`, which it takes money for only once.
    """

    kind = "paypal"

    def __init__(self, outside: Outside, *, clock: Clock | None = None) -> None:
        """Build it; `processes/` does.

        Args:
            outside: the way to services.
            clock: to tell how old orders, tokens and certificates are.
        """
        self._service = outside.service(self.kind, _POLICY)
        self._clock = clock or SystemClock()
        self._tokens = Tokens(self._service, self._clock)
        self._certificates = Certificates(self._service, self._clock)

    def verify(self, delivery: Delivery, account: Account, now: float) -> None:
        """Refuse what PayPal cannot have sent; see `verify.verify`. The rest is for `confirm`.

        Raises:
            Rejected: whatever is wrong.
        """
        verifying.verify(delivery, account, now, self._certificates.known)

    def parse(self, delivery: Delivery, _account: Account) -> Parsed:
        """Find the event, and keep the delivery with it byte for byte.

        Raises:
            Unreadable: it is no event of PayPal's.
        """
        return parsing.parse(delivery.body, msgspec.json.encode(verifying.of_delivery(delivery)))

    async def confirm(self, event: Event, account: Account) -> bool:
        """Check the signature with PayPal's certificate, which is fetched if it is not known yet.

        Where the signature fits but the certificate's chain cannot be followed, PayPal itself is asked.
        """
        signed = verifying.of_event(event)
        url = signed.headers["paypal-cert-url"] if signed else ""
        if signed is None or not accounts.certificates_at(account, url):
            return False
        found = await self._certificates.get(url, accounts.authorities(account))
        if found.key is None or not signed.fits(account, found.key):
            advice = (
                "Events of PayPal's simulator never verify, and neither do those of a webhook other than the one in webhook_id."
            )
            log(logger, "paypal_event_refused", level=logging.WARNING, channel=account.public_id, advice=advice)
            return False
        return found.trusted or await self._vouched(signed, account)

    def news(self, event: Event, _account: Account) -> Standing | None:
        """Say what an event means; see `parse.news`."""
        signed = verifying.of_event(event)
        return parsing.news(signed.body) if signed else None

    async def deliver(self, _sending: Sending, _account: Account, _egress: Egress) -> Receipt:
        """Refuse: nobody reads messages here."""
        return Receipt(outcome=Outcome.FAILED, reason=Reason.UNSUPPORTED, detail="A payment account takes no messages.")

    def prepare(self, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Prepared:
        """Check settings and secrets of a new account; see `account.prepare`.

        Raises:
            Invalid: something is unknown or wrong.
        """
        return accounts.prepare(settings, secrets)

    async def health(self, account: Account, _egress: Egress) -> Health:
        """Ask for the app's webhooks; see `account.judge`."""
        return await self._health(account, hook_url="")

    async def install(self, account: Account, _egress: Egress, hook_url: str) -> Health:
        """Ask for the app's webhooks, and say which `webhook_id` leads here, or what to enter at PayPal."""
        return await self._health(account, hook_url=hook_url)

    async def open(self, order: Order, account: Account) -> Standing:
        """Make the order that the person approves. See `core.tills.PaymentProvider`."""
        if order.session:
            return await self.look(order, account)
        return of_order(await self._post("/v2/checkout/orders", _wanted(order), account, PayPalOrder, key=f"{order.key}-create"))

    async def look(self, order: Order, account: Account) -> Standing:
        """Ask how an order stands. One whose id never reached us nobody can have approved; PayPal cannot be asked for it."""
        if not order.session:
            return Standing(state=PaymentState.PENDING, order=order.id)
        try:
            found = await self._order(order, account)
        except Refused as error:
            if error.status_of_answer != 404:
                raise
            return Standing(
                state=PaymentState.EXPIRED, order=order.id, session=order.session, detail="PayPal no longer knows it."
            )
        return of_order(found)

    async def capture(self, order: Order, account: Account) -> Standing:
        """Take the money of an approved order. See `core.tills.PaymentProvider`."""
        if not order.session or self._clock.now() - order.created > KEYS_KEPT:
            stands = await self.look(order, account)
            if stands.state is not PaymentState.APPROVED:
                return stands
        try:
            path = f"/v2/checkout/orders/{order.session}/capture"
            return of_order(await self._post(path, {}, account, PayPalOrder, key=f"{order.key}-capture"))
        except Refused as error:
            if error.issues & _ALREADY or error.status_of_answer == 404:
                return await self.look(order, account)
            if error.issues & _DECLINED:  # the person may come back with another card
                return Standing(state=PaymentState.PENDING, order=order.id, session=order.session, detail=error.message)
            raise

    async def refund(self, order: Order, amount: int, key: str, account: Account) -> Standing:
        """Give money back, unless a refund with this key is there already, however long ago."""
        found = await self._order(order, account) if order.session else PayPalOrder(id="none")
        captures, refunds = found.unit.payments.captures, found.unit.payments.refunds
        payment = captures[0].id if captures else order.payment
        if not payment:
            raise PaymentRefused(f"Nothing was paid for {order.id} yet, so nothing can go back.")
        this = next((one for one in refunds if refund_key(one.custom_id) == key), None)
        if this is None:
            body = {"amount": to_paypal(amount, order.currency), "custom_id": f"{order.id}.{key}"}
            this = await self._post(f"/v2/payments/captures/{payment}/refund", body, account, Refund, key=key)
            refunds = (*(one for one in refunds if one.id != this.id), this)
        if not this.counts:
            raise PaymentRefused(f"PayPal could not give the money back: {this.status_details.reason or this.status}.")
        total = back(refunds)
        state = PaymentState.REFUNDED if total >= order.amount else PaymentState.PAID
        return Standing(state=state, order=order.id, session=order.session, payment=payment, refunded=min(total, order.amount))

    async def _order(self, order: Order, account: Account) -> PayPalOrder:
        found = await self._ask(Call(method="GET", url=f"/v2/checkout/orders/{order.session}"), account, PayPalOrder)
        if ours(found.unit.custom_id) != order.id:
            raise PaymentRefused(f"PayPal's order {order.session} is not of the payment {order.id}.")
        return found

    async def _vouched(self, signed: verifying.Signed, account: Account) -> bool:
        """Ask PayPal whether it sent this; the body goes back as the text it was.

        Source: https://developer.paypal.com/docs/api/webhooks/v1/#verify-webhook-signature_post
        """
        asked = {
            "auth_algo": verifying.ALGORITHM,
            "cert_url": signed.headers["paypal-cert-url"],
            "transmission_id": signed.headers["paypal-transmission-id"],
            "transmission_sig": signed.headers["paypal-transmission-sig"],
            "transmission_time": signed.headers["paypal-transmission-time"],
            "webhook_id": verifying.webhook_id(account),
            "webhook_event": msgspec.Raw(signed.body.encode()),
        }
        call = Call(method="POST", url="/v1/notifications/verify-webhook-signature", body=msgspec.json.encode(asked))
        said = await self._ask(call, account, _Verdict)
        return said.verification_status == "SUCCESS"

    async def _health(self, account: Account, *, hook_url: str) -> Health:
        try:
            webhooks = await self._ask(Call(method="GET", url="/v1/notifications/webhooks"), account, accounts.Webhooks)
        except PaymentRefused as error:
            return Health(status="failing", detail=error.message)
        return accounts.judge(account, webhooks, hook_url)

    async def _post(self, path: str, body: object, account: Account, answer: type[T], *, key: str) -> T:
        headers = {"paypal-request-id": key, "prefer": "return=representation"}
        return await self._ask(Call(method="POST", url=path, headers=headers, body=msgspec.json.encode(body)), account, answer)

    async def _ask(self, call: Call, account: Account, answer: type[T]) -> T:
        """Make one call. Each may be repeated: what changes something has a key. A token that ended early is replaced once."""
        base = accounts.base_of(account)
        headers = {**call.headers, "authorization": "Bearer {secret:token}"}
        headers |= {"content-type": "application/json"} if call.body is not None else {}
        call = msgspec.structs.replace(call, url=base + call.url, headers=headers)
        for last in (False, True):
            token = await self._tokens.get(account, base)
            response = await self._service.ask(
                call,
                {"token": token},
                seconds=SECONDS,
                repeatable=True,
                usable=lambda got: bodies.read(got.body, answer) is not None,
            )
            if response.status != 401 or last:
                break
            self._tokens.forget(account, base, token)
        require(response, now=self._clock.now(), secrets=(token, *account.secrets.values()))
        found = bodies.read(response.body, answer)
        if found is None:
            raise EgressBroken("PayPal's answer is not what it documents; what it did is not known.")
        return found


class _Verdict(msgspec.Struct, frozen=True):
    verification_status: str = ""


def _wanted(order: Order) -> dict[str, Any]:
    """Return an order for PayPal: one unit, our id wherever PayPal keeps one.

    Source: https://developer.paypal.com/docs/api/orders/v2/#orders_create
    """
    unit = {
        "custom_id": order.id,
        "invoice_id": order.id,
        "description": order.title[:_LONGEST_TITLE] or order.id,
        "amount": to_paypal(order.amount, order.currency),
    }
    context = {"user_action": "PAY_NOW", "shipping_preference": "NO_SHIPPING"}
    if order.return_url:
        context |= {"return_url": order.return_url, "cancel_url": order.return_url}
    return {"intent": "CAPTURE", "purchase_units": [unit], "payment_source": {"paypal": {"experience_context": context}}}
