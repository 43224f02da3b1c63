"""From what a handler returned to actions, and the texts that botstead says by itself."""

from __future__ import annotations

from collections.abc import Iterable

from botstead.bots.bot import Bot, Route
from botstead.bots.chat import compose
from botstead.bots.draft import Queued
from botstead.bots.paying import checked
from botstead.core.errors import HandlerFailed
from botstead.core.messages import Action, AnswerButton, Delete, Edit, Pay, Refund, Send, Typing

_ACTIONS = (Send, Edit, Delete, Typing, AnswerButton)
_TAKEN = "a text, Send or another action, a list of these, an async iterator of text, or None"


def actions_of(returned: object) -> list[Action]:
    """Read what a handler returned.

    Args:
        returned: see `_TAKEN`.

    Raises:
        HandlerFailed: it is something else; the message names the type.
    """
    if isinstance(returned, list | tuple):
        return [action for item in returned for action in _one(item)]
    return list(_one(returned))


def _one(item: object) -> Iterable[Action]:
    if item is None or isinstance(item, Queued):
        return ()
    if isinstance(item, str):
        message = compose(item)
        return () if message is None else (message,)
    if isinstance(item, Pay | Refund):
        return (checked(item),)
    if isinstance(item, _ACTIONS):
        return (item,)
    raise HandlerFailed(f"returned {type(item).__name__}; a handler returns {_TAKEN}")


def plain(text: str) -> Send:
    """Say something literally.

    Args:
        text: no Markdown.
    """
    return Send(text, plain=True)


def help_text(bot: Bot, *, description: str = "") -> str:
    """List what the bot can do.

    Args:
        bot: its commands, in the order they were written.
        description: stands above them.
    """
    lines = [_help_line(route) for route in bot.routes if route.kind == "command"]
    commands = "\n".join(lines) if lines else "There are no commands: just write to me."
    return f"{description}\n\n{commands}" if description else commands


def _help_line(route: Route) -> str:
    return f"{route.pattern} – {route.help}" if route.help else str(route.pattern)


def usage(route: Route, complaint: str) -> str:
    """Tell how a command is written.

    Args:
        route: the command.
        complaint: what does not fit, a sentence, or empty.
    """
    return f"{complaint} Please write: {route.pattern}".strip()


LOST = plain("I did not understand that. Write /help to see what I can do.")
CANCELLED = plain("Cancelled.")
APOLOGY = plain("Sorry, something went wrong on my side, and I could not finish that. Please try again later.")
