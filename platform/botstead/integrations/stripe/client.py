"""`Stripe`: takes payments by Checkout pages, gives money back, and says how its account is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from botstead.core import bodies
from botstead.core.clock import Clock, SystemClock
from botstead.core.errors import EgressBroken, PaymentRefused
from botstead.core.messages import Call, Delivery, Event, Health, Outcome, Parsed, Reason, Receipt
from botstead.core.money import PaymentState
from botstead.core.ports import Account, Egress, Prepared, Sending
from botstead.core.secret import Secret
from botstead.core.tills import Order, Standing
from botstead.integrations.stripe import account as accounts
from botstead.integrations.stripe import parse as parsing
from botstead.integrations.stripe.amounts import from_stripe, to_stripe
from botstead.integrations.stripe.errors import FailureStored, require
from botstead.integrations.stripe.models import (
    API_VERSION,
    ORDER,
    REFUND,
    Refunded,
    Refunds,
    Session,
    Sessions,
    intent_id,
    of_session,
    ours,
)
from botstead.integrations.stripe.verify import verify
from botstead.runtime.outside import Outside, Policy

T = TypeVar("T")

BASE: Final = "https://api.stripe.com"
SECONDS: Final = 20.0
"""For one call, all its tries together; Stripe's own client waits up to 80 s for one."""
KEYS_KEPT: Final = 23 * 3_600.0
"""Seconds within which a repeated key surely gets the stored answer: Stripe keeps them for at least a day."""
_LONGEST_TITLE: Final = 250
_PAGE: Final = 100
_MOST_PAGES: Final = 20
_AGAIN: Final = 3
"""Keys besides the first, should Stripe store failures under one after the other."""
_CLOCKS_APART: Final = 300
_DAY: Final = 86_400
_POLICY: Final = Policy(
    tries=3, first_wait=0.5, retried=frozenset({409, 429, 500, 502, 503, 504}), advised_by="stripe-should-retry"
)


