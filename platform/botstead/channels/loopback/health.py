"""How the loopback is: what the canary's last message found, which the canary itself writes down."""

from __future__ import annotations

import base64
import secrets as random
from collections.abc import Mapping
from typing import Any

from botstead.channels.loopback.verify import SECRET
from botstead.core.errors import Invalid
from botstead.core.messages import Health
from botstead.core.ports import Account, Prepared

SECRET_BYTES = 32


def check(account: Account) -> Health:
    """Say how the installation is.

    Args:
        account: the canary's channel.
    """
    if not account.enabled:
        return Health(status="degraded", detail="The canary's channel is disabled, so the canary fails. Enable it.")
    return Health(status="ok", detail="The canary sends here; its last finding is in the list of channels.")


def made() -> Prepared:
    """Make what the canary's channel needs."""
    secret = "whsec_" + base64.b64encode(random.token_bytes(SECRET_BYTES)).decode()
    return Prepared(settings={}, secrets={SECRET: secret})


def refuse(settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Prepared:
    """Keep the canary's channel as it is.

    Args:
        settings: what the operator gave; there are none.
        secrets: likewise; only its own may stay.

    Raises:
        Invalid: it is a new channel, or something would change.
    """
    if settings or set(secrets) != {SECRET}:
        raise Invalid("The loopback belongs to the canary: it cannot be installed or set. Use webhook to connect a program.")
    return Prepared(settings={}, secrets=dict(secrets))
