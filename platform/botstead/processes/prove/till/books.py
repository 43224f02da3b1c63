"""The books: pages, payments, charges and refunds, as Stripe shows them, and the one place where money moves. No network here.

Sources: https://docs.stripe.com/api/checkout/sessions, https://docs.stripe.com/api/refunds, https://docs.stripe.com/api/errors
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

import msgspec

from botstead.processes.prove.till import things
from botstead.processes.prove.till.things import Thing

VERSION: Final = "2026-10-28.endive"
ORDER: Final = "order"
"""The key in metadata that a shop keeps its own name of an order under."""
CHOICES: Final = ("pay", "decline", "expire", "later", "arrive", "bounce")
_NAME: Final = re.compile(r"[^\[\]]+")
_MOST: Final = 100


class Refused(Exception):
    """An answer 4xx; nothing was done."""

    def __init__(self, message: str, *, status: int = 400, kind: str = "invalid_request_error", code: str | None = None) -> None:
        """Say no.

        Args:
            message: why.
            status: of HTTP.
            kind: of Stripe's kinds of errors.
            code: of Stripe's codes.
        """
        super().__init__(message)
        self.status = status
        self.body = {"error": {"type": kind, "message": message, "code": code}}


class Line(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One line of the log.

    Args:
        what: page, charge, refund: what was really made. fault, event: what went wrong with a request or a webhook.
        at: Unix seconds.
        order: what the shop calls it.
        id: the till's id of it.
        amount: in the smallest unit.
        kind: of the fault; of an event: what happened to it, lost, doubled, late or sent.
        on: the request that the fault struck, or the event's type.
        applied: whether a request that a fault struck took effect.
    """

    what: str
    at: float
    order: str = ""
    id: str = ""
    amount: int = 0
    kind: str = ""
    on: str = ""
    applied: bool = False


class News(NamedTuple):
    """Something that the shop is told."""

    kind: str
    thing: Thing


