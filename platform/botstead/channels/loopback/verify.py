"""Did the canary send this? Signed as Standard Webhooks says, so that the check that guards real channels is on its road too.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import re
from typing import Final

from botstead.core.errors import Rejected
from botstead.core.messages import Delivery
from botstead.core.ports import Account
from botstead.runtime.signatures import standard_webhooks_verify

SECRET: Final = "hook_secret"  # noqa: S105  # the name of a secret, not one
MESSAGE_ID: Final = re.compile(rb"[!-~]{1,64}")


def verify(delivery: Delivery, account: Account, now: float) -> None:
    """Check the signature over id, timestamp and body.

    Args:
        delivery: raw request.
        account: the canary's channel.
        now: Unix seconds; the timestamp may be 300 s off to either side.

    Raises:
        Rejected: a header is missing, repeated or malformed, or the signature is wrong.
    """
    message_id = delivery.header(b"webhook-id")
    if message_id and not MESSAGE_ID.fullmatch(message_id):
        raise Rejected(reason="malformed")
    if SECRET not in account.secrets:
        raise Rejected(reason="unknown")
    standard_webhooks_verify(
        body=delivery.body,
        message_id=message_id,
        timestamp=delivery.header(b"webhook-timestamp"),
        signature=delivery.header(b"webhook-signature"),
        secrets=[account.secrets[SECRET]],
        now=now,
    )