class Stripe:
    """`core.ports.ChannelKind` and `core.tills.PaymentProvider` for Stripe.

    What is sent for an order has an idempotency key of the order's row, so a repetition gets the first answer. Stripe stores
    failures of its own under a key too, and forgets keys after a day; in both cases it is asked what there is of the order.
    """

    kind = "stripe"

    def __init__(self, outside: Outside, *, clock: Clock | None = None) -> None:
        """Build it; `processes/` does.

        Args:
            outside: the way to services.
            clock: to tell how old an order is.
        """
        self._service = outside.service(self.kind, _POLICY)
        self._clock = clock or SystemClock()

    def verify(self, delivery: Delivery, account: Account, now: float) -> None:
        """Check the signature; see `verify.verify`.

        Raises:
            Rejected: whatever is wrong.
        """
        verify(delivery, account, now)

    def parse(self, delivery: Delivery, _account: Account) -> Parsed:
        """Find the event; see `parse.parse`.

        Raises:
            Unreadable: it is no event that we read.
        """
        return parsing.parse(delivery)

    async def confirm(self, _event: Event, _account: Account) -> bool:
        """Say yes: `verify` has told it from the signature."""
        return True

    def news(self, event: Event, _account: Account) -> Standing | None:
        """Say what an event means; see `parse.news`."""
        return parsing.news(event)

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
        """Ask for events that could not be delivered to us; see `account.judge`."""
        return await self._health(account, hook_url="")

    async def install(self, account: Account, _egress: Egress, hook_url: str) -> Health:
        """Ask how the account is, and say what to enter in Stripe's Dashboard. Stripe shows the endpoint's secret only there."""
        return await self._health(account, hook_url=hook_url)

    async def open(self, order: Order, account: Account) -> Standing:
        """Make the page, or find the one that was made. See `core.tills.PaymentProvider`."""
        if order.session:
            return await self.look(order, account)
        if self._clock.now() - order.created > KEYS_KEPT:
            found = await self._find(order, account)
            if found is not None:
                return of_session(found)
        for key in _keys(f"{order.key}:session"):
            try:
                return of_session(await self._post("/v1/checkout/sessions", _page(order), account, Session, key=key))
            except FailureStored:
                # Whatever that try may have made, nobody has seen its address, so nobody can pay there.
                found = await self._find(order, account)
                if found is not None:
                    return of_session(found)
        raise FailureStored

    async def look(self, order: Order, account: Account) -> Standing:
        """Ask how an order stands; by our reference, where the page's id never reached us."""
        if not order.session:
            found = await self._find(order, account)
            if found is None:
                return Standing(state=PaymentState.PENDING, order=order.id)
            order = msgspec.structs.replace(order, session=found.id)
        path = f"/v1/checkout/sessions/{quote(order.session, safe='')}"
        session = await self._get(path, {"expand[]": "payment_intent.latest_charge"}, account, Session)
        if ours(session.metadata, session.client_reference_id) != order.id:
            raise PaymentRefused(f"Stripe's page {order.session} is not of the payment {order.id}.")
        return of_session(session)

    async def capture(self, order: Order, account: Account) -> Standing:
        """Ask how the order stands: Stripe takes the money when the person pays."""
        return await self.look(order, account)

    async def refund(self, order: Order, amount: int, key: str, account: Account) -> Standing:
        """Give money back, unless a refund with this key is there already, however long ago."""
        payment = order.payment or (await self.look(order, account)).payment
        if not payment:
            raise PaymentRefused(f"Nothing was paid for {order.id} yet, so nothing can go back.")
        made = await self._refunds(payment, account)
        this = _under(key, made)
        if this is None:
            fields = {"payment_intent": payment, "amount": str(to_stripe(amount, order.currency))}
            fields |= {f"metadata[{ORDER}]": order.id, f"metadata[{REFUND}]": key}
            this = await self._give_back(fields, payment, account, key)
            made = (*made, this)
        if not this.counts:
            raise PaymentRefused(f"Stripe could not give the money back: {this.failure_reason or this.status}.")
        back = from_stripe(sum(one.amount for one in made if one.counts), order.currency)
        state = PaymentState.REFUNDED if back >= order.amount else PaymentState.PAID
        return Standing(state=state, order=order.id, session=order.session, payment=payment, refunded=min(back, order.amount))

    async def _give_back(self, fields: Mapping[str, str], payment: str, account: Account, key: str) -> Refunded:
        for one in _keys(key):
            try:
                return await self._post("/v1/refunds", fields, account, Refunded, key=one)
            except FailureStored:
                # That request is over: a refund that is not there by now will not come of it.
                found = _under(key, await self._refunds(payment, account))
                if found is not None:
                    return found
        raise FailureStored

    async def _refunds(self, payment: str, account: Account) -> tuple[Refunded, ...]:
        page = await self._get("/v1/refunds", {"payment_intent": payment, "limit": str(_PAGE)}, account, Refunds)
        if page.has_more:
            raise PaymentRefused(f"The payment {payment} has more than {_PAGE} refunds. Make this one in Stripe's Dashboard.")
        return page.data

    async def _find(self, order: Order, account: Account) -> Session | None:
        """Look for an order's page among all pages of its day, newest first: Stripe cannot search by our reference."""
        since = int(order.created) - _CLOCKS_APART
        query = {"created[gte]": str(since), "created[lte]": str(since + 2 * _DAY), "limit": str(_PAGE)}
        for _ in range(_MOST_PAGES):
            page = await self._get("/v1/checkout/sessions", query, account, Sessions)
            found = [session for session in page.data if ours(session.metadata, session.client_reference_id) == order.id]
            if found:
                return next((session for session in found if intent_id(session)), found[0])
            if not page.has_more or not page.data:
                return None
            query["starting_after"] = page.data[-1].id
        return None

    async def _health(self, account: Account, *, hook_url: str) -> Health:
        before = int(self._clock.now()) - accounts.PATIENCE
        query = {"delivery_success": "false", "limit": str(_PAGE)}
        query |= {"created[gte]": str(before - _DAY), "created[lte]": str(before)}
        try:
            events = await self._get("/v1/events", query, account, accounts.Events)
        except PaymentRefused as error:
            return Health(status="failing", detail=error.message)
        return accounts.judge(account, events, hook_url)

    async def _get(self, path: str, query: Mapping[str, str], account: Account, answer: type[T]) -> T:
        return await self._ask(Call(method="GET", url=f"{_base(account)}{path}?{urlencode(query)}"), account, answer)

    async def _post(self, path: str, fields: Mapping[str, str], account: Account, answer: type[T], *, key: str) -> T:
        headers = {"content-type": "application/x-www-form-urlencoded", "idempotency-key": key}
        call = Call(method="POST", url=_base(account) + path, headers=headers, body=urlencode(fields).encode())
        return await self._ask(call, account, answer)

    async def _ask(self, call: Call, account: Account, answer: type[T]) -> T:
        """Make one call; POSTs have a key, so that every one may be repeated."""
        secrets = {"key": account.secrets.get("key", Secret(""))}
        headers = {**call.headers, "authorization": "Bearer {secret:key}", "stripe-version": API_VERSION}
        call = msgspec.structs.replace(call, headers=headers)
        response = await self._service.ask(
            call, secrets, seconds=SECONDS, repeatable=True, usable=lambda got: bodies.read(got.body, answer) is not None
        )
        require(response, secrets.values(), now=self._clock.now())
        found = bodies.read(response.body, answer)
        if found is None:
            raise EgressBroken("Stripe's answer is not what it documents; what it did is not known.")
        return found


def _keys(key: str) -> tuple[str, ...]:
    """Return the keys of one request: the next one once Stripe has stored a failure of its own under the one before."""
    return (key, *(f"{key}:again{number}" for number in range(1, _AGAIN + 1)))


def _under(key: str, refunds: Iterable[Refunded]) -> Refunded | None:
    """Return the refund that was made under a key of ours."""
    return next((one for one in refunds if (one.metadata or {}).get(REFUND) == key), None)


def _base(account: Account) -> str:
    return str(account.settings.get("api_base") or BASE)


def _page(order: Order) -> dict[str, str]:
    """Return the fields of a page: one line, our id wherever Stripe keeps one.

    Source: https://docs.stripe.com/api/checkout/sessions/create
    """
    if not order.return_url:
        raise PaymentRefused("Stripe needs an address to lead people back to. Set BOTSTEAD_PUBLIC_URL.")
    return {
        "mode": "payment",
        "client_reference_id": order.id,
        f"metadata[{ORDER}]": order.id,
        f"payment_intent_data[metadata][{ORDER}]": order.id,
        "adaptive_pricing[enabled]": "false",
        "line_items[0][quantity]": "1",
        "line_items[0][price_data][currency]": order.currency.lower(),
        "line_items[0][price_data][unit_amount]": str(to_stripe(order.amount, order.currency)),
        "line_items[0][price_data][product_data][name]": order.title[:_LONGEST_TITLE] or order.id,
        "success_url": order.return_url,
        "cancel_url": order.return_url,
    }