class Books:
    """All of it. What was made since the last look is in `lines` and `news`, for whoever keeps and tells it."""

    def __init__(self, base: str) -> None:
        """Begin with empty books.

        Args:
            base: address of the pages.
        """
        self.pages: dict[str, Thing] = {}
        self.intents: dict[str, Thing] = {}
        self.charges: dict[str, Thing] = {}
        self.refunds: dict[str, Thing] = {}
        self.lines: list[Line] = []
        self.news: list[News] = []
        self.base = base
        self._numbers = itertools.count(1)

    def open(self, fields: Mapping[str, Any]) -> Thing:
        """Make a page for one thing (https://docs.stripe.com/api/checkout/sessions/create).

        Args:
            fields: of the form, from `nested`.

        Raises:
            Refused: a field is missing or cannot be used.
        """
        lines = list(fields.get("line_items", {}).values())
        if fields.get("mode") != "payment" or len(lines) != 1 or "price_data" not in lines[0]:
            raise Refused("One line with price_data in mode payment is what is sold here.")
        price = lines[0]["price_data"]
        amount = _whole(price.get("unit_amount")) * _whole(lines[0].get("quantity", "1"))
        if not 0 < amount < 10**8 or not re.fullmatch("[a-z]{3}", price.get("currency", "")):
            raise Refused("Invalid amount or currency.")
        if not re.match("https?://", fields.get("success_url", "")):
            raise Refused("Not a valid URL: success_url")
        name = self._name("cs_test_")
        page = things.page(name, fields, amount, price["currency"], url=f"{self.base}/pay/{name}")
        self.pages[page["id"]] = page
        self._line("page", page["client_reference_id"] or "", page)
        return page

    def look(self, name: str, expand: Iterable[str]) -> Thing:
        """Show a page.

        Args:
            name: its id.
            expand: what to show whole, as https://docs.stripe.com/api/expanding_objects says.

        Raises:
            Refused: there is none.
        """
        page = dict(_known(self.pages, name))
        wanted = tuple(expand)
        if page["payment_intent"] and any(path.startswith("payment_intent") for path in wanted):
            intent = page["payment_intent"] = dict(self.intents[page["payment_intent"]])
            if intent["latest_charge"] and "payment_intent.latest_charge" in wanted:
                intent["latest_charge"] = dict(self.charges[intent["latest_charge"]])
        return page

    def choose(self, name: str, choice: str) -> None:
        """Let a person do something on a page.

        Args:
            name: the page's id.
            choice: pay, decline (a card that the bank refuses; the page stays), expire (its time is over), later (by a way that
                takes days, such as SEPA), and then arrive or bounce.

        Raises:
            Refused: that cannot be done there now, so nothing is charged.
        """
        page = _known(self.pages, name)
        if choice not in CHOICES:
            raise Refused(f"Choose one of {', '.join(CHOICES)}.")
        waits = page["status"] == "complete" and page["payment_status"] == "unpaid"
        if not (waits if choice in ("arrive", "bounce") else page["status"] == "open"):
            raise Refused(f"This page is {page['status']}.")
        match choice:
            case "pay":
                self._charge(page)
                self._tell("checkout.session.completed", page)
            case "decline":
                intent = self._intent(page, "requires_payment_method")
                words = {"type": "card_error", "code": "card_declined", "message": "Your card was declined."}
                intent["last_payment_error"] = words
                self._tell("payment_intent.payment_failed", intent)
            case "expire":
                page |= {"status": "expired", "url": None}
                self._tell("checkout.session.expired", page)
            case "later":
                self._intent(page, "processing")
                page |= {"status": "complete", "url": None}
                self._tell("checkout.session.completed", page)
            case "arrive":
                self._charge(page)
                self._tell("checkout.session.async_payment_succeeded", page)
            case "bounce":
                self._intent(page, "requires_payment_method")
                self._tell("checkout.session.async_payment_failed", page)

    def refund(self, fields: Mapping[str, Any]) -> Thing:
        """Give money back (https://docs.stripe.com/api/refunds/create).

        Args:
            fields: of the form.

        Raises:
            Refused: nothing was paid, or not so much is left.
        """
        intent = _known(self.intents, fields.get("payment_intent", ""))
        charge = self.charges.get(intent["latest_charge"] or "")
        if charge is None:
            raise Refused("This payment has no successful charge to refund.")
        left = charge["amount"] - charge["amount_refunded"]
        if not left:
            raise Refused(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
        amount = _whole(fields.get("amount", str(left)))
        if not 0 < amount <= left:
            raise Refused("Refund amount is greater than unrefunded amount on charge.")
        refund = things.refund(self._name("re_"), charge, amount, fields.get("metadata", {}))
        self.refunds[refund["id"]] = refund
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        self._line("refund", intent["metadata"].get(ORDER, ""), refund)
        self._tell("charge.refunded", charge)
        self._tell("refund.updated", refund)
        return refund

    def refunds_of(self, intent: str) -> dict[str, Thing]:
        """Return the refunds of a payment.

        Args:
            intent: its id; empty: of all.
        """
        return {name: one for name, one in self.refunds.items() if intent in ("", one["payment_intent"])}

    def _charge(self, page: Thing) -> None:
        """Take the money: the only place where it comes in."""
        intent = self._intent(page, "succeeded")
        charge = things.charge(self._name("ch_"), intent)
        self.charges[charge["id"]] = charge
        intent |= {"latest_charge": charge["id"], "amount_received": charge["amount"]}
        page |= {"status": "complete", "payment_status": "paid", "url": None}
        self._line("charge", page["client_reference_id"] or "", charge)

    def _intent(self, page: Thing, status: str) -> Thing:
        if page["payment_intent"] is None:
            intent = things.intent(self._name("pi_"), page, status)
            self.intents[intent["id"]] = intent
            page["payment_intent"] = intent["id"]
        intent = self.intents[page["payment_intent"]]
        intent["status"] = status
        return intent

    def _name(self, prefix: str) -> str:
        return f"{prefix}{next(self._numbers):024d}"

    def _line(self, what: str, order: str, made: Thing) -> None:
        amount = made["amount_total"] if what == "page" else made["amount"]
        self.lines.append(Line(what=what, at=time.time(), order=order, id=made["id"], amount=amount))

    def _tell(self, kind: str, thing: Thing) -> None:
        self.news.append(News(kind, shown(thing)))


def event(name: str, news: News) -> Thing:
    """Write news as an event (https://docs.stripe.com/api/events/object).

    Args:
        name: the event's id.
        news: what happened.
    """
    return {
        "id": name,
        "object": "event",
        "api_version": VERSION,
        "created": int(time.time()),
        "data": {"object": news.thing},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": news.kind,
    }


def listed(found: Mapping[str, Thing], query: Mapping[str, str], url: str) -> Thing:
    """Show a page of a list, newest first (https://docs.stripe.com/api/pagination).

    Args:
        found: what there is, oldest first.
        query: created[gte], created[lte], limit, starting_after.
        url: of the list.

    Raises:
        Refused: the limit is none.
    """
    lowest, highest = (_whole(query.get(f"created[{name}]", usual)) for name, usual in (("gte", "0"), ("lte", str(2**40))))
    limit, after = _whole(query.get("limit", "10")), query.get("starting_after")
    if not 1 <= limit <= _MOST:
        raise Refused("Invalid limit: 1 to 100.")
    newest = iter(reversed(list(found.values())))
    if after is not None:
        newest = itertools.islice(itertools.dropwhile(lambda one: one["id"] != after, newest), 1, None)
    some = list(itertools.islice((one for one in newest if lowest <= one["created"] <= highest), limit + 1))
    return {"object": "list", "url": url, "has_more": len(some) > limit, "data": [shown(one) for one in some[:limit]]}


def shown(thing: Thing) -> Thing:
    """Return a copy without what is only for the till.

    Args:
        thing: of the books.
    """
    return {name: value for name, value in thing.items() if not name.startswith("_")}


def nested(body: bytes) -> dict[str, Any]:
    """Read a form whose names are like `a[b][0][c]`.

    Args:
        body: of the request.
    """
    found: dict[str, Any] = {}
    for name, value in parse_qsl(body.decode(errors="replace"), keep_blank_values=True):
        *path, last = _NAME.findall(name) or [name]
        at = found
        for part in path:
            at = at.setdefault(part, {})
        at[last] = value
    return found


def _known(among: Mapping[str, Thing], name: str) -> Thing:
    if name not in among:
        raise Refused(f"No such object: '{name}'", status=404, code="resource_missing")
    return among[name]


def _whole(text: str | None) -> int:
    if text is None or not text.isdecimal():
        raise Refused(f"Invalid integer: {text}")
    return int(text)
