"""From the names in a query (`?bot=&channel=`) to the numbers that the store filters by."""

from __future__ import annotations

from botstead.store.transcripts import Scope
from botstead.web.deps import AppDeps
from botstead.web.paging import checked


async def scope_of(deps: AppDeps, *, bot: str | None, channel: str | None) -> Scope:
    """Look up what a list is narrowed to.

    Args:
        deps: the application's.
        bot: a bot's name, or None.
        channel: a channel's id, or None.

    Raises:
        NotFound: there is no such bot or channel.
    """
    return Scope(
        bot=None if bot is None else (await deps.registry.bot(checked("bot", bot))).id,
        channel=None if channel is None else (await deps.registry.channel(checked("channel", channel))).number,
    )
