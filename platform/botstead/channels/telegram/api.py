"""Sending: one attempt of one action, and what Telegram's answers mean.

Telegram has no idempotency key: an attempt whose answer never came is `unknown`, and may arrive twice when it is sent again.
Source: https://core.telegram.org/bots/api#making-requests (errors carry `description` and `parameters`; the wording is not
contractual, so it is matched in lower case and by parts, after the code).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from botstead.channels.telegram.render import API_BASE, as_plain_text, render
from botstead.core import bodies
from botstead.core.errors import EgressBroken, EgressError, EgressRefused, EgressTimeout, Invalid
from botstead.core.messages import AnswerButton, Call, Outcome, Reason, Receipt, Response, Typing
from botstead.core.ports import Account, Egress, Sending
from botstead.core.secret import Secret, hidden

DETAIL_LIMIT: Final = 300
"""The most characters of Telegram's words that are kept."""

_DONE_ALREADY: Final = ("message is not modified", "message to delete not found")
_GONE: Final = (
    "chat not found",
    "user not found",
    "peer_id_invalid",
    "group chat was deleted",
    "group chat was deactivated",
    "message thread not found",
)


class Parameters(msgspec.Struct, frozen=True):
    """Why a request failed, for machines."""

    retry_after: float = 0
    migrate_to_chat_id: int = 0


class Reply(msgspec.Struct, frozen=True):
    """The envelope of every answer of the Bot API."""

    ok: bool
    result: msgspec.Raw = msgspec.Raw(b"null")
    error_code: int = 0
    description: str = ""
    parameters: Parameters = Parameters()


class _Sent(msgspec.Struct, frozen=True):
    message_id: int = 0


def base_of(account: Account) -> str:
    """The API server that an installation uses."""
    return str(account.settings.get("api_base") or API_BASE)


def read_reply(response: Response, secrets: Iterable[Secret] = ()) -> Reply | None:
    """Read the envelope, or None when something else than the Bot API answered.

    Args:
        response: what came back for a call.
        secrets: that it was asked with; the description tells none of them.
    """
    reply = bodies.read(response.body, Reply)
    if reply is None:
        return None
    return msgspec.structs.replace(reply, description=hidden(reply.description, secrets)) if reply.description else reply


async def deliver(sending: Sending, account: Account, egress: Egress) -> Receipt:
    """Make one attempt to send an action, from its first part that was not sent.

    Args:
        sending: what to send; `parts_sent` and `external_id` move on with every part.
        account: the installation.
        egress: the way out.
    """
    try:
        calls = render(sending.action, sending.conversation, base=base_of(account))
    except Invalid as error:
        return Receipt(outcome=Outcome.FAILED, reason=Reason.INVALID, detail=error.message)
    receipt = Receipt(outcome=Outcome.SENT)
    for call in calls[sending.parts_sent :]:
        receipt = await _attempt(call, account, egress)
        if receipt.outcome is not Outcome.SENT:
            break
        sending.parts_sent += 1
        sending.external_id = sending.external_id or receipt.external_id
    if isinstance(sending.action, Typing | AnswerButton):
        receipt = _best_effort(receipt)
    return msgspec.structs.replace(receipt, external_id=sending.external_id)


def judge(response: Response, secrets: Iterable[Secret] = ()) -> Receipt:
    """Say what an answer means for the message: sent, later, or never.

    Args:
        response: what came back for a call.
        secrets: that it was asked with. The address holds the token, and whoever answers may repeat the address.
    """
    reply = read_reply(response, secrets)
    if response.status in (401, 404):
        detail = "Telegram does not know this token. Get the current one from @BotFather and replace the channel's token."
        return Receipt(outcome=Outcome.FAILED, reason=Reason.REVOKED, detail=detail)
    if reply is None:
        return _not_telegram(response)
    if reply.ok:
        return Receipt(outcome=Outcome.SENT, external_id=_message_id(reply))
    return _refusal(response, reply)


