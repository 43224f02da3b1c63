"""How a bot does, from the rows of its messages: how fast it answers, where the time goes, who speaks to it. Read-only."""

from __future__ import annotations

from datetime import datetime

import msgspec

from botstead.store import queries
from botstead.store.postgres import Postgres

LOOKED_AT = 200_000
"""The newest rows of history that are looked at, those of all bots together: work is bounded, not only time."""
_SQL = queries.load("performance")


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """What the rows say.

    Args:
        whole: whether all rows since the moment were looked at, or only the newest.
        first: when the first message came that was looked at.
        messages: that people sent.
        conversations: in which they did.
        channels: kinds of the bot's channels.
        answers: messages that were answered, and the answer was delivered.
        quantiles: seconds from the acknowledgement to the provider's receipt of the first answer: p50, p95, p99.
        queue: seconds that all these waited for their handler.
        handle: seconds of their handlers, until the answer was committed.
        send: seconds until the provider had the answer.
        send_retries: sends that were tried again.
    """

    whole: bool
    first: datetime | None
    messages: int
    conversations: int
    channels: tuple[str, ...]
    answers: int
    quantiles: tuple[float, ...]
    queue: float
    handle: float
    send: float
    send_retries: int


class PerformanceRows:
    """Reads them."""

    def __init__(self, postgres: Postgres, *, looked_at: int = LOOKED_AT) -> None:
        """Prepare; nothing is read yet.

        Args:
            postgres: where the messages are.
            looked_at: the newest rows of history that are looked at.
        """
        self._postgres = postgres
        self._looked_at = looked_at

    async def of(self, bot: int, since: datetime) -> Performance:
        """Return how a bot did.

        Args:
            bot: the bot's number.
            since: from when on.

        Raises:
            Unavailable: the database is away.
        """
        async with self._postgres.connection() as connection:
            found = await connection.fetchrow(_SQL["since"], since)
            lower = max(found["low"], found["newest"] - self._looked_at)
            heard = await connection.fetchrow(_SQL["heard"], bot, lower)
            answers = await connection.fetchrow(_SQL["answers"], bot, lower)
        return Performance(
            whole=lower == found["low"],
            first=heard["first"],
            messages=heard["messages"],
            conversations=heard["conversations"],
            channels=tuple(heard["channels"]),
            answers=answers["answers"],
            quantiles=tuple(answers["seconds"] or ()),
            queue=answers["queue"],
            handle=answers["handle"],
            send=answers["send"],
            send_retries=answers["send_retries"],
        )
