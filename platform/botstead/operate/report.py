"""How a bot does: the numbers that matter of its work, from the rows of its messages and from the ledger of objectives.

Twelve numbers matter. Those whose feature does not exist yet are absent, not zero: how conversations ended (resolved, handed off,
abandoned), thumbs up and down, and what a resolved conversation costs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from botstead.core.clock import Clock, SystemClock
from botstead.core.ports import Limits
from botstead.operate.objectives.facts import REPEATED, RETRIED, UNDERSTOOD
from botstead.operate.objectives.standing import Standing, Standings
from botstead.store.ledger import BotPromise, LedgerRows, Sum
from botstead.store.llm_usage import LlmDay, UsageRows
from botstead.store.performance import Performance, PerformanceRows
from botstead.store.records import BotRecord

DELIVERY, PROMPTNESS, ACKNOWLEDGED = "delivery_bot", "promptness", "ingress_ack"
USUAL_PROMISE = Limits().promise
"""Seconds that a bot promises without a `bot.toml`."""


class Share(msgspec.Struct, frozen=True):
    """Some of all. `ratio` is null when there were none."""

    count: int
    of: int
    ratio: float | None


class Quantiles(msgspec.Struct, frozen=True):
    """Seconds within which half, 95 % and 99 % were answered."""

    p50: float
    p95: float
    p99: float


class TimeSpent(msgspec.Struct, frozen=True, kw_only=True):
    """Where the time of answered messages went, in shares that add up to 1: waiting, in the bot, at the provider."""

    queue: float
    handle: float
    send: float


class BotReport(msgspec.Struct, frozen=True, kw_only=True):
    """How a bot did in the last hours.

    Args:
        bot: its name.
        hours: how far back.
        promise: seconds within which it promises to answer.
        since: when the rows begin that times and conversations are from; later than asked for where there were too many.
        whole: whether these are all rows of the time.
        delivery: messages that were answered, and the answer delivered.
        answer_seconds: from the acknowledgement to the provider's receipt of the answer; null when nothing was answered.
        time_spent: where that time went; calls of the bot to other services are within `handle`, see a message's timeline.
        acknowledged: deliveries acknowledged within a second, by kind of channel, of all bots on it.
        late: answers that came later than promised.
        not_understood: messages that nothing but the bot's last resort fitted.
        send_retries: sends that were tried again.
        retries: runs and sends tried again, by kind of channel, of all bots on it.
        duplicates: deliveries that had been taken before, by kind of channel, of all bots on it.
        messages: that people sent.
        active_conversations: conversations in which somebody wrote.
        budget: the error budget of its deliveries, over the objective's period.
        llm: what its language model took today, and what is left; null when it asked nothing.
    """

    bot: str
    hours: int
    promise: float
    since: datetime | None
    whole: bool
    delivery: Share
    answer_seconds: Quantiles | None
    time_spent: TimeSpent | None
    acknowledged: Mapping[str, Share]
    late: Share
    not_understood: Share
    send_retries: int
    retries: Mapping[str, int]
    duplicates: Mapping[str, int]
    messages: int
    active_conversations: int
    budget: Standing | None
    llm: LlmDay | None


class Reports:
    """Writes them."""

    def __init__(
        self,
        performance: PerformanceRows,
        ledger: LedgerRows,
        standings: Standings,
        *,
        usage: UsageRows,
        clock: Clock | None = None,
    ) -> None:
        """Prepare; nothing is read yet.

        Args:
            performance: rows of messages.
            ledger: what was counted.
            standings: budgets.
            usage: what language models took.
            clock: what «the last hours» end at.
        """
        self._performance = performance
        self._ledger = ledger
        self._standings = standings
        self._usage = usage
        self._clock = clock or SystemClock()

    async def of(self, bot: BotRecord, *, hours: int) -> BotReport:
        """Report on a bot.

        Args:
            bot: which.
            hours: how far back.

        Raises:
            Unavailable: the database is away.
        """
        since = datetime.fromtimestamp(self._clock.now(), UTC) - timedelta(hours=hours)
        rows = await self._performance.of(bot.id, since)
        sums = await self._ledger.sums([hours * 3600.0])
        promise = (await self._ledger.promises()).get(bot.name, BotPromise(seconds=USUAL_PROMISE))
        detail = await self._standings.one(DELIVERY, labels={"bot": bot.name})
        budget = next((one for one in detail.standings if one.labels), None)
        report = _report(bot.name, rows, hours=hours, counts=_Counts(sums, bot.name), promise=promise, budget=budget)
        return msgspec.structs.replace(report, llm=await self._usage.today(bot.id))


class _Counts:
    """The ledger's sums, by name."""

    def __init__(self, sums: Sequence[Sum], bot: str) -> None:
        self._sums = sums
        self._bot = bot

    def mine(self, name: str) -> tuple[int, int]:
        """Return bad and all events of the bot."""
        found = [one for one in self._sums if one.objective == name and one.labels == {"bot": self._bot}]
        return sum(one.bad for one in found), sum(one.total for one in found)

    def on(self, name: str, channels: Sequence[str]) -> dict[str, tuple[int, int]]:
        """Return bad and all events by channel."""
        found = [one for one in self._sums if one.objective == name and one.labels.get("channel") in channels]
        return {one.labels["channel"]: (one.bad, one.total) for one in found}


def _report(  # noqa: PLR0913  # what a report is made of
    bot: str, rows: Performance, *, hours: int, counts: _Counts, promise: BotPromise, budget: Standing | None
) -> BotReport:
    bad, total = counts.mine(DELIVERY)
    acknowledged = counts.on(ACKNOWLEDGED, rows.channels)
    return BotReport(
        bot=bot,
        hours=hours,
        promise=promise.seconds,
        since=rows.first,
        whole=rows.whole,
        delivery=_share(total - bad, total),
        answer_seconds=Quantiles(*rows.quantiles) if rows.quantiles else None,
        time_spent=_spent(rows),
        acknowledged={channel: _share(of - slow, of) for channel, (slow, of) in sorted(acknowledged.items())},
        late=_share(*counts.mine(PROMPTNESS)),
        not_understood=_share(*counts.mine(UNDERSTOOD)),
        send_retries=rows.send_retries,
        retries={channel: total for channel, (_, total) in sorted(counts.on(RETRIED, rows.channels).items())},
        duplicates={channel: total for channel, (_, total) in sorted(counts.on(REPEATED, rows.channels).items())},
        messages=rows.messages,
        active_conversations=rows.conversations,
        budget=budget,
        llm=None,
    )


def _share(count: int, of: int) -> Share:
    return Share(count, of, count / of if of else None)


def _spent(rows: Performance) -> TimeSpent | None:
    whole = rows.queue + rows.handle + rows.send
    if not whole:
        return None
    return TimeSpent(queue=rows.queue / whole, handle=rows.handle / whole, send=rows.send / whole)