def _refusal(response: Response, reply: Reply) -> Receipt:
    """What an error of the Bot API means."""
    words = reply.description.lower()
    if response.status == 429 or reply.parameters.retry_after > 0:
        return _verdict(Outcome.LATER, Reason.THROTTLED, reply, after=_retry_after(response, reply), counted=False)
    if moved_to := reply.parameters.migrate_to_chat_id:
        return _verdict(Outcome.LATER, Reason.MOVED, reply, after=0.0, moved_to=str(moved_to))
    if response.status >= 500 or response.status == 409:
        return _verdict(Outcome.LATER, Reason.UNAVAILABLE, reply)
    if any(part in words for part in _DONE_ALREADY):
        return _verdict(Outcome.SENT, Reason.NONE, reply)
    if response.status == 403 or any(part in words for part in _GONE):
        return _verdict(Outcome.FAILED, Reason.GONE, reply)
    return _verdict(Outcome.FAILED, Reason.INVALID, reply)


def unformattable(response: Response) -> bool:
    """Whether Telegram refused the formatting, and would take the text without it."""
    reply = read_reply(response)
    return reply is not None and response.status == 400 and "can't parse entities" in reply.description.lower()


def judge_error(error: EgressError) -> Receipt:
    """Say what it means that no answer came."""
    if isinstance(error, EgressTimeout):
        return Receipt(outcome=Outcome.UNKNOWN, reason=Reason.TIMEOUT, detail=error.message)
    if isinstance(error, EgressBroken):
        return Receipt(outcome=Outcome.UNKNOWN, reason=Reason.UNAVAILABLE, detail=error.message)
    if isinstance(error, EgressRefused):
        return Receipt(outcome=Outcome.FAILED, reason=Reason.REFUSED, detail=error.message)
    return Receipt(outcome=Outcome.LATER, reason=Reason.UNAVAILABLE, detail=error.message, after=error.after)


async def _attempt(call: Call, account: Account, egress: Egress) -> Receipt:
    """Send one part; if only its formatting is refused, send it once more without."""
    try:
        response = await egress.call(call, account.secrets)
        if unformattable(response):
            response = await egress.call(as_plain_text(call), account.secrets)
    except EgressError as error:
        return judge_error(error)
    return judge(response, account.secrets.values())


def _verdict(outcome: Outcome, reason: Reason, reply: Reply, **more: Any) -> Receipt:
    return Receipt(outcome=outcome, reason=reason, detail=reply.description[:DETAIL_LIMIT], **more)


def _not_telegram(response: Response) -> Receipt:
    """Something between us and the Bot API answered. Only a success may hide a message that arrived."""
    outcome = Outcome.UNKNOWN if response.status < 300 else Outcome.LATER
    detail = f"HTTP {response.status} that is no answer of the Bot API. Check api_base, and what stands between."
    return Receipt(outcome=outcome, reason=Reason.UNAVAILABLE, detail=detail)


def _best_effort(receipt: Receipt) -> Receipt:
    """Worth one attempt only: a spinner that stops late is worse than none."""
    if receipt.outcome is Outcome.SENT or receipt.outcome is Outcome.FAILED:
        return receipt
    return msgspec.structs.replace(receipt, outcome=Outcome.FAILED)


def _retry_after(response: Response, reply: Reply) -> float | None:
    """Seconds that Telegram asks us to wait, from the body or the header."""
    if reply.parameters.retry_after > 0:
        return reply.parameters.retry_after
    header = response.headers.get("retry-after", "")
    return float(header) if header.isascii() and header.isdigit() else None


def _message_id(reply: Reply) -> str:
    """The id of the message sent; some methods answer just `true`."""
    try:
        sent = msgspec.json.decode(reply.result, type=_Sent)
    except msgspec.MsgspecError:
        return ""
    return str(sent.message_id) if sent.message_id else ""
