"""The ledger: payments, what was tried for them, what the provider said. What a change means is decided in `operate/payments`.

Whatever changes a payment holds its row, and what the bot has to hear of it is put into its inbox by the same transaction.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec

from botstead.core.errors import NotFound
from botstead.core.money import PaymentState
from botstead.core.tills import Standing
from botstead.store import queries
from botstead.store.keys import random_digits
from botstead.store.payment_records import (
    Applied,
    Attempt,
    AttemptKind,
    AttemptState,
    Judge,
    NewOrder,
    PaymentRow,
    Said,
    Tell,
    Unsettled,
    Verdict,
)
from botstead.store.postgres import Postgres, storable

ID_DIGITS = 24
"""Random base62 digits after `pay_`: 142 bits, nobody guesses the address of somebody's payment."""
DETAIL_LIMIT = 500
URL_LIMIT = 4_000
FOREVER = 2**63 - 1
Begin = Callable[[AttemptKind, str, int], Awaitable[Attempt]]
_SQL = queries.load("payments")


class Ledger:
    """Reads and writes it."""

    def __init__(self, postgres: Postgres, partition_of: Callable[[str], int]) -> None:
        """Prepare; nothing is read yet.

        Args:
            postgres: where it is.
            partition_of: the road's hash from a conversation's key to its partition.
        """
        self._postgres = postgres
        self._partition_of = partition_of

    async def order(self, new: NewOrder) -> PaymentRow:
        """Return the payment that a message asks for, made if there is none. Safe to repeat.

        Raises:
            NotFound: there is no such message.
        """
        async with self._postgres.unit() as connection:
            asked = await connection.fetchrow(_SQL["asked"], new.message)
            if asked is None:
                raise NotFound("There is no such message.")
            conversation = asked["conversation"]
            await connection.execute(
                _SQL["order"],
                f"pay_{random_digits(ID_DIGITS)}",
                new.message,
                asked["bot"],
                new.account,
                asked["channel"],
                conversation,
                self._partition_of(conversation),
                new.provider,
                storable(new.reference, limit=DETAIL_LIMIT),
                storable(new.title, limit=DETAIL_LIMIT),
                new.amount,
                new.currency,
                asked["trace"],
                new.patience,
            )
            return _row(await connection.fetchrow(_SQL["of_message"], new.message))

    async def of_message(self, message: int) -> PaymentRow | None:
        """Return the payment that a message asks for, if it has one."""
        async with self._postgres.connection() as connection:
            found = await connection.fetchrow(_SQL["of_message"], message)
        return None if found is None else _row(found)

    async def get(self, payment: str) -> PaymentRow:
        """Return a payment.

        Args:
            payment: its id.

        Raises:
            NotFound: there is none.
        """
        async with self._postgres.connection() as connection:
            found = await connection.fetchrow(_SQL["one"], payment)
            if found is None:
                raise NotFound("There is no such payment.")
            name = await connection.fetchval(_SQL["bot_name"], found["bot"])
        return _row(found, bot_name=name)

    async def list(
        self,
        *,
        limit: int,
        before: int | None = None,
        bot: int | None = None,
        state: str | None = None,
        conversation: str | None = None,
    ) -> tuple[PaymentRow, ...]:
        """Return payments, newest first.

        Args:
            limit: at most so many.
            before: only numbers below this.
            bot: only of this bot, by number.
            state: only those that stand so.
            conversation: only of this one.
        """
        async with self._postgres.connection() as connection:
            rows = await connection.fetch(_SQL["list"], before or FOREVER, bot, state, conversation, limit)
        return tuple(map(_row, rows))

    async def attempts(self, payment: str) -> tuple[Attempt, ...]:
        """Return what was tried for a payment, oldest first."""
        async with self._postgres.connection() as connection:
            rows = await connection.fetch(_SQL["attempts"], payment)
        return tuple(map(_attempt, rows))

    async def events(self, payment: str, *, limit: int = 200) -> tuple[Said, ...]:
        """Return what was said of a payment, oldest first, of the newest so many."""
        async with self._postgres.connection() as connection:
            rows = await connection.fetch(_SQL["events"], payment, limit)
        return tuple(Said(event=row["event"], said=row["said"], effect=row["effect"], at=row["at"]) for row in rows)

    async def apply(self, account: int, event: str, said: Standing, *, judge: Judge, tell: Tell) -> Applied:
        """Apply what was said of a payment, once for each event; safe to repeat.

        Args:
            account: number of the payment account that says it.
            event: the provider's id of the event, or one of ours; unique within the account.
            said: what it says.
            judge: decides, on the locked row.
            tell: writes the news for the bot.
        """
        async with self._postgres.unit() as connection:
            payment = await connection.fetchval(_SQL["find"], account, said.order, said.session, said.payment)
            row = None if payment is None else _row(await connection.fetchrow(_SQL["lock"], payment))
            written = storable(msgspec.json.encode(said).decode(), limit=FOREVER)
            if await connection.fetchval(_SQL["heard"], account, event, payment, written) is None:
                return Applied(row=row, effect="repeated")
            if row is None:
                return Applied(row=None, effect="unmatched")
            verdict = judge(row, said)
            after = await self._write(connection, row, said, verdict, tell)
            await connection.execute(_SQL["effect"], account, event, verdict.effect)
            return Applied(row=after, effect=verdict.effect, told=verdict.told)

    async def _write(
        self, connection: asyncpg.Connection, row: PaymentRow, said: Standing, verdict: Verdict, tell: Tell
    ) -> PaymentRow:
        detail = storable(verdict.detail, limit=DETAIL_LIMIT)
        session, money = (storable(text, limit=DETAIL_LIMIT) for text in (said.session, said.payment))
        after = msgspec.structs.replace(
            row, state=verdict.state, refunded=verdict.refunded, held=verdict.held, detail=detail,
            session=session or row.session, payment=money or row.payment, url=said.url[:URL_LIMIT] or row.url,
        )  # fmt: skip
        news = None
        if verdict.told:
            where = (row.bot, row.channel, row.conversation, row.partition)
            news = await connection.fetchval(_SQL["tell"], *where, tell(after), row.trace)
        paid = news if verdict.state is PaymentState.PAID else None
        await connection.execute(
            _SQL["write"],
            row.id,
            after.state,
            after.refunded,
            after.held,
            detail,
            session,
            money,
            after.url,
            paid,
            verdict.patience,
        )
        for kinds, end in ((verdict.done, "done"), (verdict.failed, "failed")):
            if kinds:
                await connection.execute(_SQL["resolve"], row.id, list(kinds), end)
        return after if paid is None else msgspec.structs.replace(after, news=paid)

    async def find(self, account: int, said: Standing) -> PaymentRow | None:
        """Return the payment of an account that something is said of, if it is one of ours."""
        async with self._postgres.connection() as connection:
            payment = await connection.fetchval(_SQL["find"], account, said.order, said.session, said.payment)
            return None if payment is None else _row(await connection.fetchrow(_SQL["one"], payment))

    async def begin(self, payment: str, kind: AttemptKind, key: str, amount: int) -> Attempt:
        """Note a try, or one more of it; what ended well before is returned as `done`."""
        async with self._postgres.unit() as connection:
            return _attempt(await connection.fetchrow(_SQL["begin"], payment, kind, key, amount))

    @asynccontextmanager
    async def held(self, payment: str) -> AsyncIterator[tuple[PaymentRow, tuple[Attempt, ...], Begin]]:
        """Hold a payment, to decide on a try that depends on the others.

        Args:
            payment: its id.

        Yields:
            The payment, its attempts, and a function that begins one: `await begin(kind, key, amount)`.

        Raises:
            NotFound: there is no such payment.
        """
        async with self._postgres.unit() as connection:
            found = await connection.fetchrow(_SQL["lock"], payment)
            if found is None:
                raise NotFound("There is no such payment.")
            attempts = tuple(map(_attempt, await connection.fetch(_SQL["attempts"], payment)))

            async def begin(kind: AttemptKind, key: str, amount: int) -> Attempt:
                return _attempt(await connection.fetchrow(_SQL["begin"], payment, kind, key, amount))

            yield _row(found), attempts, begin

    async def end(self, attempt: Attempt, state: AttemptState, error: str = "") -> None:
        """Note how a try ended; a try that was done stays done."""
        async with self._postgres.unit() as connection:
            await connection.execute(_SQL["end"], attempt.id, state, storable(error, limit=DETAIL_LIMIT))

    async def reword(self, message: int, body: str, payload: str) -> None:
        """Show what a message that asked for money has become."""
        async with self._postgres.unit() as connection:
            await connection.execute(_SQL["reword"], message, storable(body, limit=FOREVER), payload)

    async def due(self, *, limit: int, first: float, pending: float, longest: float) -> tuple[PaymentRow, ...]:
        """Take payments whose provider should be asked; each is put off at once, doubled each time.

        Args:
            limit: at most so many.
            first: seconds until it is asked again the first time.
            pending: the same where the person may take their time.
            longest: seconds at most.
        """
        async with self._postgres.unit() as connection:
            return tuple(map(_row, await connection.fetch(_SQL["due"], limit, first, pending, longest)))

    async def unknown(self, *, older: float, limit: int) -> tuple[Attempt, ...]:
        """Take refunds of which nobody knows how they ended; each is put off at once, the longer it has lasted the longer.

        Args:
            older: seconds since the last try or look, at least.
            limit: at most so many.
        """
        async with self._postgres.unit() as connection:
            return tuple(map(_attempt, await connection.fetch(_SQL["unknown"], older, limit)))

    async def had_account(self, bot: int, kinds: Sequence[str]) -> bool:
        """Whether a bot has, or ever had, a payment account of one of these kinds.

        Args:
            bot: its number.
            kinds: of providers that take real money.
        """
        async with self._postgres.connection() as connection:
            return bool(await connection.fetchval(_SQL["had_account"], bot, list(kinds)))

    async def fulfil(self, *, limit: int) -> tuple[str, ...]:
        """Mark payments as fulfilled whose news the bot has dealt with; returns the provider of each."""
        async with self._postgres.unit() as connection:
            return tuple(row["provider"] for row in await connection.fetch(_SQL["fulfil"], limit))

    async def unsettled(self) -> Unsettled:
        """Return what a person has to know of."""
        async with self._postgres.connection() as connection:
            return Unsettled(**await connection.fetchrow(_SQL["standing"]))


def _row(found: Mapping[str, Any] | asyncpg.Record, **more: Any) -> PaymentRow:
    values = {name: value for name, value in found.items() if name != "ask_at"}
    return PaymentRow(**{**values, "state": PaymentState(found["state"]), **more})


def _attempt(found: Mapping[str, Any] | asyncpg.Record) -> Attempt:
    return Attempt(**found)
