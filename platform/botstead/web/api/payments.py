"""`/v1/payments`: money that was asked for, what was tried and said, asking for it, and giving it back."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from botstead.core.errors import Conflict, NotFound
from botstead.core.messages import Action, Event, Kind, Pay, Refund
from botstead.core.money import MOST, Money, PaymentState
from botstead.core.ports import Account
from botstead.operate.payments.cashier import books
from botstead.operate.payments.state import SETTLED, refundable
from botstead.pipeline.partitions import account_of, external_id
from botstead.store.payment_records import Attempt, PaymentRow, Said
from botstead.web.api.conversations import LARGEST_CHANNEL, caller_of, dedup_key
from botstead.web.auth import needs
from botstead.web.deps import AppDeps, Deps
from botstead.web.paging import NO_NUL, USUAL, Before, Limit, Page, checked, page

TAGS = ["Payments"]
AnyRequest = Request[Any, Any, Any]
Units = Annotated[int, msgspec.Meta(ge=1, le=MOST, description="In the currency's smallest unit: cents of EUR, yen of JPY.")]
_ID = re.compile(r"pay_[0-9A-Za-z]{20,40}", re.ASCII)


class PaymentView(msgspec.Struct, frozen=True, kw_only=True):
    """A payment. Amounts are in the currency's smallest unit; `total` is the amount as people write it.

    `held`: what was paid is not what was asked for, so nothing was delivered; `detail` says what to do. The times are those at
    which it came to each state.
    """

    id: str
    bot: str
    conversation: str
    message: int
    provider: str
    state: PaymentState
    total: str
    amount: int
    currency: str
    title: str
    reference: str
    refunded: int
    held: bool
    url: str
    detail: str
    created_at: datetime
    pending_at: datetime | None
    approved_at: datetime | None
    paid_at: datetime | None
    fulfilled_at: datetime | None
    failed_at: datetime | None
    expired_at: datetime | None
    refunded_at: datetime | None


class AttemptView(msgspec.Struct, frozen=True, kw_only=True):
    """Something tried at the provider; under `key` its support finds it. Unknown: no answer came, and it will be asked."""

    kind: str
    key: str
    amount: int
    state: str
    tries: int
    error: str
    at: datetime
    ended_at: datetime | None


class SaidView(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the provider said, what that was, and what it did here."""

    event: str
    said: Any
    effect: str
    at: datetime


class PaymentDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A payment with everything that was tried for it and said of it, oldest first."""

    payment: PaymentView
    attempts: tuple[AttemptView, ...]
    events: tuple[SaidView, ...]


class PaymentAsk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Money to ask for. Without `text` the message is title and amount. A bot with several payment accounts needs `provider`."""

    conversation: Annotated[str, msgspec.Meta(max_length=620)]
    amount: Units
    currency: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}\Z")]
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=NO_NUL)]
    reference: Annotated[str, msgspec.Meta(max_length=200, pattern=NO_NUL)] = ""
    text: Annotated[str, msgspec.Meta(max_length=4_000, pattern=NO_NUL)] = ""
    label: Annotated[str, msgspec.Meta(max_length=60, pattern=NO_NUL)] = ""
    provider: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{0,40}\Z")] = ""


