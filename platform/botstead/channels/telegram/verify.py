"""Did Telegram send this? It returns the secret that `setWebhook` gave it, in a header; nothing else is signed.

Source: https://core.telegram.org/bots/api#setwebhook (secret_token)
"""

from __future__ import annotations

from typing import Final

from botstead.core.errors import Rejected
from botstead.core.messages import Delivery
from botstead.core.ports import Account

HEADER: Final = b"x-telegram-bot-api-secret-token"
LONGEST: Final = 256
"""The most characters of a secret token."""


def verify(delivery: Delivery, account: Account) -> None:
    """Check the secret header in constant time, against the current secret and the one before a rotation.

    Args:
        delivery: raw request.
        account: its secrets `hook_secret` and, during a rotation, `hook_secret_previous`.

    Raises:
        Rejected: the header is missing, repeated, too long or wrong, or this installation has no secret.
    """
    given = delivery.header(HEADER)
    if given is None:
        repeated = any(name == HEADER for name, _ in delivery.headers)
        raise Rejected(reason="malformed" if repeated else "missing")
    if not 0 < len(given) <= LONGEST:
        raise Rejected(reason="malformed")
    known = [account.secrets[name] for name in ("hook_secret", "hook_secret_previous") if name in account.secrets]
    if not known:
        raise Rejected(reason="unknown")
    matches = [secret.matches(given) for secret in known]  # all are compared, so that time does not tell which one matched
    if not any(matches):
        raise Rejected(reason="signature")
