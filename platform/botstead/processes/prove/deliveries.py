"""Requests as providers and visitors send them, correct ones: what an attack is compared with, or made from."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from botstead.core.secret import Secret
from botstead.processes.prove.rawhttp import Headers, request
from botstead.runtime.signatures import standard_webhooks_sign

if TYPE_CHECKING:
    from botstead.processes.prove.installation import Hook, Installation

JSON = ("Content-Type", "application/json")
TELEGRAM_SECRET = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105  # the name of a header


class Signed(msgspec.Struct, frozen=True):
    """A channel that takes deliveries signed as Standard Webhooks says.

    Args:
        id: public id of the channel.
        path: of its hook.
        secret: that deliveries are signed with.
    """

    id: str
    path: str
    secret: str


async def signed_channel(installation: Installation, bot: str) -> Signed:
    """Give a bot a channel for signed webhooks; its replies are only kept.

    Args:
        installation: where.
        bot: its name.

    Raises:
        RuntimeError: the API does not make it.
    """
    status, made = await installation.api("POST", f"/v1/bots/{bot}/channels", {"kind": "webhook"})
    if status != 201:
        raise RuntimeError(f"no channel for signed webhooks: {status} {made}")
    return Signed(made["id"], f"/hooks/{made['id']}", made["shown_once"]["hook_secret"])


def update(number: int, chat: int, text: str) -> dict[str, Any]:
    """Return a Telegram update with a message (https://core.telegram.org/bots/api#update).

    Args:
        number: the update's id.
        chat: the chat's id, which is the writer's too.
        text: what was written.
    """
    return {
        "update_id": number,
        "message": {
            "message_id": number,
            "date": int(time.time()),
            "chat": {"id": chat, "type": "private"},
            "from": {"id": chat, "is_bot": False, "first_name": "P"},
            "text": text,
        },
    }


def telegram(hook: Hook, body: bytes, *, headers: Headers = ()) -> bytes:
    """Return a delivery from Telegram, with its secret.

    Args:
        hook: where it goes.
        body: the update, or anything.
        headers: more of them.
    """
    return request("POST", hook.path, headers=[JSON, (TELEGRAM_SECRET, hook.secret), *headers], body=body)


def message(hook: Hook, number: int, chat: int, text: str) -> bytes:
    """Return the delivery of a message from Telegram.

    Args:
        hook: where it goes.
        number: the update's id.
        chat: the chat's id.
        text: what was written.
    """
    return telegram(hook, msgspec.json.encode(update(number, chat, text)))


def signature(channel: Signed, body: bytes, *, id: str, at: float) -> dict[str, str]:  # noqa: A002  # the word of the specification
    """Return the headers that sign a delivery.

    Args:
        channel: whose secret signs.
        body: what is signed.
        id: of the delivery.
        at: Unix seconds.
    """
    signed = standard_webhooks_sign(body=body, message_id=id, timestamp=int(at), secrets=[Secret(channel.secret)])
    return {"webhook-id": id, "webhook-timestamp": str(int(at)), "webhook-signature": signed}


def webhook(channel: Signed, body: bytes, *, id: str, at: float | None = None) -> bytes:  # noqa: A002  # the word of the specification
    """Return a signed delivery.

    Args:
        channel: where it goes.
        body: the event, or anything.
        id: of the delivery, which is its dedup key.
        at: Unix seconds; by default now.
    """
    signed = signature(channel, body, id=id, at=time.time() if at is None else at)
    return request("POST", channel.path, headers=[JSON, *signed.items()], body=body)


def event(conversation: str, text: str) -> bytes:
    """Return the body of a signed delivery that says something.

    Args:
        conversation: the sender's id of it.
        text: what was written.
    """
    return msgspec.json.encode({"conversation": conversation, "text": text, "author": {"id": "prover"}})


def times(installation: Installation, marker: str) -> int:
    """Count the replies at the provider that speak of something.

    Args:
        installation: whose provider.
        marker: a word of the message that is replied to.
    """
    return sum(marker in sent.text.split() for sent in installation.provider.sent())
