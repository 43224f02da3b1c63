"""How fast we may send: what the provider allows each bot in all, and each conversation. Delays, never drops.

The bot's limit is shared by all workers through the cache server; without it each worker takes its share of the rate. Places
that were given out stay taken when that server forgets them or goes away: what it knew is remembered here too.
Conversations belong to one worker, so theirs is kept in memory. Both are the generic cell rate algorithm: one number,
the theoretical arrival time, for each bucket.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from botstead.core.ports import Account

Shared = Callable[[str, float, float, float], Awaitable[float | None]]
"""(bucket, seconds a message, burst seconds, seconds from now for which places are taken as far as we know) to seconds to wait,
negative for a send that comes early; None when the shared buckets are away."""
BURST = 1.0
"""Seconds by which a bot's messages may come early."""
CONVERSATIONS = 10_000
"""Buckets of conversations kept in memory."""


class Rate(NamedTuple):
    """What a network allows; 0 means no limit.

    Args:
        bot_per_second: messages of one bot in all.
        conversation_per_second: messages in one conversation, in the long run.
        conversation_burst: messages at once before that limit bites.
    """

    bot_per_second: float = 0.0
    conversation_per_second: float = 0.0
    conversation_burst: int = 1


def reserve(arrival: float, *, now: float, interval: float, burst: float) -> tuple[float, float]:
    """Take a place in a bucket. Pure.

    Args:
        arrival: the bucket's theoretical arrival time.
        now: the same clock.
        interval: seconds a message.
        burst: seconds by which messages may come early.

    Returns:
        The new arrival time and the seconds to wait.
    """
    following = max(arrival, now) + interval
    return following, max(0.0, following - interval - burst - now)


class Governor:
    """Says how long a send has to wait."""

    def __init__(self, rate_of: Callable[[Account], Rate], shared: Shared | None, *, workers: Callable[[], int]) -> None:
        """Start with full buckets.

        Args:
            rate_of: what a channel allows.
            shared: buckets shared by all workers.
            workers: how many share the rate when the shared buckets are away.
        """
        self._rate_of = rate_of
        self._shared = shared
        self._workers = workers
        self._bots: dict[int, float] = {}
        self._conversations: OrderedDict[str, float] = OrderedDict()

    async def wait(self, account: Account, conversation: str, *, now: float) -> float:
        """Reserve a send; returns the seconds to wait before it.

        Args:
            account: the channel.
            conversation: the conversation's key.
            now: seconds that never jump.
        """
        rate = self._rate_of(account)
        wait = 0.0
        if rate.bot_per_second > 0:
            wait = await self._bot(account.id, 1 / rate.bot_per_second, now)
        if rate.conversation_per_second > 0:
            wait = max(wait, self._conversation(conversation, rate, now))
        return wait

    async def _bot(self, channel: int, interval: float, now: float) -> float:
        if self._shared is not None:
            taken = max(0.0, self._bots.get(channel, 0.0) - now)
            wait = await self._shared(f"rate:{channel}", interval, BURST, taken)
            if wait is not None:
                self._bots[channel] = max(self._bots.get(channel, 0.0), now + wait + interval + BURST)
                return max(0.0, wait)
        share = interval * max(1, self._workers())
        self._bots[channel], wait = reserve(self._bots.get(channel, 0.0), now=now, interval=share, burst=BURST)
        return wait

    def _conversation(self, conversation: str, rate: Rate, now: float) -> float:
        interval = 1 / rate.conversation_per_second
        burst = interval * max(0, rate.conversation_burst - 1)
        arrival, wait = reserve(self._conversations.pop(conversation, 0.0), now=now, interval=interval, burst=burst)
        self._conversations[conversation] = arrival
        if len(self._conversations) > CONVERSATIONS:
            self._conversations.popitem(last=False)
        return wait
