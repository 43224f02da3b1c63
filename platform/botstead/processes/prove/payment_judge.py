"""What became of each order, by three witnesses: the till's log, the chat network's log, and the ledger as the API shows it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botstead.processes.prove.provider import Entry
from botstead.processes.prove.till.books import Line

if TYPE_CHECKING:
    from botstead.processes.prove.stage import Stage

PROMISE = "P21"
HAD = ("paid", "fulfilled", "refunded")
"""States in which the ledger says that the money came."""
ENDED = ("fulfilled", "refunded", "expired", "failed")
"""States that an order may have when everybody has done what they wanted to."""

SHOP = '''
from pathlib import Path

from botstead import Bot, Chat, Conversation, Message, Payment

bot = Bot(Path(__file__).parent.name)


@bot.on.message
async def ask(message: Message, chat: Chat) -> None:
    """Ask for the price of the order that the message names."""
    number = int(message.text[1:])
    await chat.pay(f"{5 + number % 90}.{number % 100:02}", "EUR", f"Order {message.text}", reference=message.text)


@bot.on.payment
async def heard(payment: Payment, conversation: Conversation, chat: Chat) -> str:
    """Count that the order was fulfilled, and give every tenth back: by turns whole, or a part."""
    order = payment.reference
    if payment.state != "paid":
        return f"heard {order} {payment.state} {payment.refunded}"
    counts = dict(conversation.state.get("fulfilled", {}))
    counts[order] = counts.get(order, 0) + 1
    conversation.state["fulfilled"] = counts
    number = int(order[1:])
    if number % 10:
        return f"fulfilled {order} {counts[order]}"
    part = payment.amount if number % 20 == 0 else payment.amount // 3
    await chat.refund(payment, f"{part // 100}.{part % 100:02}")
    return f"fulfilled {order} {counts[order]} refund {part}"
'''
"""Source of a bot that asks for money for each message."""


@dataclass
class Till:
    """What really happened to an order's money.

    Args:
        pages: that were made for it.
        charges: amounts taken.
        refunds: amounts given back.
        since: when the first charge was made, in Unix seconds.
    """

    pages: list[str] = field(default_factory=list)
    charges: list[int] = field(default_factory=list)
    refunds: list[int] = field(default_factory=list)
    since: float = math.inf


@dataclass
class Told:
    """What the bot said of an order.

    Args:
        fulfilled: how often it has done its part, by its own count.
        refund: amounts that it asked to give back.
        since: when it first said that it has done its part, in Unix seconds.
    """

    fulfilled: int = 0
    refund: set[int] = field(default_factory=set)
    since: float = math.inf


@dataclass
class Findings:
    """What went wrong, if anything; each says which order."""

    charges: int = 0
    refunds: int = 0
    orders: int = 0
    several_payments: list[str] = field(default_factory=list)
    no_page: list[str] = field(default_factory=list)
    several_pages: list[str] = field(default_factory=list)
    charged_twice: list[str] = field(default_factory=list)
    charged_and_lost: list[str] = field(default_factory=list)
    never_charged: list[str] = field(default_factory=list)
    unfulfilled: list[str] = field(default_factory=list)
    fulfilled_early: list[str] = field(default_factory=list)
    fulfilled_twice: list[str] = field(default_factory=list)
    refunded_too_much: list[str] = field(default_factory=list)
    refunds_lost: list[str] = field(default_factory=list)
    amounts: list[str] = field(default_factory=list)
    unended: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def check(self, stage: Stage, *, orders: int) -> None:
        """Record the figures.

        Args:
            stage: where.
            orders: how many there have to be.
        """
        stage.at_least(PROMISE, "orders", self.orders, orders)
        stage.none(PROMISE, "orders with several payments", self.several_payments)
        stage.none(PROMISE, "orders for which nobody got a page to pay at", self.no_page)
        stage.none(PROMISE, "orders with several pages to pay at", self.several_pages)
        stage.at_least(PROMISE, "charges", self.charges, orders // 2)
        stage.none(PROMISE, "orders charged more than once", self.charged_twice)
        stage.none(PROMISE, "charges that the ledger does not know of", self.charged_and_lost)
        stage.none(PROMISE, "orders paid in the ledger that were not charged", self.never_charged)
        stage.none(PROMISE, "orders paid and not fulfilled", self.unfulfilled)
        stage.none(PROMISE, "orders fulfilled before they were charged", self.fulfilled_early)
        stage.none(PROMISE, "orders fulfilled twice", self.fulfilled_twice)
        stage.at_least(PROMISE, "refunds", self.refunds, orders // 20)
        stage.none(PROMISE, "refunds made twice or not asked for", self.refunded_too_much)
        stage.none(PROMISE, "refunds asked for and not made", self.refunds_lost)
        stage.none(PROMISE, "amounts that ledger and till do not agree on", self.amounts)
        stage.none(PROMISE, "orders whose end the ledger does not know", self.unended)
        stage.none(PROMISE, "attempts whose end the ledger does not know", self.unknown)


def examine(asked: Iterable[str], lines: Iterable[Line], sent: Iterable[Entry], ledger: Sequence[dict[str, Any]]) -> Findings:
    """Compare what the three say.

    Args:
        asked: the orders, as people wrote them.
        lines: of the till's log.
        sent: what reached the chat network.
        ledger: details of every payment, as `GET /v1/payments/{id}` shows them.
    """
    tills, told = witnessed(lines), heard(sent)
    orders = sorted(set(asked))
    found = Findings(
        orders=len(orders),
        charges=sum(len(till.charges) for till in tills.values()),
        refunds=sum(len(till.refunds) for till in tills.values()),
    )
    names: dict[str, list[str]] = defaultdict(list)
    for detail in ledger:
        payment = detail["payment"]
        names[payment["reference"]].append(payment["id"])
        till = tills.get(payment["id"], Till())
        _of_ledger(found, payment, till)
        _of_bot(found, payment, till, told.get(payment["reference"], Told()))
        found.unknown += [
            f"{payment['reference']} {payment['id']}: {one['kind']} is {one['state']} after {one['tries']} tries: {one['error']}"
            for one in detail["attempts"]
            if one["state"] in ("pending", "unknown")
        ]
    known = {detail["payment"]["id"] for detail in ledger}
    found.charged_and_lost += [f"{order}: charged, and no payment of the ledger" for order in sorted(tills.keys() - known)]
    found.several_payments = [f"{order}: {payments}" for order, payments in sorted(names.items()) if len(payments) > 1]
    paged = {payment for payment, till in tills.items() if till.pages}
    found.no_page = [order for order in orders if not paged.intersection(names[order])]
    return found


def _of_ledger(found: Findings, payment: dict[str, Any], till: Till) -> None:
    """Hold the ledger to the till."""
    name = f"{payment['reference']} {payment['id']}"
    state = f"{payment['state']}{' and held' if payment['held'] else ''}"
    had = payment["state"] in HAD and not payment["held"]
    found.several_pages += [f"{name}: {till.pages}"] if len(till.pages) > 1 else []
    found.charged_twice += [f"{name}: {till.charges}"] if len(till.charges) > 1 else []
    found.charged_and_lost += [f"{name}: charged, and the ledger says {state}"] if till.charges and not had else []
    found.never_charged += [f"{name}: {state}"] if had and not till.charges else []
    found.unended += [f"{name}: {state} {payment['detail']}"] if payment["state"] not in ENDED and not had else []
    ours, theirs = (payment["amount"], payment["refunded"]), (sum(till.charges), sum(till.refunds))
    found.amounts += [f"{name}: {ours} in the ledger, {theirs} at the till"] if till.charges and ours != theirs else []


def _of_bot(found: Findings, payment: dict[str, Any], till: Till, told: Told) -> None:
    """Hold what the bot did to the till."""
    name = f"{payment['reference']} {payment['id']}"
    done = told.fulfilled > 0 and payment["state"] != "paid"
    said = f"told {told.fulfilled} times, the ledger says {payment['state']}"
    found.unfulfilled += [f"{name}: {said}"] if till.charges and not done else []
    found.never_charged += [f"{name}: {said}"] if told.fulfilled and not till.charges else []
    early = till.charges and told.since < till.since
    found.fulfilled_early += [f"{name}: {till.since - told.since:.3f} s before"] if early else []
    found.fulfilled_twice += [f"{name}: {told.fulfilled} times"] if told.fulfilled > 1 else []
    asked, made = sorted(told.refund), sorted(till.refunds)
    extra = [amount for amount in made if amount not in asked]
    found.refunded_too_much += [f"{name}: {made}, asked for {asked}"] if extra or len(made) > len(asked) else []
    found.refunds_lost += [f"{name}: {made}, asked for {asked}"] if [amount for amount in asked if amount not in made] else []


def witnessed(lines: Iterable[Line]) -> dict[str, Till]:
    """Return what the till did for each order.

    Args:
        lines: of its log.
    """
    found: dict[str, Till] = defaultdict(Till)
    for line in lines:
        if line.what == "page":
            found[line.order].pages.append(line.id)
        elif line.what == "charge":
            found[line.order].charges.append(line.amount)
            found[line.order].since = min(found[line.order].since, line.at)
        elif line.what == "refund":
            found[line.order].refunds.append(line.amount)
    return found


def heard(sent: Iterable[Entry]) -> dict[str, Told]:
    """Return what the bot said of each order; what arrived twice counts once.

    Args:
        sent: what reached the chat network.
    """
    found: dict[str, Told] = defaultdict(Told)
    for entry in sent:
        words = entry.text.split(" ")
        if words[0] == "fulfilled" and len(words) >= 3:
            told = found[words[1]]
            told.fulfilled = max(told.fulfilled, int(words[2]))
            told.since = min(told.since, entry.at)
            if words[3:4] == ["refund"]:
                told.refund.add(int(words[4]))
    return found