class PaymentRefund(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to go back; without `amount` all that is left."""

    amount: Units | None = None


class PaymentAsked(msgspec.Struct, frozen=True, kw_only=True):
    """It is kept and will be done in order. `GET /v1/messages/{message}` says where it is."""

    message: int
    conversation: str


def view(row: PaymentRow) -> PaymentView:
    """Build what a caller sees of a payment."""
    total = str(Money(row.amount, row.currency))
    shared = {name: getattr(row, name) for name in PaymentView.__struct_fields__ if name not in ("bot", "total")}
    return PaymentView(bot=row.bot_name, total=total, **shared)


@get("/v1/payments", operation_id="listPayments", opt=needs("payments:read"), tags=TAGS, summary="List payments")
async def list_payments(  # noqa: PLR0913  # the query's parameters are a route's arguments
    deps: Deps,
    *,
    limit: Limit = USUAL,
    before: Before = None,
    bot: FromQuery[str | None] = None,
    stands: Annotated[PaymentState | None, QueryParameter(name="state", description="Only those that stand so.")] = None,
    conversation: FromQuery[str | None] = None,
) -> Page[PaymentView]:
    """Newest first."""
    number = None if bot is None else (await deps.registry.bot(checked("bot", bot))).id
    where = None if conversation is None else checked("conversation", conversation)
    found = await deps.ledger.list(limit=limit + 1, before=before, bot=number, state=stands, conversation=where)
    cut = page(found, limit=limit, key=lambda row: row.number)
    return Page(items=[view(row) for row in cut.items], next=cut.next)


@get("/v1/payments/{payment:str}", operation_id="getPayment", opt=needs("payments:read"), tags=TAGS, summary="Show a payment")
async def get_payment(deps: Deps, payment: FromPath[str]) -> PaymentDetail:
    """One payment, with its attempts and what its provider said of it."""
    row = await deps.ledger.get(known(payment))
    attempts, events = await deps.ledger.attempts(row.id), await deps.ledger.events(row.id)
    return PaymentDetail(payment=view(row), attempts=tuple(map(_attempt, attempts)), events=tuple(map(_said, events)))


@post(
    "/v1/payments",
    operation_id="askForPayment",
    opt=needs("payments:write"),
    status_code=202,
    tags=TAGS,
    summary="Ask for money in a conversation",
)
async def ask_for_payment(deps: Deps, request: AnyRequest, data: JSONBody[PaymentAsk]) -> PaymentAsked:
    """Sends a message with a button that leads to the provider's page. With `Idempotency-Key` a repeated request is done once.

    `GET /v1/payments?conversation=` finds the payment once it was sent.
    """
    pay = Pay(
        amount=data.amount,
        currency=data.currency,
        title=data.title,
        reference=data.reference,
        text=data.text,
        label=data.label,
        provider=data.provider,
    )
    number = account_of(checked("conversation", data.conversation))
    if not 0 < number <= LARGEST_CHANNEL or not external_id(data.conversation):
        raise NotFound("There is no such conversation.")
    account = await deps.registry.account_by_number(number)
    if not account.enabled:
        raise Conflict("This channel or its bot is disabled. Enable it, then ask again.")
    return PaymentAsked(
        message=await _act(deps, request, account, external_id(data.conversation), pay), conversation=data.conversation
    )


@post(
    "/v1/payments/{payment:str}/refund",
    operation_id="refundPayment",
    opt=needs("payments:write"),
    status_code=202,
    tags=TAGS,
    summary="Give money back",
)
async def refund_payment(deps: Deps, request: AnyRequest, payment: FromPath[str], data: JSONBody[PaymentRefund]) -> PaymentAsked:
    """All that is left, or a part; 409 when so much did not come. With `Idempotency-Key` a repeated request is done once."""
    row = await deps.ledger.get(known(payment))
    left = refundable(books(row), 0)
    if not 0 < (data.amount or left) <= left:
        what = (
            f"only {Money(left, row.currency)} can go back" if row.state in SETTLED else f"it is {row.state}, so nothing was paid"
        )
        raise Conflict(f"Of this payment {what}.")
    refund = Refund(payment=row.id, amount=data.amount or 0)
    account, where = await _lane(deps, row)
    return PaymentAsked(message=await _act(deps, request, account, where, refund), conversation=row.conversation)


async def _lane(deps: AppDeps, row: PaymentRow) -> tuple[Account, str]:
    """Return where a refund is done: in the buyer's conversation, or the payment account's own lane when that channel is gone.

    Raises:
        Conflict: the payment account is gone too, or disabled.
    """
    for number, where in ((row.channel, external_id(row.conversation)), (row.account, row.id)):
        try:
            account = await deps.registry.account_by_number(number)
        except NotFound:
            continue
        if account.enabled:
            return account, where
    raise Conflict("The payment account is gone or disabled. Enable it, or refund at the provider.")


async def _act(deps: AppDeps, request: AnyRequest, account: Account, where: str, action: Action) -> int:
    key, caller = dedup_key(request), caller_of(request)
    event = Event(kind=Kind.SEND, conversation=where, key=key, actions=(action,), traceparent=caller)
    return await deps.accept_one(account, event)


def known(payment: str) -> str:
    """Return a payment's id from an address, or say that there is no such payment when it cannot be one.

    Raises:
        NotFound: it does not have the shape of one.
    """
    if _ID.fullmatch(payment) is None:
        raise NotFound("There is no such payment.")
    return payment


def _attempt(attempt: Attempt) -> AttemptView:
    return AttemptView(**{name: getattr(attempt, name) for name in AttemptView.__struct_fields__})


def _said(said: Said) -> SaidView:
    return SaidView(event=said.event, said=msgspec.json.decode(said.said), effect=said.effect, at=said.at)


ROUTES = (list_payments, get_payment, ask_for_payment, refund_payment)
