"""Botstead runs bots in production. Authors import everything from here.

The names are imported when they are first used, so that `import botstead.core` stays cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botstead.bots.bot import Bot
    from botstead.bots.chat import Chat, Outbox
    from botstead.bots.conversation import Conversation, Message
    from botstead.bots.http_client import Http
    from botstead.bots.paying import Payments
    from botstead.core.errors import Declined, EgressError
    from botstead.core.messages import AnswerButton, Attachment, Button, Delete, Edit, Event, Pay, Person, Refund, Send, Typing
    from botstead.core.money import Money, Payment, money
    from botstead.integrations.llm.client import Llm
    from botstead.integrations.mail.client import Mail
    from botstead.integrations.rest.client import Rest
    from botstead.integrations.slack.client import Slack
    from botstead.integrations.slack.models import Posted
    from botstead.integrations.weather.client import Weather
    from botstead.integrations.weather.models import Today
    from botstead.processes.rehearsal import chat_with

__all__ = [
    "AnswerButton",
    "Attachment",
    "Bot",
    "Button",
    "Chat",
    "Conversation",
    "Declined",
    "Delete",
    "Edit",
    "EgressError",
    "Event",
    "Http",
    "Llm",
    "Mail",
    "Message",
    "Money",
    "Outbox",
    "Pay",
    "Payment",
    "Payments",
    "Person",
    "Posted",
    "Refund",
    "Rest",
    "Send",
    "Slack",
    "Today",
    "Typing",
    "Weather",
    "chat_with",
    "money",
]

_HOMES = {
    "bots.bot": ("Bot",),
    "bots.chat": ("Chat", "Outbox"),
    "bots.conversation": ("Conversation", "Message"),
    "bots.http_client": ("Http",),
    "bots.paying": ("Payments",),
    "core.errors": ("Declined", "EgressError"),
    "core.messages": (
        "AnswerButton",
        "Attachment",
        "Button",
        "Delete",
        "Edit",
        "Event",
        "Pay",
        "Person",
        "Refund",
        "Send",
        "Typing",
    ),
    "core.money": ("Money", "Payment", "money"),
    "integrations.llm.client": ("Llm",),
    "integrations.mail.client": ("Mail",),
    "integrations.rest.client": ("Rest",),
    "integrations.slack.client": ("Slack",),
    "integrations.slack.models": ("Posted",),
    "integrations.weather.client": ("Weather",),
    "integrations.weather.models": ("Today",),
    "processes.rehearsal": ("chat_with",),
}
"""Module to the public names that live there."""

_HOME_OF = {name: f"botstead.{module}" for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'botstead' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, whether imported yet or not."""
    return sorted({*globals(), *__all__})
