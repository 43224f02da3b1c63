"""What a payment provider is told and says: the port of those who take money."""

from __future__ import annotations

from typing import Protocol

import msgspec

from botstead.core.messages import Event
from botstead.core.money import PaymentState
from botstead.core.ports import Account


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A payment as a provider is told of it. Everything sent to a provider for it is keyed by `key`, never by a try.

    Args:
        id: `pay_…`, stands at the provider as our reference.
        key: a random UUID from the order's row: the base of idempotency keys.
        amount: in the currency's smallest unit.
        currency: ISO 4217.
        title: what is paid for.
        session: the provider's id of its page or order; empty before `open`.
        payment: the provider's id of the money taken (payment intent, capture); empty before.
        return_url: where the person comes back to after paying.
        created: Unix seconds.
    """

    id: str
    key: str
    amount: int
    currency: str
    title: str
    session: str = ""
    payment: str = ""
    return_url: str = ""
    created: float = 0.0


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider says of an order at one moment.

    Args:
        order: our id of it, `pay_…`; empty when the provider names only its own ids.
        state: opened never; see `PaymentState`. REFUNDED only when all of it went back.
        session: the provider's id of its page or order.
        payment: the provider's id of the money taken.
        amount: what was paid, in the smallest unit; 0 when it does not say.
        currency: of the amount; empty when it does not say.
        refunded: how much went back so far, in the smallest unit; 0 when it does not say.
        url: where the person pays.
        detail: why it failed, in the provider's words; never a secret.
    """

    state: PaymentState
    order: str = ""
    session: str = ""
    payment: str = ""
    amount: int = 0
    currency: str = ""
    refunded: int = 0
    url: str = ""
    detail: str = ""


class PaymentProvider(Protocol):
    """Somebody who takes money.

    Each is a `ChannelKind` too: its account is a channel of the bot, so that secrets, hook and health are kept as those of chats
    are, and a verified delivery of it goes through the same inbox.

    All but `news` raise EgressError for a fault of the network (EgressTimeout and EgressBroken: the outcome is unknown, ask or
    repeat under the same key), and PaymentRefused when the provider says no.
    """

    kind: str

    async def open(self, order: Order, account: Account) -> Standing:
        """Make the page that the person pays at. Safe to repeat: while the provider keeps keys, an order gets the same page."""
        ...

    async def look(self, order: Order, account: Account) -> Standing:
        """Ask how an order stands. Changes nothing."""
        ...

    async def capture(self, order: Order, account: Account) -> Standing:
        """Take the money of an approved order. Safe to repeat. Where the provider takes it by itself, the same as `look`."""
        ...

    async def refund(self, order: Order, amount: int, key: str, account: Account) -> Standing:
        """Give money back. Safe to repeat with the same key.

        Args:
            order: with its `payment`.
            amount: in the smallest unit.
            key: names this refund of the order.
            account: the payment account.
        """
        ...

    async def confirm(self, event: Event, account: Account) -> bool:
        """Say whether the provider sent an event, before it has any effect; asked by the worker, never while the hook waits.

        For providers whose signature cannot be checked without the network: their `verify` takes what is well-formed and fresh,
        and this decides. True at once where `verify` has decided already, and for events that we made of our own questions.

        Args:
            event: as `parse` made it, and as the inbox kept it.
            account: the payment account.

        Returns:
            False: somebody else sent it. It must have no effect, now or later.

        Raises:
            EgressError: it cannot be told now; ask again later.
        """
        ...

    def news(self, event: Event, account: Account) -> Standing | None:
        """Say what an event that `parse` found means for an order; None when it is about none. Pure; `confirm` comes first."""
        ...
