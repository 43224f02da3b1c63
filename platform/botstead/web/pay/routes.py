"""`/pay/{payment}`: a test payment's page, and where people come back to. Works without JavaScript."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import parse_qs

from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from botstead.channels.webchat.verify import check_origin
from botstead.core.errors import Conflict, Invalid, NotFound
from botstead.core.messages import Delivery, Event
from botstead.core.ports import Account
from botstead.integrations.testpay.models import Clicked, event_of
from botstead.operate.payments.cashier import DOUBLE, Cashier
from botstead.store.payment_records import PaymentRow
from botstead.store.testpay import TestDesk
from botstead.web.api.payments import known
from botstead.web.chat.page import SECURITY_HEADERS
from botstead.web.pay.page import Shown, page

BODY_LIMIT: Final = 1_024
CHOICES: Final = ("pay", "decline")
OPEN: Final = ("opened", "pending")
WEBCHAT: Final = "webchat"

AnyRequest = Request[Any, Any, Any]


@dataclass(frozen=True, kw_only=True)
class PayDeps:
    """What the page needs.

    Args:
        cashier: payments and their accounts.
        desk: the double's books.
        accept: the door to the inbox.
        find: a channel by its number.
    """

    cashier: Cashier
    desk: TestDesk
    find: Callable[[int], Awaitable[Account | None]]
    accept: Callable[[Account, tuple[Event, ...]], Awaitable[int]]


def pay_routes(deps: PayDeps) -> list[HTTPRouteHandler]:
    """Build the routes of the page.

    Args:
        deps: what they need from the rest of the platform.
    """
    desk = _PayPage(deps)
    address = "/pay/{payment:str}"
    return [
        get(address, include_in_schema=False, media_type="text/html")(desk.show),
        post(address, include_in_schema=False, request_max_body_size=BODY_LIMIT, status_code=303)(desk.choose),
    ]


class _PayPage:
    def __init__(self, deps: PayDeps) -> None:
        self._deps = deps

    def __deepcopy__(self, _memo: object) -> _PayPage:
        """Stay one: Litestar copies route handlers deeply, and a bound method carries its object."""
        return self

    async def show(self, payment: FromPath[str]) -> Response[bytes]:
        """Show the page of a payment: two buttons while a test payment is open, else how it stands."""
        row = await self._deps.cashier.ledger.get(known(payment))
        shown = Shown(row=row, stands=await self._stands(row), takes=await self._takes(row), back=await self._back(row))
        headers = {**SECURITY_HEADERS, "Cache-Control": "no-store"}
        return Response(page(shown), media_type="text/html", headers=headers)

    async def choose(self, payment: FromPath[str], request: AnyRequest) -> Response[bytes]:
        """Take what a person chose, once, and let it go the way of a provider's webhook."""
        headers = tuple((name.lower(), value) for name, value in request.scope["headers"])
        check_origin(Delivery(b"", headers))
        choice = _choice(await request.body())
        row = await self._deps.cashier.ledger.get(known(payment))
        if row.provider != DOUBLE:
            raise NotFound("This is no test payment. Pay at the provider's page.")
        if not await self._takes(row):
            raise Conflict("This shop takes real payments now. Ask it for a new link.")
        account = await self._deps.cashier.account(row.account)
        if account is None:
            raise NotFound("The payment account was removed.")
        if row.state in OPEN:
            await self._deps.desk.click(row.id, paid=choice == "pay")
        paid, _ = await self._deps.desk.clicked(row.id)
        if paid is not None:
            first: Literal["pay", "decline"] = "pay" if paid else "decline"
            await self._deps.accept(account, (event_of(Clicked(row.id, first, row.amount, row.currency)),))
        return Response(b"", status_code=303, headers={"Location": f"/pay/{row.id}", "Cache-Control": "no-store"})

    async def _takes(self, row: PaymentRow) -> bool:
        """Whether test payments are for this bot: never once it had a real account."""
        return await self._deps.cashier.tests(row.bot)

    async def _back(self, row: PaymentRow) -> str:
        """Return the address of the chat, where it is a page of ours."""
        chat = await self._deps.find(row.channel)
        return f"/chat/{chat.bot_name}" if chat is not None and chat.kind == WEBCHAT else ""

    async def _stands(self, row: PaymentRow) -> str:
        """Return how it stands; of a test payment the choice is known before it has gone its way."""
        if row.provider == DOUBLE and row.state in OPEN:
            paid, _ = await self._deps.desk.clicked(row.id)
            return str(row.state) if paid is None else "paid" if paid else "failed"
        return str(row.state)


def _choice(body: bytes) -> str:
    try:
        (choice,) = parse_qs(body.decode("ascii"), strict_parsing=True, max_num_fields=4)["choice"]
    except (ValueError, KeyError) as error:
        raise Invalid("Choose «pay» or «decline».") from error
    if choice not in CHOICES:
        raise Invalid("Choose «pay» or «decline».")
    return choice
