"""What asking, hearing and asking after share: the ledger, the payment accounts, and their providers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from botstead.core.errors import EgressTimeout, PaymentRefused
from botstead.core.messages import Event, Kind
from botstead.core.money import PaymentState
from botstead.core.ports import Account, Wake
from botstead.core.tills import Order, PaymentProvider, Standing
from botstead.operate.payments import measures
from botstead.operate.payments.state import SETTLED, Books, Moved, move
from botstead.runtime.outside.caller import Caller, caller
from botstead.store.payment_records import Applied, AttemptKind, PaymentRow, Verdict
from botstead.store.payments import Ledger
from botstead.telemetry.logs import event

DOUBLE: Final = "testpay"
"""The kind of the shipped double."""
PENDING_TIMES: Final = 10
"""Times as long a provider is not asked about an order whose person may take their time."""

logger = logging.getLogger(__name__)


class Waits(msgspec.Struct, frozen=True, kw_only=True):
    """How long things wait, in seconds.

    Args:
        patience: until a provider is asked about an order of which nothing is known, or that is approved.
        answer: that a provider may take to answer, all tries together.
    """

    patience: float = 60.0
    answer: float = 25.0

    @property
    def pending(self) -> float:
        """Until it is asked about an order whose person may take their time."""
        return self.patience * PENDING_TIMES


_USUAL: Final = Waits()


class Cashier:
    """Knows them, and applies what providers say. One for each process."""

    def __init__(  # noqa: PLR0913  # what it is made of, each given by name
        self,
        ledger: Ledger,
        *,
        providers: Mapping[str, PaymentProvider],
        accounts: Callable[[], Iterable[Account]],
        find: Callable[[int], Awaitable[Account | None]],
        double: Callable[[str], Awaitable[Account]],
        wake: Wake,
        base: str,
        waits: Waits = _USUAL,
    ) -> None:
        """Prepare.

        Args:
            ledger: the ledger.
            providers: by kind; the double among them.
            accounts: every channel, payment accounts among them.
            find: a channel by its number, looked for again when it is unknown.
            double: makes the account of the double for a bot, by the bot's name; safe to repeat.
            wake: told when there is news for a bot.
            base: the address that people reach, without a slash at its end.
            waits: how long things wait.
        """
        self.waits = waits
        self.ledger = ledger
        self.providers = providers
        self._accounts = accounts
        self._find = find
        self._double = double
        self._wake = wake
        self._base = base

    async def account_for(self, bot: Account, wanted: str) -> Account:
        """Choose the payment account that a bot's order goes to.

        Args:
            bot: the channel of the conversation.
            wanted: the kind that the bot names; empty: its only one.

        Raises:
            PaymentRefused: there is none, or the bot has to say which.
        """
        real = self.real_accounts(bot.bot)
        found = [account for account in real if wanted in ("", account.kind)]
        if len(found) == 1:
            return found[0]
        if found:
            kinds = " or ".join(sorted({account.kind for account in found}))
            raise PaymentRefused(f"The bot has {len(found)} payment accounts. Name one by `provider`: {kinds}.")
        if wanted not in ("", DOUBLE) or not await self.tests(bot.bot):
            word = wanted or "payment"
            raise PaymentRefused(
                f"The bot has no {word} account. Add one: `botstead channels add {bot.bot_name} {wanted or 'stripe'}`."
            )
        return await self._double(bot.bot_name)

    async def tests(self, bot: int) -> bool:
        """Whether the double is for a bot: never once it had a real account, even one that was removed since.

        Args:
            bot: its number.
        """
        return DOUBLE in self.providers and not await self.ledger.had_account(bot, sorted(self.providers.keys() - {DOUBLE}))

    def real_accounts(self, bot: int) -> list[Account]:
        """Return a bot's payment accounts, the double's apart.

        Args:
            bot: its number.
        """
        return [
            account for account in self._accounts() if account.bot == bot and account.kind in self.providers.keys() - {DOUBLE}
        ]

    async def account(self, number: int) -> Account | None:
        """Return a payment account by its number, or None when it was removed."""
        found = await self._find(number)
        return found if found is not None and found.kind in self.providers else None

    def order(self, row: PaymentRow) -> Order:
        """Return a payment as its provider is told of it."""
        return row.order(return_url=self._return_url(row))

    def _return_url(self, row: PaymentRow) -> str:
        return f"{self._base}/pay/{row.id}"

    @asynccontextmanager
    async def asking(self, account: Account) -> AsyncIterator[PaymentProvider]:
        """Ask a provider, within a deadline, on behalf of the account's bot.

        Args:
            account: the payment account.

        Yields:
            The provider.

        Raises:
            EgressTimeout: it took too long; the request may have arrived.
        """
        known = caller.set(Caller(account.bot_name, time.monotonic() + self.waits.answer))
        try:
            async with asyncio.timeout(self.waits.answer):
                yield self.providers[account.kind]
        except TimeoutError as error:
            raise EgressTimeout from error
        finally:
            caller.reset(known)

    def _judge(self, row: PaymentRow, said: Standing) -> Verdict:
        return judge(row, said, self.waits)

    async def hear(self, account: Account, said_id: str, said: Standing) -> Applied:
        """Apply what a provider says, once for each `said_id`; the bot is told by the same transaction.

        Args:
            account: the payment account.
            said_id: the provider's id of the event, or one of ours.
            said: what it says.
        """
        applied = await self.ledger.apply(account.id, said_id, said, judge=self._judge, tell=tell)
        if applied.told:
            self._wake.publish("inbox")
        if applied.row is not None and applied.effect == "moved":
            measures.moved(applied.row)
        if applied.effect == "mismatch" and applied.row is not None:
            event(logger, "payment_held", level=logging.ERROR, payment=applied.row.id, bot=account.bot_name, channel=account.kind)
        return applied


def books(row: PaymentRow) -> Books:
    """Return of a payment what decides over its next state."""
    return Books(
        state=row.state, amount=row.amount, currency=row.currency, refunded=row.refunded, held=row.held, detail=row.detail
    )


def judge(row: PaymentRow, said: Standing, waits: Waits) -> Verdict:
    """Decide what becomes of a payment, and of the tries that are open. Pure.

    Args:
        row: how it stands.
        said: what the provider says.
        waits: how long things wait.
    """
    moved = move(books(row), said)
    now = moved.books
    done, failed = _resolved(moved)
    return Verdict(
        state=now.state,
        refunded=now.refunded,
        held=now.held,
        detail=now.detail,
        effect=moved.effect,
        done=done,
        failed=failed,
        told=moved.told,
        patience=waits.pending if now.state is PaymentState.PENDING else waits.patience,
    )


def _resolved(moved: Moved) -> tuple[tuple[AttemptKind, ...], tuple[AttemptKind, ...]]:
    """Return which kinds of tries ended well, and which did not, as the new state tells."""
    if moved.effect != "moved":
        return (), ()
    if moved.books.state in SETTLED:
        return ("open", "capture"), ()
    if moved.books.state in {PaymentState.FAILED, PaymentState.EXPIRED}:
        return (), ("open", "capture")
    return ("open",), ()


def tell(row: PaymentRow) -> str:
    """Write the news of a payment as the payload of a message."""
    return msgspec.json.encode(Event(kind=Kind.PAYMENT, conversation="", key="", payment=row.public())).decode()
