"""Telegram: the Bot API by webhook or long polling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from botstead.channels.telegram.api import deliver
from botstead.channels.telegram.health import health, install, prepare
from botstead.channels.telegram.parse import parse
from botstead.channels.telegram.verify import verify
from botstead.core.messages import Delivery, Health, Parsed, Receipt
from botstead.core.ports import Account, ChannelKind, Egress, Prepared, Sending

__all__ = ["KIND", "Telegram"]


class Telegram:
    """The Telegram channel (implements `core.ports.ChannelKind`)."""

    kind = "telegram"

    def verify(self, delivery: Delivery, account: Account, now: float) -> None:
        """Check the secret header; Telegram signs no time, so `now` plays no part. Raises `Rejected`."""
        del now
        verify(delivery, account)

    def parse(self, delivery: Delivery, account: Account) -> Parsed:
        """Find the events in an update. Raises `Unreadable`."""
        del account
        return parse(delivery)

    async def deliver(self, sending: Sending, account: Account, egress: Egress) -> Receipt:
        """Make one attempt to send."""
        return await deliver(sending, account, egress)

    async def health(self, account: Account, egress: Egress) -> Health:
        """Ask Telegram how this installation is."""
        return await health(account, egress)

    async def install(self, account: Account, egress: Egress, hook_url: str) -> Health:
        """Set the webhook, or delete it for polling."""
        return await install(account, egress, hook_url)

    def prepare(self, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Prepared:
        """Check an operator's settings and make the hook secret. Raises `Invalid`."""
        return prepare(settings, secrets)


KIND: Final[ChannelKind] = Telegram()
