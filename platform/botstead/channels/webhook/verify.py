"""Did the sender that shares our secret send this?

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import re
from typing import Final

from botstead.core.errors import Rejected
from botstead.core.messages import Delivery
from botstead.core.ports import Account
from botstead.runtime.signatures import standard_webhooks_verify

ID_HEADER: Final = b"webhook-id"
TIMESTAMP_HEADER: Final = b"webhook-timestamp"
SIGNATURE_HEADER: Final = b"webhook-signature"

MESSAGE_ID: Final = re.compile(rb"[!-~]{1,256}")
"""An id of visible ASCII that fits into a unique index, because that is where it goes."""

SECRETS: Final = ("hook_secret", "hook_secret_previous")


def verify(delivery: Delivery, account: Account, now: float) -> None:
    """Check the signature over id, timestamp and body, against the current secret and the one before a rotation.

    Args:
        delivery: raw request.
        account: its secrets `hook_secret` and, during a rotation, `hook_secret_previous`.
        now: Unix seconds; the timestamp may be 300 s off to either side.

    Raises:
        Rejected: a header is missing, repeated or malformed, the signature is wrong, or this installation has no secret.
    """
    secrets = [account.secrets[name] for name in SECRETS if name in account.secrets]
    if not secrets:
        raise Rejected(reason="unknown")
    message_id = delivery.header(ID_HEADER)
    if message_id and not MESSAGE_ID.fullmatch(message_id):
        raise Rejected(reason="malformed")
    standard_webhooks_verify(
        body=delivery.body,
        message_id=message_id,
        timestamp=delivery.header(TIMESTAMP_HEADER),
        signature=delivery.header(SIGNATURE_HEADER),
        secrets=secrets,
        now=now,
    )
