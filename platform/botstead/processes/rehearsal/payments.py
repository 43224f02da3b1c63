"""`chat.payments`: the double of a payment provider and of the ledger. States move by the same rules as in production."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from botstead.bots.testing import KitClock, Reply
from botstead.core.errors import PaymentRefused
from botstead.core.messages import Event, Kind, Outcome, Pay, Reason, Receipt, Refund, Send
from botstead.core.money import Money, Payment, PaymentState, money
from botstead.core.tills import Standing
from botstead.operate.payments.cashier import DOUBLE
from botstead.operate.payments.paying import SORRY, later, message
from botstead.operate.payments.state import Books, advance, move, refundable
from botstead.processes.rehearsal.double import Double

SECONDS: Final = 25.0
"""What asking a provider may take."""
_OPEN: Final = frozenset({PaymentState.PENDING, PaymentState.APPROVED})


class _Row:
    """One payment in the books."""

    def __init__(self, number: int, pay: Pay, provider: str) -> None:
        self.id = f"pay_test{number}"
        self.url = f"https://pay.example/{self.id}"
        self.books = Books(state=PaymentState.PENDING, amount=pay.amount, currency=pay.currency)
        self._pay = pay
        self._provider = provider

    def payment(self) -> Payment:
        books = self.books
        return Payment(
            id=self.id,
            state=books.state,
            amount=books.amount,
            currency=books.currency,
            title=self._pay.title,
            reference=self._pay.reference,
            refunded=books.refunded,
            url=self.url,
            detail=books.detail,
            provider=self._provider,
        )


class Till(Double):
    """Opens a page for each `Pay`, and pays, declines or gives back what the test says."""

    def __init__(self, clock: KitClock, tell: Callable[[], Awaitable[Reply]]) -> None:
        """Build it.

        Args:
            clock: the kit's time.
            tell: lets the bot hear what is in `news`.
        """
        super().__init__(clock)
        self._tell = tell
        self._rows: dict[str, _Row] = {}
        self._refusal: str | None = None
        self.news: deque[Event] = deque()
        """What the bot has not heard of yet."""
        self.provider = DOUBLE
        """The kind of payment account of a payment that names none: testpay, stripe or paypal."""

    @property
    def all(self) -> list[Payment]:
        """Every payment as the books have it, oldest first."""
        return [row.payment() for row in self._rows.values()]

    @property
    def held(self) -> list[Payment]:
        """Those that somebody has to look at, since another amount was paid than was asked for."""
        return [row.payment() for row in self._rows.values() if row.books.held]

    def refuses(self, detail: str = "The currency is not enabled.") -> None:
        """Let the provider say no to the next payments and refunds.

        Args:
            detail: its words; `well` ends it.
        """
        self._refusal = detail

    def well(self) -> None:
        """Let everything succeed again."""
        super().well()
        self._refusal = None

    async def pay(self, payment: str = "") -> Reply:
        """Pay, as the person does on the provider's page. Paying twice has no second effect.

        Args:
            payment: its id or reference; by default the newest that is open, or else the newest.

        Returns:
            What the bot said to it.
        """
        row = self._row(payment)
        return await self.hear(row.id, Standing(state=PaymentState.PAID, amount=row.books.amount, currency=row.books.currency))

    async def decline(self, payment: str = "", detail: str = "Your card was declined.") -> Reply:
        """Let a payment fail for good.

        Args:
            payment: as for `pay`.
            detail: the provider's words.
        """
        return await self.hear(self._row(payment).id, Standing(state=PaymentState.FAILED, detail=detail))

    async def expire(self, payment: str = "") -> Reply:
        """Let the provider's page close before anybody has paid.

        Args:
            payment: as for `pay`.
        """
        return await self.hear(self._row(payment).id, Standing(state=PaymentState.EXPIRED))

    async def refund(self, payment: str = "", amount: str = "") -> Reply:
        """Give money back at the provider's, without the bot having asked.

        Args:
            payment: as for `pay`.
            amount: such as "2.50"; by default all.
        """
        row = self._row(payment)
        part = money(amount, row.books.currency).amount if amount else row.books.amount
        back = row.books.refunded + part
        return await self.hear(row.id, Standing(state=PaymentState.PAID, refunded=back))

    async def hear(self, payment: str, said: Standing) -> Reply:
        """Take what a provider says of a payment, and let the bot hear of it if it has to. What is approved is captured.

        Args:
            payment: its id.
            said: how it stands.
        """
        row = self._rows[payment]
        self._note(row, said)
        if row.books.state is PaymentState.APPROVED and not row.books.held and self.met(SECONDS) is None:
            self._note(row, Standing(state=PaymentState.PAID))
        return await self._tell()

    def asked(self, pay: Pay) -> Send | Receipt:
        """Open a page, and return what the person reads; or why that cannot be done now.

        Args:
            pay: what the bot asks for.
        """
        error = self.met(SECONDS)
        if error is not None:
            return later(error)
        row = _Row(len(self._rows) + 1, pay, pay.provider or self.provider)
        self._rows[row.id] = row
        if self._refusal is not None:
            self._note(row, Standing(state=PaymentState.FAILED, detail=self._refusal))
            return Send(text=SORRY, plain=True)
        return message(pay, row.url, test=row.payment().provider == DOUBLE)

    def give_back(self, refund: Refund) -> Refund | Receipt:
        """Give money back, or return why that cannot be done.

        Args:
            refund: what the bot asks for.
        """
        error = self.met(SECONDS)
        if error is not None:
            return later(error)
        row = self._rows.get(refund.payment)
        if row is None:
            return _no("There is no such payment.")
        left = refundable(row.books, 0)
        amount = refund.amount or left
        if self._refusal is not None or not 0 < amount <= left:
            can, wanted = Money(left, row.books.currency), Money(amount, row.books.currency)
            return _no(self._refusal or f"Of this payment {can} can go back, not {wanted}.")
        self._note(row, Standing(state=PaymentState.PAID, refunded=row.books.refunded + amount))
        return refund

    def fulfilled(self, payment: Payment) -> None:
        """Note that the bot has done its part.

        Args:
            payment: as the bot heard of it.
        """
        if payment.state is PaymentState.PAID:
            row = self._rows[payment.id]
            row.books = msgspec.structs.replace(row.books, state=advance(row.books.state, PaymentState.FULFILLED))

    def newest(self, payment: str = "") -> Payment:
        """Return a payment.

        Args:
            payment: as for `pay`.

        Raises:
            LookupError: there is none.
        """
        return self._row(payment).payment()

    def _row(self, named: str) -> _Row:
        rows = [row for row in self._rows.values() if named in {"", row.id, row.payment().reference}]
        if not rows:
            raise LookupError(
                f"nobody was asked to pay {named!r}, only {[row.payment().reference for row in self._rows.values()]}"
            )
        return next((row for row in reversed(rows) if row.books.state in _OPEN), rows[-1])

    def _note(self, row: _Row, said: Standing) -> None:
        moved = move(row.books, said)
        row.books = moved.books
        if moved.told:
            payment = row.payment()
            key = f"{row.id}:{payment.state}:{payment.refunded}"
            self.news.append(Event(Kind.PAYMENT, "test", key, at=self._time.now(), payment=payment))


def _no(detail: str) -> Receipt:
    return Receipt(outcome=Outcome.FAILED, reason=Reason.INVALID, detail=PaymentRefused(detail).message)
