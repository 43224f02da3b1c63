"""From the canary's message to a signed request: pure, given `now` and the secret.

Here rendering is for the way in: what a bot answers on the loopback goes nowhere.
"""

from __future__ import annotations

import msgspec

from botstead.channels.loopback.parse import Chirp
from botstead.channels.loopback.verify import SECRET
from botstead.core.messages import Call
from botstead.core.ports import Account
from botstead.runtime.signatures import standard_webhooks_sign

ANSWER_LIMIT = 65_536
SERVICE = "canary"


def render(chirp: Chirp, account: Account, *, base: str, now: float, timeout: float) -> Call:
    """Write the canary's message as the delivery of a provider.

    Args:
        chirp: what it says.
        account: the canary's channel.
        base: address of the edge, or of an API process, without the slash at its end.
        now: Unix seconds.
        timeout: seconds for the whole request.

    Raises:
        Invalid: the secret is no signing secret.
    """
    body, timestamp = msgspec.json.encode(chirp), int(now)
    signature = standard_webhooks_sign(body=body, message_id=chirp.key, timestamp=timestamp, secrets=[account.secrets[SECRET]])
    return Call(
        method="POST",
        url=f"{base}/hooks/{account.public_id}",
        headers={
            "content-type": "application/json",
            "webhook-id": chirp.key,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature,
        },
        body=body,
        timeout=timeout,
        limit=ANSWER_LIMIT,
        service=SERVICE,
    )
