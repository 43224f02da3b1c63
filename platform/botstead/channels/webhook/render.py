"""From an action to a signed request: pure, given `now` and a way to sign.

The body is `{"type", "timestamp", "data"}` as Standard Webhooks recommends.
Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, Protocol

import msgspec

from botstead.core.messages import Action, AnswerButton, Button, Call, Delete, Edit, Send, Typing
from botstead.core.ports import Account, Sending
from botstead.telemetry import tracecontext

TIMEOUT: Final = 15.0
"""Seconds for an answer; the specification asks senders for 15 to 30."""

ANSWER_LIMIT: Final = 65_536
"""Bytes of answer that are read; nothing but an id is looked for."""

TYPES: Final[dict[type[Action], str]] = {
    Send: "message.created",
    Edit: "message.edited",
    Delete: "message.deleted",
    Typing: "typing.started",
    AnswerButton: "button.answered",
}
"""What each action is called; part of the protocol, so names are only ever added."""


class Sign(Protocol):
    """Signs one request. The secret is revealed in there and nowhere else."""

    def __call__(self, *, body: bytes, message_id: str, timestamp: int) -> str:
        """Return the value of `webhook-signature`."""
        ...


def render(sending: Sending, account: Account, *, now: float, sign: Sign) -> Call:
    """Write one action as one request.

    Args:
        sending: the action. Its id is the `webhook-id`, the same for every attempt, so that a receiver can tell a repetition.
            Its trace goes along as `traceparent`.
        account: the installation; `settings["url"]` is where it goes.
        now: Unix seconds.
        sign: see `Sign`.
    """
    message_id, timestamp = str(sending.id), int(now)
    body = _body(sending, account, timestamp)
    headers = {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(body=body, message_id=message_id, timestamp=timestamp),
    }
    if sending.trace is not None:
        span = tracecontext.span_id(sending.trace, sending.id)
        headers[tracecontext.HEADER] = tracecontext.write(sending.trace, span, sampled=sending.sampled)
    return Call(
        method="POST",
        url=str(account.settings["url"]),
        headers=headers,
        body=body,
        timeout=TIMEOUT,
        limit=ANSWER_LIMIT,
        service="webhook",
    )


def _body(sending: Sending, account: Account, timestamp: int) -> bytes:
    data = {"id": str(sending.id), "conversation": sending.conversation, "bot": account.bot_name, **_fields(sending.action)}
    moment = datetime.fromtimestamp(timestamp, UTC).isoformat().replace("+00:00", "Z")
    return msgspec.json.encode({"type": TYPES[type(sending.action)], "timestamp": moment, "data": data})


def _fields(action: Action) -> dict[str, Any]:
    """The action's own fields, those that say nothing left out, each button with what it sends back."""
    fields: dict[str, Any] = msgspec.to_builtins(action)
    del fields["type"]
    if isinstance(action, Send | Edit) and action.buttons:
        fields["buttons"] = [[_button(button) for button in row] for row in action.buttons]
    return fields


def _button(button: Button) -> dict[str, str]:
    return {"label": button.label, "url": button.url} if button.url else {"label": button.label, "value": button.token}
