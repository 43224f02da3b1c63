"""What the chat needs from the rest of the platform."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from botstead.core.messages import Event
from botstead.core.ports import Account, Wake
from botstead.store.postgres import Postgres


@dataclass(frozen=True)
class Welcome:
    """What the page says before anything was said.

    Args:
        title: the bot's name as people read it.
        about: one or two sentences about it, may be empty.
        suggestions: texts that are sent when pressed.
    """

    title: str
    about: str = ""
    suggestions: tuple[str, ...] = ()


async def welcome_from_settings(account: Account) -> Welcome:
    """Build the welcome from the channel's settings: `title`, `about`, `suggestions`.

    Args:
        account: the bot's web chat.
    """
    title = account.settings.get("title") or account.bot_name.replace("-", " ").capitalize()
    return Welcome(str(title), str(account.settings.get("about", "")), tuple(account.settings.get("suggestions", ())))


@dataclass(frozen=True)
class ChatDeps:
    """What `chat_routes` is built from.

    Args:
        find_account: the web chat of a bot by the bot's name, or None.
        accept_one: keeps one event durably and returns its message id, 0 when it was kept before. Raises `Unavailable`.
        postgres: where history is read from.
        wake: hints between processes, topic `chat`: a conversation's key, or `typing:` and the key; topic `draft`: see
            pipeline/drafts.py.
        draining: set once this process goes away; every stream then ends, to be opened at another one.
        welcome: what the page says before anything was said.
    """

    find_account: Callable[[str], Awaitable[Account | None]]
    accept_one: Callable[[Account, Event], Awaitable[int]]
    postgres: Postgres
    wake: Wake
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    welcome: Callable[[Account], Awaitable[Welcome]] = welcome_from_settings
