"""How the web chat is: it has no provider that could be away."""

from __future__ import annotations

from botstead.core.messages import Health
from botstead.core.ports import Account


def check(account: Account) -> Health:
    """Say how an installation is.

    Args:
        account: the installation.
    """
    if not account.enabled:
        return Health(status="degraded", detail="The chat is switched off; its page answers 404. Enable the channel.")
    return Health(status="ok", detail=f"Served at /chat/{account.bot_name}.")
