"""The loopback as a channel: signed deliveries come in; what the bot answers is confirmed, and goes nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botstead.channels.loopback import health
from botstead.channels.loopback.parse import parse
from botstead.channels.loopback.verify import verify
from botstead.core.messages import Delivery, Health, Outcome, Parsed, Receipt
from botstead.core.ports import Account, Egress, Prepared, Sending


class Loopback:
    """`core.ports.ChannelKind` for the canary."""

    kind = "loopback"

    def verify(self, delivery: Delivery, account: Account, now: float) -> None:
        """Check the signature; see `verify.verify`.

        Raises:
            Rejected: whatever is wrong.
        """
        verify(delivery, account, now)

    def parse(self, delivery: Delivery, _account: Account) -> Parsed:
        """Find the event; see `parse.parse`.

        Raises:
            Unreadable: the canary does not post such a body.
        """
        return parse(delivery)

    async def deliver(self, sending: Sending, _account: Account, _egress: Egress) -> Receipt:
        """Confirm: the worker that owns the conversation got as far as sending, and its mark will say so."""
        return Receipt(outcome=Outcome.SENT, external_id=str(sending.id))

    async def health(self, account: Account, _egress: Egress) -> Health:
        """Say how the installation is; nobody is asked."""
        return health.check(account)

    async def install(self, account: Account, _egress: Egress, _hook_url: str) -> Health:
        """Nothing to install: the canary knows where to send."""
        return health.check(account)

    def prepare(self, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Prepared:
        """Refuse a new one; see `health.refuse`.

        Raises:
            Invalid: always, for what an operator makes.
        """
        return health.refuse(settings, secrets)


KIND = Loopback()
